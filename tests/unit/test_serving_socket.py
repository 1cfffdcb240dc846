"""The benchmark's client without a gRPC library, against gRPC's own server."""

from concurrent import futures

import grpc
import pytest

from benchmarks.serving_socket import SocketClient, socket_loop

METHOD = "/test.Echo/Reverse"


def _reverse(request, context):
    if request == b"refused":
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not this one")
    return request[::-1]


@pytest.fixture(scope="module")
def target():
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
        "test.Echo", {"Reverse": grpc.unary_unary_rpc_method_handler(_reverse)})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0)


def test_requests_of_any_size_are_answered(target):
    """More than a frame, more than the server takes of one request at first, and of all together."""
    with SocketClient(target, METHOD) as client:
        for size in (0, 1, 16_379, 16_380, 70_000, 1_000_000, 3):
            request = bytes(i % 251 for i in range(size))
            assert client.call(request) == request[::-1]


def test_many_calls_share_a_connection(target):
    found = socket_loop(target, [b"ab", b"cde"], 50, METHOD)
    assert (found["first"], len(found["seconds"])) == (b"ba", 50)
    assert 0 < min(found["seconds"]) and 0 < found["cpu"] < sum(found["seconds"]) + 1


def test_an_error_is_no_answer(target):
    with SocketClient(target, METHOD) as client, pytest.raises(RuntimeError, match="answered an error"):
        client.call(b"refused")


def test_a_name_that_needs_more_than_a_byte_for_its_length_is_refused(target):
    with pytest.raises(ValueError, match="longer than 126 bytes"):
        SocketClient(target, "/" + 126 * "a")
