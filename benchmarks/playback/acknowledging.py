"""A collector that acknowledges at once, as one does that has a queue on disk; it keeps nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc


class Acknowledge(grpc.GenericRpcHandler):
    """Takes any request, and answers nothing to it."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"")


def main() -> None:
    """Serve on a free port, and say which."""
    server = grpc.server(ThreadPoolExecutor(2), handlers=[Acknowledge()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on 127.0.0.1:{port} (OTLP/gRPC)", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
