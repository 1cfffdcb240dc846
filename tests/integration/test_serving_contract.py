"""TF Serving's contract, asked of the embedded server and, where it is installed, of the stock one.

Only what both promise is in here. What the embedded server says besides, its own tests check.
"""

import json
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from models.ctr_model import CTRModel
from models.preprocessing import fields
from models.spec.feature import Feature
from serving.client import PredictClient
from serving.export import export_ctr_model
from serving.model_config import ModelConfig, to_proto
from serving.version_policy import VersionPolicy
from tests.unit.exported_books import ROWS, SPEC, UNSEEN, examples, transform_output

EXAMPLES = examples(ROWS + UNSEEN).numpy().tolist()
STATE = get_model_status_pb2.ModelVersionStatus.State


@pytest.fixture(scope="module")
def base_path(tmp_path_factory):
    """Two versions of other weights."""
    tft_output = transform_output(str(tmp_path_factory.mktemp("transform")))
    folder = tmp_path_factory.mktemp("books")
    for version in (1, 2):
        keras.utils.set_random_seed(version)
        model = CTRModel(fields(SPEC, tft_output), backbone="autoint", embedding_dim=4)
        export_ctr_model(model, tft_output, SPEC, str(folder / str(version)))
    return folder


@pytest.fixture(scope="module")
def models(base_path):
    """The versions as they are without a server."""
    return {version: tf.saved_model.load(str(base_path / str(version))) for version in (1, 2)}


def _config(base_path, **labels):
    return to_proto([ModelConfig("books", str(base_path), VersionPolicy(latest=2), labels)])


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module", params=["embedded", "stock"])
def server(request, base_path, tmp_path_factory):
    """`ctrl serve`; its gRPC target, and the REST API's address."""
    if request.param == "stock" and shutil.which("tensorflow_model_server") is None:
        pytest.skip("tensorflow_model_server is not on the PATH")
    folder = tmp_path_factory.mktemp("server")
    (folder / "models.config").write_text(text_format.MessageToString(_config(base_path, stable=1)), encoding="utf-8")
    rest_port = _free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from pipeline.cli import main; sys.exit(main())", "serve",
         "--server", request.param, "--model-config",
         str(folder / "models.config"), "--port", "0", "--port-file", str(folder / "port"),
         "--rest-port", str(rest_port)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("serving books")
        yield f"127.0.0.1:{(folder / 'port').read_text().strip()}", f"http://127.0.0.1:{rest_port}"
        process.terminate()
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (0, "")


@pytest.fixture(scope="module")
def channel(server):
    with grpc.insecure_channel(server[0]) as channel:
        yield channel


@pytest.fixture(scope="module")
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def _rest(server, path, body=None):
    """Status and JSON of an answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    data = None if body is None else json.dumps(body).encode()
    try:
        with opener.open(f"{server[1]}{path}", data, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _spec(request, signature="", version=None, label=""):
    request.model_spec.name, request.model_spec.signature_name = "books", signature
    if version:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    return request


def _predict(inputs, signature="", **asked):
    request = _spec(predict_pb2.PredictRequest(), signature, **asked)
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def _with_examples(request, rows=EXAMPLES):
    for row in rows:
        request.input.example_list.examples.add().ParseFromString(row)
    return request


def _columns(rows, ranking=False):
    """Rows as a tensor a feature; when ranking, only the first row's user."""
    columns = {}
    for feature in SPEC.model_features:
        of = rows[:1] if ranking and feature.side != "item" else rows
        values = [row.get(feature.name, []) for row in of]
        columns[feature.name] = _tensor(feature, [[v] if isinstance(v, str) else v for v in values])
    return columns


def _tensor(feature: Feature, values):
    if feature.kind == "numeric":
        return np.array([v[0] if v else np.nan for v in values], np.float32)
    values = [[v.encode() if isinstance(v, str) else v for v in row] for row in values]
    if not feature.is_list:
        return np.array([row[0] if row else b"" for row in values], object)
    width = max(map(len, values))
    return np.array([row + [b""] * (width - len(row)) for row in values], object).reshape(len(values), width)


def _arrays(response):
    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


