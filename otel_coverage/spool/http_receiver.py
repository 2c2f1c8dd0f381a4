"""Sending what lies in a spool over HTTP, as OTLP/HTTP with protobuf."""

from __future__ import annotations

import gzip
import ssl
import zlib
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from otel_coverage import __version__
from otel_coverage.spool.receiver import Answer, Outcome, accepted, default_compression, variable


class HttpReceiver:
    """A :class:`~otel_coverage.spool.receiver.Receiver` over HTTP, as the standard variables say.

    Raises:
        ValueError: one of them cannot be used.
        OSError: there is no such certificate.
    """

    def __init__(self) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
        from opentelemetry.util.re import parse_env_headers

        self._parse = ExportTraceServiceResponse.FromString
        self._url = variable("ENDPOINT", of_traces=True) or (
            (variable("ENDPOINT") or "http://localhost:4318").rstrip("/") + "/v1/traces"
        )
        if not self._url.lower().startswith(("http://", "https://")):
            raise ValueError(f"the endpoint {self._url!r} is not a URL with http or https")
        self._headers = {
            **parse_env_headers(variable("HEADERS") or "", liberal=True),
            "Content-Type": "application/x-protobuf",
            "User-Agent": f"otel-coverage/{__version__}",
        }
        self._timeout = float(variable("TIMEOUT") or 10)
        self._compression = (variable("COMPRESSION") or default_compression()).lower()
        if self._compression not in ("none", "gzip", "deflate"):
            raise ValueError(f"the compression {self._compression!r} is not none, gzip or deflate")
        if self._compression != "none":
            self._headers["Content-Encoding"] = self._compression
        tls = ssl.create_default_context(cafile=variable("CERTIFICATE"))
        certificate = variable("CLIENT_CERTIFICATE")
        if certificate:
            tls.load_cert_chain(certificate, variable("CLIENT_KEY"))
        self._opener = build_opener(HTTPSHandler(context=tls), _NoRedirects)

    def send(self, request: bytes) -> Answer:
        """Send a message once. Never raises."""
        try:
            message = Request(self._url, self._encoded(request), self._headers)  # noqa: S310
            with self._opener.open(message, None, self._timeout) as answer:
                body = answer.read()
        except HTTPError as error:
            with error:
                return self._failed(error)
        except Exception as error:
            return Answer(Outcome.LATER, f"{type(error).__name__}: {error}")
        try:
            return accepted(self._parse(body))
        except Exception:  # an answer that is not protobuf says only that all was accepted
            return Answer(Outcome.ACCEPTED)

    def _encoded(self, request: bytes) -> bytes:
        if self._compression == "gzip":
            return gzip.compress(request, 6, mtime=0)
        return zlib.compress(request) if self._compression == "deflate" else request

    @staticmethod
    def _failed(error: HTTPError) -> Answer:
        said = f"HTTP {error.code} {error.reason}"
        if error.code == 413:
            return Answer(Outcome.TOO_LARGE, said)
        if error.code in (400, 422):
            return Answer(Outcome.REFUSED, said)
        if error.code == 500:
            return Answer(Outcome.FAILED, said)
        return Answer(Outcome.LATER, said, _delay(error.headers.get("Retry-After")))

    def close(self) -> None:
        """Close the connection."""
        self._opener.close()


class _NoRedirects(HTTPRedirectHandler):
    """Redirects are answers: they would turn a POST into a GET, or take headers to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _delay(text: str | None) -> float | None:
    return float(text) if text is not None and text.strip().isdecimal() else None
