"""To whom requests may name a profile."""

from __future__ import annotations

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.pytest_plugin.targets import Origin, Targets


def allowed(url: str, *named: str) -> bool:
    origin = Origin.of(url)
    assert origin is not None
    return Targets.parse(named).allow(origin)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/a", "http://localhost/", "https://[::1]:1/", "http://a.localhost"]
)
def test_loopback_is_allowed_where_nothing_is_named(url: str) -> None:
    assert allowed(url)


@pytest.mark.parametrize("url", ["http://example.org/", "http://10.0.0.1/", "http://localhost.example.org/"])
def test_nothing_else_is(url: str) -> None:
    assert not allowed(url)


def test_a_named_host_is_allowed_at_its_port_or_at_any_and_loopback_is_not_then() -> None:
    assert allowed("http://shop.test:8000/", "shop.test:8000")
    assert not allowed("http://shop.test:8001/", "shop.test:8000")
    assert allowed("http://SHOP.test:8001/", "shop.test")
    assert allowed("https://shop.test/", "https://shop.test")
    assert not allowed("http://shop.test/", "https://shop.test")
    assert not allowed("http://127.0.0.1/", "shop.test")


@pytest.mark.parametrize("text", ["", "http://", "*.test", "user@host", "host:port", "http://host/path"])
def test_what_is_not_a_host_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a host, host:port"):
        Targets.parse([text])
