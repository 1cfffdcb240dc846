"""The REST API, asked over HTTP; its answers are those of the model."""

import base64
import contextlib
import gzip
import http.client
import json
import logging
import math
import shutil
import socket
import ssl
import subprocess
import threading
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from prometheus_client.parser import text_string_to_metric_families
from tensorflow_serving.apis import get_model_status_pb2, input_pb2

from models import raw_example
from models.spec.errors import UserError
from serving import inference
from serving.request_error import RequestError
from serving.rest_server import RestServer
from serving.servable import Servable
from serving.server_metrics import ServerMetrics
from serving.version_watcher import VersionWatcher
from tests.unit import served_model

# 0.1 for each year, book and topic.
ROWS = [({"age": [3.0], "topics": [b"sea"]}, 0.4), ({}, 0.0), ({"age": [50.0], "lately": [b"b1", b"b2"]}, 5.2)]
EXAMPLES = [raw_example.encode(row) for row, _ in ROWS]
LOGITS = [logit for _, logit in ROWS]
CLICKS = 1 / (1 + np.exp(-np.array(LOGITS)))
INSTANCES = {"instances": [{"b64": base64.b64encode(e).decode()} for e in EXAMPLES]}
# The same rows, as a caller of Classify and Regress writes them.
FEATURES = {"examples": [
    {"age": 3.0, "topics": ["sea"]}, {}, {"age": [50.0], "lately": ["b1", {"b64": base64.b64encode(b"b2").decode()}]}]}
RANKED = {"signature_name": "rank_top_k", "inputs": {
    "k": 2, "reader": ["ann"], "age": [math.nan], "lately": [["b1", ""]], "book": ["x", "", "y"],
    "topics": [["a", ""], ["a", "b"], ["a", "b"]]}}
MAX_BODY = 1 << 16
LIMIT = 1.0


class _Models:
    """What the server needs of the models: books, from a folder, and echo."""

    def __init__(self, watcher, echo):
        self._watcher, self._echo = watcher, echo

    def find(self, name, version=None, label=""):
        if name == "broken":
            raise ZeroDivisionError("of no interest to a client")
        return self._echo if name == "echo" and not label else self._watcher.find(name, version, label)

    def statuses(self, name, version=None, label=""):
        found = self.find(name, version, label)
        response = get_model_status_pb2.GetModelStatusResponse()
        state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
        response.model_version_status.add(version=found.version, state=state).status.error_message = ""
        return response


class _Admission:
    """Lets all run, or raises what it was told to; tells of those inside, and can hold them."""

    def __init__(self, limit=LIMIT):
        self.limit = limit
        self.error = None
        self.inside = threading.Event()
        self.open = threading.Event()
        self.open.set()

    @contextlib.contextmanager
    def slot(self, seconds):
        assert 0 <= seconds <= self.limit
        if self.error:
            raise self.error
        self.inside.set()
        self.open.wait()
        yield


class _Client:
    """A connection that is kept."""

    def __init__(self, port, **options):
        kind = http.client.HTTPSConnection if options else http.client.HTTPConnection
        self._connection = kind("127.0.0.1", port, timeout=20, **options)

    def ask(self, method, path, body=None, headers=()):
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        self._connection.request(method, path, data, dict(headers))
        response = self._connection.getresponse()
        self.headers = response.headers
        return response.status, response.read()

    def json(self, method, path, body=None):
        status, text = self.ask(method, path, body)
        return status, json.loads(text)

    def close(self):
        self._connection.close()


def _export_echo(folder):
    """A model that gives back what it gets, with outputs of every kind."""
    module = tf.Module()
    columns = {"age": tf.TensorSpec([None], tf.float32, name="age"),
               "topics": tf.TensorSpec([None, None], tf.string, name="topics")}

    def echo(age, topics):
        return {"age": age, "raw_bytes": topics[:, 0], "topics": topics}

    tf.saved_model.save(module, str(folder), signatures={
        "serving_default": tf.function(lambda text: {"text": text}).get_concrete_function(
            tf.TensorSpec([None], tf.string, name="text")),
        "columns": tf.function(echo).get_concrete_function(**columns)})


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rest")
    served_model.export(folder / "books" / "7", 0.0)
    _export_echo(folder / "echo")
    watcher = VersionWatcher(str(folder / "books"), "books")
    watcher.poll(settle=False)
    return _Models(watcher, Servable(str(folder / "echo"), 1))


