"""The REST server as a server: refusals, limits, hostile bodies, its metrics, its end."""

import gzip
import http.client
import json
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import time

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from models.spec.errors import UserError
from serving.request_error import RequestError
from serving.server_metrics import ServerMetrics
from tests.unit import rest_case
from tests.unit.rest_case import FEATURES, INSTANCES, LIMIT, MAX_BODY, Admission, Client


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return rest_case.export(tmp_path_factory.mktemp("rest"))


@pytest.fixture(scope="module")
def admission():
    return Admission()


@pytest.fixture(scope="module")
def metrics():
    return ServerMetrics(lambda name: name in ("books", "echo"))


@pytest.fixture(scope="module")
def port(models, admission, metrics):
    server = rest_case.server(models, admission, metrics)
    yield server.start()
    server.stop(grace=1.0)


@pytest.fixture
def client(port):
    client = Client(port)
    yield client
    client.close()


@pytest.mark.parametrize(("code", "status"), [
    ("RESOURCE_EXHAUSTED", 429), ("DEADLINE_EXCEEDED", 504), ("UNAVAILABLE", 503), ("INTERNAL", 500),
    ("INVALID_ARGUMENT", 400), ("UNIMPLEMENTED", 501), ("DATA_LOSS", 500)])
def test_a_refusal_of_any_kind_has_its_status(client, admission, code, status):
    admission.error = RequestError(grpc.StatusCode[code], "because")
    try:
        assert client.json("POST", "/v1/models/books:predict", INSTANCES) == (status, {"error": "because"})
    finally:
        admission.error = None


def test_what_takes_too_long_is_ended(client, admission):
    admission.open.clear()
    try:
        start = time.monotonic()
        status, answer = client.json("POST", "/v1/models/books:predict", INSTANCES)
        assert LIMIT <= time.monotonic() - start < LIMIT + 5
    finally:
        admission.open.set()
    assert (status, answer) == (504, {"error": "there was no answer within 1 s"})
    assert client.json("POST", "/v1/models/books:predict", INSTANCES)[0] == 200


def test_a_failure_inside_is_logged_and_told_without_its_cause(client, caplog):
    assert client.json("POST", "/v1/models/broken:predict", INSTANCES) == (
        500, {"error": "internal error; the server's log says more"})
    assert client.json("GET", "/v1/models/broken")[0] == 500
    assert [r.getMessage() for r in caplog.records] == [
        "POST /v1/models/broken:predict failed", "GET /v1/models/broken failed"]
    assert "of no interest" in caplog.text
    assert client.json("POST", "/v1/models/books:predict", INSTANCES)[0] == 200


def test_a_body_may_be_compressed_and_is_of_limited_size(client):
    def ask(body, **headers):
        status, text = client.ask("POST", "/v1/models/echo:predict", body, headers)
        return status, json.loads(text)

    long = json.dumps({"instances": ["a" * MAX_BODY]}).encode()
    right = json.dumps({"instances": ["a"]}).encode()
    gzipped = {"Content-Encoding": "gzip"}
    too_large = (413, {"error": f"the body has more than {MAX_BODY} bytes"})
    assert ask(gzip.compress(right), **gzipped) == (200, {"predictions": ["a"]})
    assert ask(long) == too_large
    assert ask(gzip.compress(long), **gzipped) == too_large
    status, answer = ask(right, **gzipped)
    assert status == 400 and answer["error"].startswith("the body cannot be read: ")
    assert ask(right) == (200, {"predictions": ["a"]})


GOOD = json.dumps({**INSTANCES, "signature_name": "serving_default"}).encode()
WRONG_VALUES = [
    b"null", b"true", b"3", b"1e39", b"-9223372036854775809", b'"x"', b"{}", b"[]", b"[[[[]]]]", b'[["a"], "b"]',
    b'{"b64": 1}', b'[{"b64": "!"}]', b'[{"b64": "AA==", "c": 1}]', b"[NaN]", b"[1, 2.5]", b"[null]", b'[["a"], []]',
    b"[" * 500 + b"]" * 500, b'{"a": ' * 300 + b"1" + b"}" * 300, b'["\\u0000"]', b"1" * 4000]