def _code(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    return caught.value.code().name


@pytest.mark.parametrize(("signature", "inputs"), [
    ("serving_default", {"examples": EXAMPLES}),
    ("predict_columns", _columns(ROWS + UNSEEN)),
    ("rank", _columns(ROWS, ranking=True)),
    ("rank_top_k", {"k": np.int32(2), **_columns(ROWS, ranking=True)}),
])
def test_predictions_are_the_models(stub, models, signature, inputs):
    for version in (1, 2):
        response = stub.Predict(_predict(inputs, signature, version=version), timeout=30)
        assert (response.model_spec.name, response.model_spec.version.value) == ("books", version)
        assert response.model_spec.signature_name == signature
        expected = models[version].signatures[signature](**{n: tf.constant(v) for n, v in inputs.items()})
        answered = _arrays(response)
        assert set(answered) == set(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(answered[name], values, atol=1e-6)


def test_the_newest_version_a_number_and_a_label(stub):
    inputs = {"examples": EXAMPLES[:1]}
    assert stub.Predict(_predict(inputs), timeout=30).model_spec.version.value == 2
    assert stub.Predict(_predict(inputs, version=1), timeout=30).model_spec.version.value == 1
    assert stub.Predict(_predict(inputs, label="stable"), timeout=30).model_spec.version.value == 1


def test_classify_regress_and_both(stub):
    clicks = _arrays(stub.Predict(_predict({"examples": EXAMPLES}), timeout=30))["probability"]
    classified = stub.Classify(
        _with_examples(_spec(classification_pb2.ClassificationRequest(), "classify")), timeout=30)
    scores = [[(c.label, c.score) for c in row.classes] for row in classified.result.classifications]
    assert [[label for label, _ in row] for row in scores] == [["0", "1"]] * len(EXAMPLES)
    np.testing.assert_allclose([[s for _, s in row] for row in scores], np.stack([1 - clicks, clicks], 1), atol=1e-6)
    regressed = stub.Regress(_with_examples(_spec(regression_pb2.RegressionRequest(), "regress")), timeout=30)
    np.testing.assert_allclose([r.value for r in regressed.result.regressions], clicks, atol=1e-6)
    request = _with_examples(inference_pb2.MultiInferenceRequest())
    for method, signature in (("classify", "classify"), ("regress", "regress")):
        task = _spec(request.tasks.add(method_name=f"tensorflow/serving/{method}"), signature)
        assert task.model_spec.name == "books"
    both = stub.MultiInference(request, timeout=30)
    assert both.results[0].classification_result == classified.result
    assert both.results[1].regression_result == regressed.result


def test_metadata_and_status(stub, channel, models):
    request = _spec(get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"]))
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert stub.GetModelMetadata(request, timeout=30).metadata["signature_def"].Unpack(signatures)
    for name, function in models[2].signatures.items():
        found = signatures.signature_def[name]
        assert set(found.inputs) == set(function.structured_input_signature[1])
        assert set(found.outputs) == set(function.structured_outputs)
    status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(
        _spec(get_model_status_pb2.GetModelStatusRequest()), timeout=30)
    assert {s.version: STATE.Name(s.state) for s in status.model_version_status} == {1: "AVAILABLE", 2: "AVAILABLE"}


def test_refusals(stub):
    request = _predict({"examples": EXAMPLES})
    request.model_spec.name = "films"
    assert _code(stub.Predict, request) == "NOT_FOUND"
    assert _code(stub.Predict, _predict({"examples": EXAMPLES}, version=7)) == "NOT_FOUND"
    for inputs in ({"examples": [1.0]}, {"rows": EXAMPLES}, {"examples": [b"\xff\xff"]}):
        assert _code(stub.Predict, _predict(inputs)) == "INVALID_ARGUMENT"


def test_a_reload_gives_other_labels(stub, channel, base_path):
    service = model_service_pb2_grpc.ModelServiceStub(channel)
    inputs = {"examples": EXAMPLES[:1]}
    for labels in ({"stable": 1, "canary": 2}, {"stable": 1}):
        request = model_management_pb2.ReloadConfigRequest(config=_config(base_path, **labels))
        assert service.HandleReloadConfigRequest(request, timeout=60).status.error_code == 0
        if "canary" in labels:
            assert stub.Predict(_predict(inputs, label="canary"), timeout=30).model_spec.version.value == 2
    with pytest.raises(grpc.RpcError):
        stub.Predict(_predict(inputs, label="canary"), timeout=30)


def test_rest_says_the_same(server, stub):
    clicks = _arrays(stub.Predict(_predict(_columns(ROWS), "predict_columns"), timeout=30))
    columns = {n: [[t.decode() for t in v] if isinstance(v, list) else v.decode() if isinstance(v, bytes) else v
                   for v in a.tolist()] for n, a in _columns(ROWS).items()}
    # JSON has no NaN, though TF Serving reads it.
    columns["age"] = [0.0 if v != v else v for v in columns["age"]]
    known = [i for i, v in enumerate(_columns(ROWS)["age"]) if v == v]
    status, answer = _rest(server, "/v1/models/books:predict", {"signature_name": "predict_columns", "inputs": columns})
    assert status == 200
    np.testing.assert_allclose(
        np.array(answer["outputs"]["probability"])[known], clicks["probability"][known], atol=1e-6)
    instances = [{n: v[i] for n, v in columns.items()} for i in range(len(ROWS))]
    status, rows = _rest(server, "/v1/models/books/versions/2:predict",
                         {"signature_name": "predict_columns", "instances": instances})
    assert status == 200
    assert [row["logit"] for row in rows["predictions"]] == answer["outputs"]["logit"]
    assert _rest(server, "/v1/models/books/labels/stable")[1]["model_version_status"][0]["version"] == "1"
    assert _rest(server, "/v1/models/films")[0] == 404
    assert _rest(server, "/v1/models/books:predict", {"instances": [1]})[0] == 400


def test_the_client_needs_to_know_nothing_of_the_server(server, stub):
    clicks = _arrays(stub.Predict(_predict({"examples": EXAMPLES}), timeout=30))["probability"]
    with PredictClient(server[0], "books") as client:
        np.testing.assert_allclose(client.predict(EXAMPLES), clicks, atol=1e-6)
        user = {"reader": "ann", "age": "31", "lately": "b1|b2"}
        ((best, probability),) = client.rank(SPEC, user, [{"book": "b1"}, {"book": "b2"}, {"book": "b3"}], k=1)
    asked = [{"reader": "ann", "age": [31.0], "lately": ["b1", "b2"], "book": b} for b in ("b1", "b2", "b3")]
    scores = _arrays(stub.Predict(_predict(_columns(asked), "predict_columns"), timeout=30))["probability"]
    assert best == int(np.argmax(scores)) and probability == pytest.approx(scores[best], abs=1e-6)