@pytest.fixture(scope="module")
def admission():
    return _Admission()


@pytest.fixture(scope="module")
def metrics():
    return ServerMetrics(lambda name: name in ("books", "echo"))


def _server(models, admission, metrics, **options):
    options = {"port": 0, "max_body_bytes": MAX_BODY, "timeout_seconds": LIMIT, **options}
    return RestServer(models, admission, metrics, **options)


@pytest.fixture(scope="module")
def port(models, admission, metrics):
    server = _server(models, admission, metrics)
    yield server.start()
    server.stop(grace=1.0)


@pytest.fixture
def client(port):
    client = _Client(port)
    yield client
    client.close()


def test_rows_of_examples(client, models):
    status, answer = client.json("POST", "/v1/models/books:predict", INSTANCES)
    assert (status, client.headers["Content-Type"], list(answer)) == (200, "application/json", ["predictions"])
    np.testing.assert_allclose([row["logit"] for row in answer["predictions"]], LOGITS, atol=1e-5)
    outputs = models.find("books").run_arrays("serving_default", {"examples": np.array(EXAMPLES, object)})
    assert answer["predictions"] == [
        {"logit": float(str(logit)), "probability": float(str(click))}
        for logit, click in zip(outputs["logit"], outputs["probability"])]


def test_a_column_of_examples(client):
    status, answer = client.json("POST", "/V1/Models/books/versions/7:Predict", {"inputs": INSTANCES["instances"]})
    assert (status, list(answer)) == (200, ["outputs"])
    np.testing.assert_allclose(answer["outputs"]["logit"], LOGITS, atol=1e-5)
    np.testing.assert_allclose(answer["outputs"]["probability"], CLICKS, atol=1e-6)


def test_one_output_is_not_named(client):
    for path in ("/v1/models/echo:predict", "/v1/models/%65cho:predict?a=b"):
        assert client.ask("POST", path, {"instances": ["a", "ü"]}) == (200, '{"predictions":["a","ü"]}'.encode())
    assert client.ask("POST", "/v1/models/echo:predict", {"inputs": ["a"]}) == (200, b'{"outputs":["a"]}')


def test_rows_of_several_inputs(client):
    rows = [{"age": 0.1, "topics": ["a", "b"]}, {"age": 31, "topics": [{"b64": "/w=="}, ""]}]
    body = {"signature_name": "columns", "instances": rows}
    assert client.ask("POST", "/v1/models/echo:predict", body) == (200, (
        '{"predictions":[{"age":0.1,"raw_bytes":{"b64":"YQ=="},"topics":["a","b"]},'
        '{"age":31.0,"raw_bytes":{"b64":"/w=="},"topics":["\ufffd",""]}]}').encode())
    rows[0]["age"] = math.nan
    assert client.ask("POST", "/v1/models/echo:predict", body)[1].startswith(
        b'{"predictions": [{"age": NaN, "raw_bytes": {"b64": "YQ=="}, "topics": ["a", "b"]}')


def test_ranking_by_inputs(client):
    status, answer = client.json("POST", "/v1/models/books:predict", RANKED)
    # A book read lately is of the reader; topics are of the item; a book without a name is last; k is 2.
    assert (status, answer["outputs"]["index"]) == (200, [2, 0])
    np.testing.assert_allclose(answer["outputs"]["logit"], [0.3, 0.2], atol=1e-6)
    np.testing.assert_allclose(answer["outputs"]["probability"], [0.57444252, 0.549834], atol=1e-6)


def test_classify(client, models):
    status, answer = client.json("POST", "/v1/models/books:classify", FEATURES)
    assert (status, list(answer)) == (200, ["results"])
    assert [[label for label, _ in row] for row in answer["results"]] == [["0", "1"]] * 3
    np.testing.assert_allclose([row[1][1] for row in answer["results"]], CLICKS, atol=1e-6)
    given = input_pb2.Input()
    given.example_list.examples.extend(map(tf.train.Example.FromString, EXAMPLES))
    expected = inference.classify(models.find("books"), "", given)
    assert np.float32([[score for _, score in row] for row in answer["results"]]).tolist() == [
        [c.score for c in row.classes] for row in expected.classifications]


