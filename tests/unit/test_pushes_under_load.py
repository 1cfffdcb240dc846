"""New versions, a broken one, too many requests and a stop, while requests go on."""

import shutil
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from models import raw_example
from tests.unit import served_model
from tests.waiting import wait_until

ROW = raw_example.encode({"age": [3.0], "topics": [b"sea"]})


def _request(rows):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "books"
    request.inputs["examples"].CopyFrom(tf.make_tensor_proto([ROW] * rows))
    return request


class _Load:
    """Threads that ask without a pause; `answers` holds version and logits, `failures` the rest.

    Args:
        port: of the server.
        threads: how many ask at once.
        rows: rows a request.
    """

    def __init__(self, port, threads, rows):
        self.answers, self.failures = [], []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(port, rows)) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, port, rows):
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            while not self._stop.is_set():
                try:
                    response = stub.Predict(_request(rows), timeout=30)
                except grpc.RpcError as error:
                    self.failures.append(error)
                else:
                    logits = tf.make_ndarray(response.outputs["logit"])
                    self.answers.append((response.model_spec.version.value, logits))


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Six versions; the logit of `ROW` is 0.4 and the version's number."""
    folder = tmp_path_factory.mktemp("exports")
    for version in range(1, 7):
        served_model.export(folder / str(version), float(version))
    return folder


def test_five_versions_are_pushed_and_one_is_broken(exports, tmp_path, caplog):
    base_path = tmp_path / "books"
    shutil.copytree(exports / "1", base_path / "1")
    server = served_model.server(base_path, poll_seconds=0.05)
    port = server.start()
    try:
        with _Load(port, threads=3, rows=5) as load:
            for version in (2, 3, 4, 5, 6):
                # As a copy that is slow: the graph first, its variables when the server has seen it.
                shutil.copytree(exports / str(version), base_path / str(version),
                                ignore=shutil.ignore_patterns("variables"))
                if version == 4:
                    wait_until(seconds=60, condition=lambda: any(
                        "version 4 of books cannot be loaded" in r.getMessage() for r in caplog.records))
                    continue
                shutil.copytree(exports / str(version) / "variables", base_path / str(version) / "variables")
                wait_until(
                    seconds=60, condition=lambda v=version: any(answered == v for answered, _ in list(load.answers)))
            # The one before goes when the newest answers, and not in the same instant.
            wait_until(seconds=60, condition=lambda: server.loaded == {"books": [6]})
    finally:
        server.stop()
    assert load.failures == []
    assert {version for version, _ in load.answers} == {1, 2, 3, 5, 6}
    for version, logits in load.answers:
        np.testing.assert_allclose(logits, [0.4 + version] * 5, atol=1e-5)


def test_under_too_much_load_what_is_not_answered_is_sent_away_and_health_goes_on(exports):
    # One at a time, and two that wait: of eight callers, most are too many.
    server = served_model.server(exports, running=1, waiting=2)
    port = server.start()
    try:
        with _Load(port, threads=8, rows=2000) as load, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            health = health_pb2_grpc.HealthStub(channel)
            wait_until(seconds=60, condition=lambda: len(load.failures) > 50 and len(load.answers) > 20)
            assert health.Check(health_pb2.HealthCheckRequest(), timeout=5).status == (
                health_pb2.HealthCheckResponse.SERVING)
    finally:
        server.stop()
    assert {error.code() for error in load.failures} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert "requests are under way and 2 wait; try again later" in load.failures[0].details()
    assert all(len(logits) == 2000 for _, logits in load.answers)


def test_requests_under_way_are_answered_when_the_server_stops(exports):
    server = served_model.server(exports)
    port = server.start()
    answers = []

    def ask():
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            calls = [stub.Predict.future(_request(5000), timeout=30) for _ in range(4)]
            asked.set()
            answers.extend(call.exception() or len(tf.make_ndarray(call.result().outputs["logit"])) for call in calls)

    asked = threading.Event()
    thread = threading.Thread(target=ask)
    thread.start()
    assert asked.wait(30)
    # Sent, and let in.
    wait_until(seconds=60, condition=lambda: answers or server._admission.running)
    server.stop(grace=30)
    thread.join(60)
    in_time = [a for a in answers if a == 5000]
    assert in_time and all(a == 5000 or a.code() == grpc.StatusCode.UNAVAILABLE for a in answers)
