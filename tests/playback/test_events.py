"""The format ``capture/events.jsonl``."""

from __future__ import annotations

from typing import Any

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import Upload, load
from otel_coverage.playback.profile import NO_BODY
from tests.playback.conftest import Write


def request(number: int, method: str, endpoint: str, **meta: Any) -> dict[str, Any]:
    event = {"stage": "request", "id": number, "method": method, "endpoint": endpoint}
    return {**event, "requestMeta": meta} if meta else event


def response(number: int, status: int = 200) -> dict[str, Any]:
    return {"stage": "response", "id": number, "endpoint": "/", "status": status, "ok": status < 400}


def test_requests_are_played_in_the_order_of_their_responses(capture: Write) -> None:
    folder = capture(request(1, "GET", "/slow"), request(2, "GET", "/fast"), response(2), response(1))
    assert [step.path for step in load(folder).steps] == ["/fast", "/slow"]


def test_requests_without_a_successful_response_are_not_played(capture: Write) -> None:
    folder = capture(
        request(1, "GET", "/a"), request(2, "GET", "/b"), request(3, "GET", "/c"), response(1), response(2, 500)
    )
    assert [step.path for step in load(folder).steps] == ["/a"]


def test_a_response_without_a_request_is_skipped_and_reported(capture: Write) -> None:
    profile = load(capture(response(9), request(1, "GET", "/a"), response(1)))
    assert [step.path for step in profile.steps] == ["/a"]
    assert profile.skipped == ("line 1: a response without a request",)


def test_the_slug_is_the_folder_that_contains_capture(capture: Write) -> None:
    folder = capture(request(1, "GET", "/a"), response(1), profile="us-small-wbt-daymet-rap-wepp")
    assert load(folder).slug == "us-small-wbt-daymet-rap-wepp"
    assert load(folder / "capture" / "events.jsonl").slug == "us-small-wbt-daymet-rap-wepp"


def test_a_folder_whose_name_is_not_a_slug_is_an_error(capture: Write) -> None:
    with pytest.raises(ConfigurationError, match="the name of the profile's folder 'My profile' is not a slug"):
        load(capture(request(1, "GET", "/a"), response(1), profile="My profile"))


def test_placeholders_in_captured_bodies_are_escaped(capture: Write) -> None:
    folder = capture(request(1, "POST", "/a", jsonPayload='{"cost": "${run} $5", "n": 1}'), response(1))
    assert load(folder).steps[0].json == {"cost": "$${run} $5", "n": 1}  # "$$" stands for "$": see test_templates


def test_a_post_without_a_body_has_none(capture: Write) -> None:
    assert load(capture(request(1, "POST", "/a"), response(1))).steps[0].json is NO_BODY


def test_the_error_for_an_invalid_body_names_its_line(capture: Write) -> None:
    folder = capture(request(1, "GET", "/a"), request(2, "POST", "/b", jsonPayload="{"), response(1), response(2))
    with pytest.raises(ConfigurationError, match="line 2: jsonPayload is not JSON"):
        load(folder)


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
def test_the_captured_runs_name_in_paths_is_a_placeholder(capture: Write, endpoint: str, path: str) -> None:
    folder = capture(request(1, "GET", "/runs/old/"), request(2, "GET", endpoint), response(1), response(2))
    assert load(folder).steps[1].path == path


def test_polls_of_captured_jobs_are_not_replayed(capture: Write) -> None:
    folder = capture(
        request(1, "GET", "/a"), request(2, "GET", "/rq/api/jobstatus/1c-5?_=17"), response(2), response(1)
    )
    assert [step.path for step in load(folder, job_status="/rq/api/jobstatus/{job_id}").steps] == ["/a"]


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
def test_a_form_is_rebuilt_from_its_kept_file(capture: Write, endpoint: str, kept: str, field: str) -> None:
    folder = capture(request(1, "POST", endpoint, bodyType="form-data"), response(1))
    uploads = folder / "capture" / "seed" / "uploads"
    for name in (kept, kept.rpartition("/")[0] + "/notes.tif.meta", "other/input_upload_other.tif"):
        if name != kept and kept.startswith("upload/"):
            continue
        (uploads / name).parent.mkdir(parents=True, exist_ok=True)
        (uploads / name).write_bytes(b"kept")
    assert load(folder).steps[0].uploads == (Upload(field, uploads / kept),)


def test_the_error_for_a_form_without_a_kept_file_names_its_line(capture: Write) -> None:
    folder = capture(request(1, "POST", "/tasks/upload_sbs", bodyType="form-data"), response(1))
    with pytest.raises(
        ConfigurationError,
        match=r"line 1: the request sends a form, but no file under .*uploads is named after 'upload_sbs'",
    ):
        load(folder)


def test_a_capture_without_a_successful_response_is_an_error(capture: Write) -> None:
    with pytest.raises(ConfigurationError, match="no request has a successful response"):
        load(capture(request(1, "GET", "/a"), response(1, 500)))


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"stage": "request", "method": "GET", "endpoint": "/a"}, "line 1: 'id' is missing"),
        ({"stage": "request", "id": 1, "method": "GET"}, "line 1: 'endpoint' is missing"),
        (
            {"stage": "request", "id": 1, "endpoint": "/", "requestMeta": "x"},
            "line 1: 'requestMeta' must be a JSON object",
        ),
    ],
)
def test_the_error_for_an_incomplete_event_names_its_line(capture: Write, event: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load(capture(event, response(1)))
