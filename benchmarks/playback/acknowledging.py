"""A collector that acknowledges every export at once and discards it; with ``--refuse``, one that refuses them all."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc


def refuse(_request: bytes, context: grpc.ServicerContext) -> bytes:
    """Answer as a collector that cannot take anything at the moment."""
    context.abort(grpc.StatusCode.UNAVAILABLE, "it refuses")
    raise AssertionError("unreachable")


class Acknowledge(grpc.GenericRpcHandler):
    """Answers any request with an empty message."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        answer = refuse if "--refuse" in sys.argv else lambda request, context: b""
        return grpc.unary_unary_rpc_method_handler(answer)


def main() -> None:
    """Serve on a free port, and print it."""
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Acknowledge()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on 127.0.0.1:{port} (OTLP/gRPC)", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