TEMPLATES = {
    "predict": [b'{"instances": %s}', b'{"inputs": {"examples": %s}}', b'{"signature_name": "rank_top_k", "inputs": '
                b'{"k": %s, "reader": [""], "age": [1], "lately": [[""]], "book": [""], "topics": [[""]]}}'],
    "classify": [b'{"examples": %s}', b'{"examples": [{"age": [%s, "a"]}]}'],
    "regress": [b'{"context": %s, "examples": [3]}', b'{"signature_name": [%s], "examples": [{}]}']}
# A column may be empty, and a feature have any name.
RIGHT = {b'{"inputs": {"examples": []}}', b'{"examples": [{"b64": "!"}]}', b'{"examples": [{"b64": "AA==", "c": 1}]}'}
MALFORMED = [
    *[("predict", GOOD[:end]) for end in range(0, len(GOOD), 4)],
    *[("predict", GOOD.replace(b'"', wrong, 3)) for wrong in (b"'", b"\xff", b"\\", b"", b'""', b"\x00")],
    *[("predict", text) for text in (
        b"\x00", b"\xff\xfe", b"\xef\xbb\xbf" + GOOD, GOOD.decode().encode("utf-16"), GOOD + b"}", GOOD * 2,
        b"[" * 60_000, b'{"a":' * 10_000, b"[" * 60_000 + b"NaN", b"-", b'{"instances": ["\\ud800"]}',
        b'{"instances": ["\\udc00"], "x": NaN}', b'{"instances": ["' + b"\xff" * 10 + b'"]}',
        gzip.compress(GOOD, mtime=0))],
    *[(method, template % value) for method, templates in TEMPLATES.items() for template in templates
      for value in WRONG_VALUES if template % value not in RIGHT],
]