def test_regress_with_a_context(client):
    body = {"signature_name": "regress", "context": {"age": 50.0}, "examples": [{"lately": ["b1", "b2"]}, {"age": 1.0}]}
    status, answer = client.json("POST", "/v1/models/books/versions/7:regress", body)
    assert status == 200
    np.testing.assert_allclose(answer["results"], 1 / (1 + np.exp([-5.2, -0.1])), atol=1e-6)


@pytest.mark.parametrize("method", ["classify", "regress"])
def test_an_integer_where_a_float_is_wanted_is_explained(client, method):
    body = {"examples": [{"age": 31.0}, {"age": 31}]}
    status, answer = client.json("POST", f"/v1/models/books:{method}", body)
    assert (status, answer["error"]) == (400, (
        "row 1, feature 'age': Data types don't match. Expected type: float, Actual type: int64. "
        'A JSON number without a point is an int64: write 31.0 for a float, "31" for a string'))


def test_status_word_for_word(client):
    for path in ("/v1/models/books", "/v1/models/books/versions/7"):
        status, text = client.ask("GET", path)
        assert (status, client.headers["Content-Type"]) == (200, "application/json")
        assert text.decode() == """{
  "model_version_status": [
    {
      "version": "7",
      "state": "AVAILABLE",
      "status": {
        "error_code": "OK",
        "error_message": ""
      }
    }
  ]
}
"""


def test_metadata_as_tf_serving_prints_it(client, models):
    status, answer = client.json("GET", "/v1/models/books/metadata")
    assert status == 200 and list(answer) == ["model_spec", "metadata"]
    assert answer["model_spec"] == {"name": "books", "version": "7", "signature_name": ""}
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert sorted(signatures) == ["classify", "rank_top_k", "regress", "serving_default"]
    default = models.find("books").signature("serving_default")
    assert signatures["serving_default"]["inputs"] == {"examples": {
        "dtype": "DT_STRING", "name": default.inputs["examples"].name,
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}}}
    assert signatures["serving_default"]["method_name"] == "tensorflow/serving/predict"
    assert json_format.ParseDict(signatures["rank_top_k"], type(default)()) == models.find("books").signature(
        "rank_top_k")
    assert client.ask("GET", "/v1/models/books/versions/7/metadata")[0] == 200


@pytest.mark.parametrize(("method", "path", "status", "words"), [
    ("POST", "/v1/models/films:predict", 404, "no model 'films'; this server has the model 'books'"),
    ("POST", "/v1/models/books/versions/8:predict", 404, "no version 8 of the model 'books'; version 7 is loaded"),
    ("POST", "/v1/models/books/labels/canary:predict", 404, "no version label 'canary'"),
    ("POST", "/v1/models/books/labels/a%2Fb:predict", 404, "no version label 'a/b'"),
    ("POST", "/v1/models/books/versions/9223372036854775808:predict", 400, "is more than 9223372036854775807"),
    ("POST", f"/v1/models/books/versions/{'9' * 5000}:predict", 400, "is more than 9223372036854775807"),
    ("GET", "/v1/models/films", 404, "no model 'films'"),
    ("GET", "/v1/models/books/versions/8", 404, "no version 8"),
    ("GET", "/v1/models/books/labels/canary/metadata", 404, "no version label 'canary'"),
    ("GET", "/", 404, "there is no /; paths are /v1/models/NAME and below"),
    ("GET", "/v1/models", 404, "there is no /v1/models;"),
    ("GET", "/v1/models/books/weights", 404, "there is no /v1/models/books/weights;"),
    ("POST", "/v1/models/books:guess", 404, "there is no /v1/models/books:guess;"),
    ("POST", "/v1/models/books/versions/x:predict", 404, "there is no /v1/models/books/versions/x:predict;"),
    ("POST", "/v1/models/books/versions/7/labels/a:predict", 404, "there is no "),
    ("GET", "/v1/models/books:predict", 405, "/v1/models/books:predict takes POST, not GET"),
    ("POST", "/v1/models/books", 405, "/v1/models/books takes GET, not POST"),
    ("DELETE", "/monitoring/prometheus/metrics", 405, "takes GET, not DELETE"),
    ("POST", "/v1/models/%FF%00:predict", 404, "no model"),
])
def test_a_wrong_path(client, method, path, status, words):
    found, answer = client.json(method, path, INSTANCES if method == "POST" else None)
    assert (found, list(answer)) == (status, ["error"]) and words in answer["error"]
    if status == 405:
        assert client.headers["Allow"] == {"POST": "GET", "GET": "POST"}.get(method, "GET")
    assert client.ask("GET", "/v1/models/books")[0] == 200


