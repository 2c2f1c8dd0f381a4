"""A service that calls another: the other records the request for the same profile, if its baggage is trusted."""

from __future__ import annotations

import pytest

from tests.support.collector import Collector, ReceivedSpan
from tests.support.commands import BIN, running, wait_until_sent
from tests.support.ports import free_port
from tests.support.servers import SERVERS, serving
from tests.support.traced import STORE_FRONT

WEB, GOODS = "store_front.web:", "store_front.goods:"
LIBRARIES = ("urllib", "urllib3", "requests", "httpx")


def both_services_answered(spans: list[ReceivedSpan]) -> bool:
    """Whether the spans of all traced requests are there, and those of the requests that they made."""
    asked = {span.trace_id for span in spans if span.role == "server" and span.resource["service.name"] == "shop"}
    return len(asked) == len(LIBRARIES) and asked <= {
        span.trace_id for span in spans if span.kind == "SERVER" and span.resource["service.name"] == "neighbour"
    }


@pytest.mark.row("another service over urllib, urllib3, requests, httpx")
@pytest.mark.parametrize(
    ("ours", "theirs", "is_recorded"),
    [
        pytest.param("", "", True, id="no token"),
        pytest.param("secret", "secret", True, id="the same token"),
        pytest.param("secret", "other", False, id="another token"),
        pytest.param("", "secret", False, id="a token there only"),
    ],
)
def test_another_service_records_a_request_whose_baggage_is_signed_with_its_token(
    ours: str, theirs: str, is_recorded: bool, collector: Collector
) -> None:
    def recording(name: str, token: str) -> dict[str, str]:
        return {
            "OTEL_COVERAGE_ENABLED": "1",
            "OTEL_COVERAGE_SOURCE": STORE_FRONT,
            "OTEL_COVERAGE_TOKEN": token,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_SERVICE_NAME": name,
        }

    port = free_port()
    neighbour = [str(BIN / "otel-coverage"), "run", "--", "waitress-serve", f"--listen=127.0.0.1:{port}", "wsgi:app"]
    address = f"http://127.0.0.1:{port}/goods"
    with (
        running(neighbour, **recording("neighbour", theirs)),
        serving(SERVERS["gunicorn gthread"], **recording("shop", ours), NEIGHBOUR=address) as client,
    ):
        while client.get("/neighbour").status_code != 200:
            pass  # it is still starting
        for library in LIBRARIES:
            headers = {"X-Profile-Trace": library, "X-Profile-Trace-Token": ours}
            assert client.get("/neighbour", params={"library": library}, headers=headers).text == "apple, pear"
        # waitress would not wait until its last request has ended
        collector.wait_for(both_services_answered)
    wait_until_sent()
    entries = [span for span in collector.spans if span.role == "server"]
    found = {(span.attributes["playback.profile"], span.resource["service.name"]): span for span in entries}
    services = ("shop", "neighbour") if is_recorded else ("shop",)
    assert found.keys() == {(library, service) for library in LIBRARIES for service in services}
    assert len(entries) == len(found)
    always = {WEB + "Middleware.__call__", WEB + "before", WEB + "torn_down", GOODS + "put_back"}
    for (library, service), span in found.items():
        asked = {WEB + "neighbour", f"{WEB}through_{library}"}
        assert span.functions == always | (asked if service == "shop" else {WEB + "list_goods", GOODS + "names"})
        assert span.trace_id == found[library, "shop"].trace_id
    assert "secret" not in str(collector.spans)
