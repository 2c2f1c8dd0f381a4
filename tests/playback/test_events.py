"""Captured events, as they are read."""

from __future__ import annotations

from typing import Any

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import Upload, read
from otel_coverage.playback.profile import NO_BODY
from tests.playback.conftest import Write


def request(number: int, method: str, endpoint: str, **meta: Any) -> dict[str, Any]:
    event = {"stage": "request", "id": number, "method": method, "endpoint": endpoint}
    return {**event, "requestMeta": meta} if meta else event


def response(number: int, status: int = 200) -> dict[str, Any]:
    return {"stage": "response", "id": number, "endpoint": "/", "status": status, "ok": status < 400}


def test_requests_are_played_in_the_order_of_their_answers(capture: Write) -> None:
    folder = capture(request(1, "GET", "/slow"), request(2, "GET", "/fast"), response(2), response(1))
    assert [step.path for step in read(folder).steps] == ["/fast", "/slow"]


def test_what_was_not_answered_well_is_not_played(capture: Write) -> None:
    folder = capture(
        request(1, "GET", "/a"), request(2, "GET", "/b"), request(3, "GET", "/c"), response(1), response(2, 500)
    )
    assert [step.path for step in read(folder).steps] == ["/a"]


def test_an_answer_without_its_request_is_left_out_and_said_so(capture: Write) -> None:
    profile = read(capture(response(9), request(1, "GET", "/a"), response(1)))
    assert [step.path for step in profile.steps] == ["/a"]
    assert profile.left_out == ("line 1: an answer without its request",)


def test_the_slug_is_the_folder_around_the_capture(capture: Write) -> None:
    folder = capture(request(1, "GET", "/a"), response(1), profile="us-small-wbt-daymet-rap-wepp")
    assert read(folder).slug == "us-small-wbt-daymet-rap-wepp"
    assert read(folder / "capture" / "events.jsonl").slug == "us-small-wbt-daymet-rap-wepp"


def test_a_folder_that_is_no_slug_is_refused(capture: Write) -> None:
    with pytest.raises(ConfigurationError, match="'My profile', which is no slug"):
        read(capture(request(1, "GET", "/a"), response(1), profile="My profile"))


def test_bodies_are_sent_as_recorded_even_where_they_look_like_places(capture: Write) -> None:
    folder = capture(request(1, "POST", "/a", jsonPayload='{"cost": "${run} $5", "n": 1}'), response(1))
    assert read(folder).steps[0].json == {"cost": "$${run} $5", "n": 1}  # "$$" stands for "$": see test_places


def test_a_post_without_a_body_has_none(capture: Write) -> None:
    assert read(capture(request(1, "POST", "/a"), response(1))).steps[0].json is NO_BODY


def test_a_recorded_body_that_is_no_json_is_named_with_its_line(capture: Write) -> None:
    folder = capture(request(1, "GET", "/a"), request(2, "POST", "/b", jsonPayload="{"), response(1), response(2))
    with pytest.raises(ConfigurationError, match="line 2: its jsonPayload is not JSON"):
        read(folder)


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("/runs/old/", "/runs/${run}/"),
        ("/runs/old", "/runs/${run}"),
        ("/weppcloud/runs/old/cfg/report?q=runs/old", "/weppcloud/runs/${run}/cfg/report?q=runs/old"),
        ("https://example.org/runs/old/x", "/runs/${run}/x"),
        ("runs/old/x", "/runs/${run}/x"),
        ("/runs/older/x", "/runs/older/x"),
        ("/reruns/old/x", "/reruns/old/x"),
        ("/jobs/${job}", "/jobs/$${job}"),
    ],
)
def test_the_recorded_run_gives_way_to_a_fresh_one_in_paths(capture: Write, endpoint: str, path: str) -> None:
    folder = capture(request(1, "GET", "/runs/old/"), request(2, "GET", endpoint), response(1), response(2))
    assert read(folder).steps[1].path == path


def test_questions_about_recorded_jobs_are_not_repeated(capture: Write) -> None:
    folder = capture(
        request(1, "GET", "/a"), request(2, "GET", "/rq/api/jobstatus/1c-5?_=17"), response(2), response(1)
    )
    assert [step.path for step in read(folder, job_status="/rq/api/jobstatus/{job_id}").steps] == ["/a"]


@pytest.mark.parametrize(
    ("endpoint", "kept", "field"),
    [
        ("/runs/old/cfg/tasks/upload_sbs/", "sbs/input_upload_sbs.tif", "input_upload_sbs"),
        ("/runs/old/cfg/rq/api/build_landuse", "landuse/input_upload_landuse.tif", "input_upload_landuse"),
        ("/runs/old/cfg/tasks/upload_cli", "climate/input_upload_cli.cli", "input_upload_cli"),
        ("/tasks/upload_cover_transform", "veg/input_upload_cover_transform.csv", "input_upload_cover_transform"),
        ("/upload?kind=x", "upload/anything.bin", "anything"),
    ],
)  # fmt: skip
def test_a_form_is_made_anew_from_the_file_that_was_kept(capture: Write, endpoint: str, kept: str, field: str) -> None:
    folder = capture(request(1, "POST", endpoint, bodyType="form-data"), response(1))
    uploads = folder / "capture" / "seed" / "uploads"
    for name in (kept, kept.rpartition("/")[0] + "/notes.tif.meta", "other/input_upload_other.tif"):
        if name != kept and kept.startswith("upload/"):
            continue
        (uploads / name).parent.mkdir(parents=True, exist_ok=True)
        (uploads / name).write_bytes(b"kept")
    assert read(folder).steps[0].uploads == (Upload(field, uploads / kept),)


def test_a_form_whose_file_was_not_kept_is_named_with_its_line(capture: Write) -> None:
    folder = capture(request(1, "POST", "/tasks/upload_sbs", bodyType="form-data"), response(1))
    with pytest.raises(
        ConfigurationError, match=r"line 1: it sends a form, and no file under .*uploads is named after 'upload_sbs'"
    ):
        read(folder)


def test_a_recording_of_which_nothing_can_be_played_is_refused(capture: Write) -> None:
    with pytest.raises(ConfigurationError, match="no request in this recording was answered well"):
        read(capture(request(1, "GET", "/a"), response(1, 500)))


@pytest.mark.parametrize(
    ("event", "complaint"),
    [
        ({"stage": "request", "method": "GET", "endpoint": "/a"}, "line 1: 'id' is missing"),
        ({"stage": "request", "id": 1, "method": "GET"}, "line 1: 'endpoint' is missing or no text"),
        ({"stage": "request", "id": 1, "endpoint": "/", "requestMeta": "x"}, "line 1: 'requestMeta' is no JSON object"),
    ],
)
def test_an_event_that_lacks_what_it_needs_is_named_with_its_line(
    capture: Write, event: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        read(capture(event, response(1)))
