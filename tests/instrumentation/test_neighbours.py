"""A request that makes one service call another: the other records it for the same profile, if it may believe that."""

from __future__ import annotations

import pytest

from tests.support.collector import Collector
from tests.support.commands import BIN, running
from tests.support.servers import SERVERS, free_port, serving
from tests.support.traced import STORE_FRONT

WEB, GOODS = "store_front.web:", "store_front.goods:"


@pytest.mark.parametrize(
    ("ours", "theirs", "is_recorded"),
    [("", "", True), ("secret", "secret", True), ("secret", "other", False), ("", "secret", False)],
)
def test_the_baggage_goes_on_to_another_service_which_believes_who_shares_its_token(
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
        headers = {"X-Profile-Trace": "checkout", "X-Profile-Trace-Token": ours}
        assert client.get("/neighbour", headers=headers).text == "apple, pear"
    entries = [span for span in collector.spans if span.role == "server"]
    found = {span.resource["service.name"]: span for span in entries}
    assert sorted(found) == (["neighbour", "shop"] if is_recorded else ["shop"])
    assert len(entries) == len(found)
    assert found["shop"].functions == {WEB + "Middleware.__call__", WEB + "before", WEB + "neighbour"}
    if is_recorded:
        other = found["neighbour"]
        assert other.functions == {WEB + "Middleware.__call__", WEB + "before", WEB + "list_goods", GOODS + "names"}
        assert other.trace_id == found["shop"].trace_id
    assert "secret" not in str(collector.spans)