@pytest.mark.parametrize(("method", "body"), MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_body_is_refused_and_the_server_goes_on(client, method, body):
    status, answer = client.json("POST", f"/v1/models/books:{method}", body)
    assert status == 400 and list(answer) == ["error"] and answer["error"], answer
    assert client.ask("POST", "/v1/models/echo:predict", {"instances": ["a"]}) == (200, b'{"predictions":["a"]}')


def test_what_is_no_http_is_refused_without_a_word_in_the_log(port, client, caplog):
    for data in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    assert client.ask("GET", "/v1/models/books")[0] == 200
    assert not [r for r in caplog.records if r.levelno > logging.DEBUG]


def test_a_body_that_does_not_come_is_not_waited_for(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"POST /v1/models/books:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 504 ")


def test_metrics_of_what_was_asked(models, admission):
    server = rest_case.server(models, admission, ServerMetrics(lambda name: name == "books"))
    client = Client(server.start())
    try:
        for _ in range(3):
            client.ask("POST", "/v1/models/books:predict", INSTANCES)
        client.ask("POST", "/v1/models/books:classify", FEATURES)
        client.ask("POST", "/v1/models/books:regress", b"{")
        client.ask("POST", "/v1/models/books:regress", b" " * (MAX_BODY + 1))
        for i in range(5):
            client.ask("POST", f"/v1/models/none{i}:predict", INSTANCES)
        client.ask("GET", "/v1/models/books")
        status, text = client.ask("GET", "/monitoring/prometheus/metrics")
    finally:
        client.close()
        server.stop()
    assert (status, client.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    samples = [s for family in text_string_to_metric_families(text.decode()) for s in family.samples]
    counts = {tuple(s.labels.values()): s.value for s in samples if s.name.endswith("request_count_total")}
    assert counts == {
        ("books", "OK"): 4, ("books", "INVALID_ARGUMENT"): 1, ("books", "RESOURCE_EXHAUSTED"): 1, ("", "NOT_FOUND"): 5}
    latencies = {tuple(s.labels.values()): s.value for s in samples if s.name.endswith("request_latency_count")}
    assert latencies == {
        ("predict", "REST", "books"): 3, ("classify", "REST", "books"): 1, ("regress", "REST", "books"): 2,
        ("predict", "REST", ""): 5}
    runs = {tuple(s.labels.values()): s.value for s in samples if s.name.endswith("runtime_latency_count")}
    assert runs == {("Predict", "books", "TF1"): 3, ("Classify", "books", "TF1"): 1}


def test_more_requests_than_workers_are_refused_at_once(models, metrics):
    admission = Admission()
    admission.open.clear()
    server = rest_case.server(models, admission, metrics, workers=1)
    port = server.start()
    first, second = Client(port), Client(port)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(first.json("POST", "/v1/models/echo:predict", {
        "instances": ["a"]})))
    try:
        thread.start()
        assert admission.inside.wait(10)
        assert second.json("POST", "/v1/models/echo:predict", {"instances": ["b"]}) == (
            429, {"error": "too many requests at once"})
        # What needs no worker is answered all the same.
        assert second.ask("GET", "/v1/models/books")[0] == 200
        admission.open.set()
        thread.join(10)
        assert answers == [(200, {"predictions": ["a"]})]
        assert second.json("POST", "/v1/models/echo:predict", {"instances": ["b"]})[0] == 200
    finally:
        admission.open.set()
        first.close()
        second.close()
        server.stop()


def _stop_with_one_under_way(models, metrics, grace, hold):
    """Stops a server while it has a request; returns what became of it, and the seconds it took."""
    admission = Admission(limit=30.0)
    admission.open.clear()
    server = rest_case.server(models, admission, metrics, timeout_seconds=30.0)
    port = server.start()
    answers = []

    def ask():
        client = Client(port)
        try:
            answers.append((*client.json("POST", "/v1/models/echo:predict", {"instances": ["a"]}),
                            client.headers["Connection"]))
        except (http.client.HTTPException, OSError):
            answers.append("closed")
        finally:
            client.close()

    thread = threading.Thread(target=ask)
    thread.start()
    assert admission.inside.wait(10)
    threading.Timer(hold, admission.open.set).start()
    start = time.monotonic()
    server.stop(grace)
    seconds = time.monotonic() - start
    thread.join(10)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    admission.open.set()
    return answers, seconds


def test_a_request_under_way_is_answered_when_the_server_stops(models, metrics):
    answers, seconds = _stop_with_one_under_way(models, metrics, grace=10.0, hold=0.2)
    assert answers == [(200, {"predictions": ["a"]}, "close")] and 0.1 < seconds < 5


def test_a_request_is_not_waited_for_longer_than_the_grace(models, metrics):
    answers, seconds = _stop_with_one_under_way(models, metrics, grace=0.1, hold=5.0)
    assert answers == ["closed"] and seconds < 3


def test_a_connection_that_is_idle_does_not_hold_up_the_stop(models, admission, metrics):
    server = rest_case.server(models, admission, metrics)
    client = Client(server.start())
    assert client.ask("GET", "/v1/models/books")[0] == 200
    start = time.monotonic()
    server.stop(grace=10.0)
    server.stop()
    client.close()
    assert time.monotonic() - start < 5
    rest_case.server(models, admission, metrics).stop()


def test_an_address_that_is_not_free_is_the_users_error(port, models, admission, metrics):
    with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{port}: is another server using the port?"):
        rest_case.server(models, admission, metrics, port=port).start()
    with pytest.raises(UserError, match="cannot listen on no.such.host.invalid:0"):
        rest_case.server(models, admission, metrics, host="no.such.host.invalid").start()


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make a certificate with")
def test_https(models, admission, metrics, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key", "-out",
         tmp_path / "certificate", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"],
        check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    server = rest_case.server(models, admission, metrics, ssl_context=context)
    client = Client(server.start(), context=ssl.create_default_context(cafile=str(tmp_path / "certificate")))
    try:
        assert client.ask("POST", "/v1/models/echo:predict", {"instances": ["a"]}) == (200, b'{"predictions":["a"]}')
    finally:
        client.close()
        server.stop()
