"""How the embedded server starts, tells of itself, and stops."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import prediction_service_pb2_grpc

from models import raw_example
from models.spec.errors import UserError
from serving.client import PredictClient
from serving.model_config import ModelConfig
from serving.servable import Servable
from serving.serve import serve
from serving.server_options import ServerOptions
from tests.unit import served_model
from tests.waiting import wait_until

SERVING = health_pb2.HealthCheckResponse.SERVING
GOOD = raw_example.encode({"age": [3.0], "topics": [b"sea"]})


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """A version, to be copied into a base path."""
    folder = tmp_path_factory.mktemp("export") / "1"
    served_model.export(folder, 0.0)
    return folder


@pytest.fixture
def base_path(tmp_path, export):
    shutil.copytree(export, tmp_path / "books" / "1")
    return tmp_path / "books"


def _has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_a_folder_without_a_version_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        served_model.server(tmp_path / "nothing", port=0).start()
    (tmp_path / "8").mkdir()
    (tmp_path / "8" / "saved_model.pb").write_bytes(b"rubbish")
    with pytest.raises(UserError, match="version 8"):
        served_model.server(tmp_path).start()


def test_a_port_in_use_is_the_users_error(base_path):
    first = served_model.server(base_path)
    port = first.start()
    try:
        with pytest.raises(UserError, match=f"127.0.0.1:{port}"):
            served_model.server(base_path, port=port).start()
    finally:
        first.stop(grace=1.0)


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_a_port_that_is_none_is_the_users_error(port):
    with pytest.raises(UserError, match=f"port {port}: is not between 0 and 65535"):
        ServerOptions(port=port)


def test_the_port_that_was_asked_for_is_taken(base_path, monkeypatch):
    server = served_model.server(base_path, port=8500)
    # Another one that gRPC would take without a word.
    monkeypatch.setattr(server._server, "add_insecure_port", lambda address: 34463)
    with pytest.raises(UserError, match="cannot listen on 127.0.0.1:8500"):
        server.start()


def test_a_port_file_that_cannot_be_written_is_the_users_error(base_path, tmp_path):
    announced = []
    with pytest.raises(UserError, match="absent/port: cannot be written: No such file"):
        serve([ModelConfig("books", str(base_path))], ServerOptions(port=0),
              port_file=str(tmp_path / "absent" / "port"), announce=announced.append)
    assert announced == []


def test_serve_announces_itself_and_stops_on_a_signal(base_path, tmp_path):
    port_file = tmp_path / "port"
    code = (
        "import sys\n"
        "from serving.model_config import ModelConfig\nfrom serving.serve import serve\n"
        "from serving.server_options import ServerOptions\n"
        "serve([ModelConfig('books', sys.argv[1])], ServerOptions(port=0), port_file=sys.argv[2])\n"
        "assert not {'tfx', 'tensorflow_model_analysis', 'tensorflow_transform'} & set(sys.modules)"
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, str(base_path), str(port_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline().strip()
        assert line == f"serving books version 1 on 127.0.0.1:{port_file.read_text().strip()}"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (0, "")


@pytest.mark.skipif(not _has_ipv6(), reason="no IPv6 on this machine")
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_address_is_taken_with_and_without_brackets(base_path, host):
    found = []

    def ask(line):
        found.append(line)
        if "REST" not in line:
            return
        with PredictClient(found[0].rpartition(" ")[2], "books") as client:
            found.append(client.predict([GOOD]).shape)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{line.rpartition(' ')[2]}/v1/models/books", timeout=10) as answer:
            found.append(answer.status)
        signal.raise_signal(signal.SIGTERM)

    serve([ModelConfig("books", str(base_path))], ServerOptions(host, 0, rest_port=0), announce=ask)
    grpc_line, rest_line, *answers = found
    assert re.fullmatch(r"serving books version 1 on \[::1\]:\d+", grpc_line)
    assert re.fullmatch(r"REST API and metrics on http://\[::1\]:\d+", rest_line)
    assert answers == [(1,), 200]


@pytest.fixture
def slow_load(base_path, export, monkeypatch):
    """Pushes version 2, whose loading fails when the event that it gives is set, and waits until it has begun."""
    loads, end = threading.Event(), threading.Event()

    def load(directory, version, **options):
        if version == 2:
            loads.set()
            assert end.wait(30)
            raise ValueError("it is broken")
        return Servable(directory, version, **options)

    def begin():
        shutil.copytree(export, base_path / "2")
        assert loads.wait(30)
        return end

    monkeypatch.setattr("serving.server.Servable", load)
    yield begin
    end.set()


def test_a_server_that_stops_while_it_loads_takes_no_new_requests(base_path, slow_load):
    server = served_model.server(base_path, poll_seconds=0.01)
    with grpc.insecure_channel(f"127.0.0.1:{server.start()}") as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        end, ended = slow_load(), []
        assert stub.Predict(served_model.request([GOOD])).model_spec.version.value == 1
        stopping = threading.Thread(target=lambda: ended.append(server.stop(grace=30.0)))
        stopping.start()
        good = served_model.request([GOOD])
        wait_until(lambda: stub.Predict.future(good, timeout=5).code() == grpc.StatusCode.UNAVAILABLE)
        end.set()
        stopping.join(30)
    assert ended == [True]


def test_a_version_that_is_being_loaded_does_not_outlast_the_grace(base_path, slow_load, monkeypatch):
    statuses = []
    monkeypatch.setattr("serving.serve.os._exit", statuses.append)

    def stop():
        slow_load()
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    start = time.monotonic()
    serve([ModelConfig("books", str(base_path))], ServerOptions(port=0, poll_seconds=0.01), grace=0.1,
          announce=lambda line: thread.start())
    thread.join()
    # The load would take half a minute, and Python's own end would wait for it.
    assert statuses == [0] and time.monotonic() - start < 25


def test_health_of_the_server_and_of_each_service_until_it_stops(base_path):
    server = served_model.server(base_path)
    with grpc.insecure_channel(f"127.0.0.1:{server.start()}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for service in ("", "tensorflow.serving.PredictionService", "tensorflow.serving.ModelService"):
            assert stub.Check(health_pb2.HealthCheckRequest(service=service)).status == SERVING
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(health_pb2.HealthCheckRequest(service="tensorflow.serving.SessionService"))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        states = (answer.status for answer in stub.Watch(health_pb2.HealthCheckRequest()))
        assert next(states) == SERVING
        stopping = threading.Thread(target=server.stop, args=(5.0,))
        stopping.start()
        assert next(states) == health_pb2.HealthCheckResponse.NOT_SERVING
        stopping.join()
