"""The load of the benchmark of serving, on a server that is no model's."""

import threading
import time
from concurrent import futures

import grpc
import pytest

from benchmarks.serving_load import ask, closed_loop, open_loop


class Server:
    """Answers with what the function makes of a request and its number."""

    def __init__(self, answer):
        self._answer = answer
        self._lock = threading.Lock()
        self.received = []
        handler = grpc.unary_unary_rpc_method_handler(self._handle)
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
            "tensorflow.serving.PredictionService", {"Predict": handler}),))
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self):
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(None).wait()

    def _handle(self, request, context):
        with self._lock:
            number = len(self.received)
            self.received.append(request)
        return self._answer(number, context)


def _slow(number, context):
    time.sleep(0.02)
    return b""


def test_a_closed_loop_asks_so_often_and_sends_all_requests():
    with Server(lambda number, context: b"") as server:
        result = closed_loop(server.target, [b"a", b"b", b"c"], clients=2, operations=9, calls=3)
    # Four operations of three calls for each client, after ten calls that are not counted.
    assert len(result["seconds"]) == 8 and len(server.received) == 2 * (10 + 4 * 3)
    assert set(server.received) == {b"a", b"b", b"c"}
    assert 0 < max(result["seconds"]) <= result["elapsed"] and result["cpu"] > 0


def test_an_operation_lasts_as_long_as_its_calls():
    with Server(_slow) as server:
        one, three = (closed_loop(server.target, [b""], 1, 3, calls)["seconds"] for calls in (1, 3))
    assert min(one) >= 0.02 and min(three) >= 0.06


def test_a_failure_of_a_client_ends_the_closed_loop():
    def fail(number, context):
        if number > 30:
            context.abort(grpc.StatusCode.INTERNAL, "broken")
        return b""

    with Server(fail) as server, pytest.raises(grpc.RpcError, match="broken"):
        closed_loop(server.target, [b""], clients=4, operations=100)


def test_an_open_loop_sends_whether_or_not_it_is_answered():
    def answer(number, context):
        if number % 4 == 3:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "later")
        if number % 4 == 2:
            context.abort(grpc.StatusCode.INTERNAL, "broken")
        return b""

    with Server(answer) as server:
        result = open_loop(server.target, [b"a", b"b"], rate=200, seconds=1, seed=1)
    sent = sum(result["statuses"].values())
    assert sent == len(server.received) - 1 and 130 < sent < 270
    # The first call, which opens the connection, is not counted.
    assert result["statuses"]["RESOURCE_EXHAUSTED"] == sum(n % 4 == 3 for n in range(1, sent + 1))
    assert result["statuses"]["INTERNAL"] == sum(n % 4 == 2 for n in range(1, sent + 1))
    assert len(result["seconds"]) == result["statuses"]["OK"]
    assert result["rate"] == pytest.approx(sent, rel=0.1)


def test_one_answer():
    with Server(lambda number, context: b"\x08\x01") as server:
        assert ask(server.target, b"x") == b"\x08\x01" and server.received == [b"x"]