@pytest.mark.parametrize(("body", "status", "words"), [
    ({"signature_name": "guess", "instances": ["a"]}, 404, "no signature 'guess' in version 7; there are: classify, "),
    ({"instances": ["a"]}, 400, "input 'examples', row 0: is no serialized tf.train.Example"),
    ({"instances": INSTANCES["instances"] + [3]}, 400, "input 'examples', row 3: is 3; it must be a string"),
    ({"signature_name": "regress", "inputs": {"examples": []}}, 400, "the request has the input 'examples'; signature "
     "'regress' takes: inputs"),
    ({**RANKED, "inputs": {**RANKED["inputs"], "k": 9}}, 400, "k"),
    ({**RANKED, "inputs": {**RANKED["inputs"], "k": -1}}, 400, "k"),
    ({**RANKED, "inputs": {**RANKED["inputs"], "age": [1, 2]}}, 400, "input 'age' has the shape [2]; the signature "
     "wants [1]"),
    ({"a" * 5000: math.nan, "signature_name": "b" * 5000, "instances": []}, 404, "bbb..."),
])
def test_a_wrong_body(client, body, status, words):
    found, answer = client.json("POST", "/v1/models/books:predict", body)
    assert (found, list(answer)) == (status, ["error"]) and words in answer["error"], answer
    assert len(answer["error"]) < 2100


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
        b'{"instances": ["\\udc00"], "x": NaN}', b'{"instances": ["' + b"\xff" * 10 + b'"]}', gzip.compress(GOOD))],
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
    server = _server(models, admission, ServerMetrics(lambda name: name == "books"))
    client = _Client(server.start())
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
    admission = _Admission()
    admission.open.clear()
    server = _server(models, admission, metrics, workers=1)
    port = server.start()
    first, second = _Client(port), _Client(port)
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
    admission = _Admission(limit=30.0)
    admission.open.clear()
    server = _server(models, admission, metrics, timeout_seconds=30.0)
    port = server.start()
    answers = []

    def ask():
        client = _Client(port)
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
    server = _server(models, admission, metrics)
    client = _Client(server.start())
    assert client.ask("GET", "/v1/models/books")[0] == 200
    start = time.monotonic()
    server.stop(grace=10.0)
    server.stop()
    client.close()
    assert time.monotonic() - start < 5
    _server(models, admission, metrics).stop()


def test_an_address_that_is_not_free_is_the_users_error(port, models, admission, metrics):
    with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1:{port}: is another server using the port?"):
        _server(models, admission, metrics, port=port).start()
    for wrong in (-1, 65536):
        with pytest.raises(UserError, match=f"port {wrong}: is not between 0 and 65535; 0 takes a free one"):
            _server(models, admission, metrics, port=wrong).start()
    with pytest.raises(UserError, match="cannot listen on no.such.host.invalid:0"):
        _server(models, admission, metrics, host="no.such.host.invalid").start()


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make a certificate with")
def test_https(models, admission, metrics, tmp_path):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key", "-out",
         tmp_path / "certificate", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"],
        check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    server = _server(models, admission, metrics, ssl_context=context)
    client = _Client(server.start(), context=ssl.create_default_context(cafile=str(tmp_path / "certificate")))
    try:
        assert client.ask("POST", "/v1/models/echo:predict", {"instances": ["a"]}) == (200, b'{"predictions":["a"]}')
    finally:
        client.close()
        server.stop()
