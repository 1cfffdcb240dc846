"""The answers of the REST API, which are those of the model."""

import math

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_serving.apis import input_pb2

from serving import inference
from serving.server_metrics import ServerMetrics
from tests.unit import rest_case
from tests.unit.rest_case import CLICKS, EXAMPLES, FEATURES, INSTANCES, LOGITS, RANKED


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return rest_case.export(tmp_path_factory.mktemp("rest"))


@pytest.fixture(scope="module")
def port(models):
    server = rest_case.server(models, rest_case.Admission(), ServerMetrics(lambda name: name in ("books", "echo")))
    yield server.start()
    server.stop(grace=1.0)


@pytest.fixture
def client(port):
    client = rest_case.Client(port)
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
    ("POST", "/v1/models/films:predict", 404, "no model 'films'; this server has: 'books'"),
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
