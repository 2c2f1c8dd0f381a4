"""A collector that acknowledges every export at once and discards it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc


class Acknowledge(grpc.GenericRpcHandler):
    """Answers any request with an empty message."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")


def main() -> None:
    """Serve on a free port, and print it."""
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Acknowledge()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on 127.0.0.1:{port} (OTLP/gRPC)", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
