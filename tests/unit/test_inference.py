"""Classify, Regress and MultiInference, asked over a real channel with TF Serving's own stubs."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from models import raw_example
from serving.prediction_service import PredictionService
from serving.servable import Servable
from tests.unit import served_model

# 0.1 for each year, book and topic.
ROWS = [({"age": [3.0], "topics": [b"sea"]}, 0.4), ({}, 0.0), ({"age": [50.0], "lately": [b"b1", b"b2"]}, 5.2)]
CLICKS = 1 / (1 + np.exp([-logit for _, logit in ROWS]))
METHODS = {"classify": tf.saved_model.CLASSIFY_METHOD_NAME, "regress": tf.saved_model.REGRESS_METHOD_NAME}


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("books")
    served_model.export(folder / "7", 0.0)
    server = served_model.server(folder)
    port = server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield prediction_service_pb2_grpc.PredictionServiceStub(channel)
    server.stop(grace=1.0)


def _example(features):
    return tf.train.Example.FromString(raw_example.encode(features))


def _request(kind, signature_name="", rows=ROWS):
    request = kind()
    request.model_spec.name = "books"
    request.model_spec.signature_name = signature_name
    request.input.example_list.examples.extend(_example(features) for features, _ in rows)
    return request


def _multi(*names):
    request = inference_pb2.MultiInferenceRequest()
    for name in names:
        request.tasks.add(method_name=METHODS.get(name, name)).model_spec.name = "books"
    request.input.example_list.examples.extend(_example(features) for features, _ in ROWS)
    return request


def _of_two_models():
    request = _multi("regress", "classify")
    request.tasks[1].model_spec.name = "films"
    return request


def _classes(result):
    return [[(c.label, c.score) for c in row.classes] for row in result.classifications]


def _check_classes(result):
    found = _classes(result)
    assert [[label for label, _ in row] for row in found] == [["0", "1"]] * 3
    np.testing.assert_allclose([[score for _, score in row] for row in found], np.stack([1 - CLICKS, CLICKS], 1), 1e-5)


def _check_values(result):
    np.testing.assert_allclose([r.value for r in result.regressions], CLICKS, 1e-5)


@pytest.mark.parametrize(("method", "kind", "signature_name", "check"), [
    ("Classify", classification_pb2.ClassificationRequest, "classify", _check_classes),
    ("Regress", regression_pb2.RegressionRequest, "regress", _check_values)])
@pytest.mark.parametrize("named", [False, True])
def test_one_method(stub, method, kind, signature_name, check, named):
    response = getattr(stub, method)(_request(kind, signature_name if named else ""))
    check(response.result)
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("books", 7, signature_name)


def test_several_at_once(stub):
    first, second = stub.MultiInference(_multi("regress", "classify")).results
    _check_values(first.regression_result)
    _check_classes(second.classification_result)
    assert (first.model_spec.signature_name, second.model_spec.signature_name) == ("regress", "classify")


def test_one_version_answers_all_tasks_that_name_none(tmp_path):
    served_model.export(tmp_path / "books", 0.0)
    newest = iter((2, 3))

    class Pushes:
        """A new version comes between any two looks."""

        def find(self, name, version, label):
            return Servable(str(tmp_path / "books"), version or next(newest))

    request = _multi("regress", "classify", "regress")
    request.tasks[2].model_spec.version.value = 1
    results = PredictionService(Pushes()).MultiInference(request).results
    assert [result.model_spec.version.value for result in results] == [2, 2, 1]


def test_a_context_is_of_every_example_and_gives_way_to_its_own(stub):
    request = regression_pb2.RegressionRequest()
    request.model_spec.name = "books"
    given = request.input.example_list_with_context
    given.context.CopyFrom(_example({"age": [50.0], "lately": [b"b1", b"b2"]}))
    given.examples.extend([_example({}), _example({"age": [1.0], "topics": [b"sea"]})])
    values = [r.value for r in stub.Regress(request).result.regressions]
    np.testing.assert_allclose(values, 1 / (1 + np.exp([-5.2, -0.4])), 1e-5)


@pytest.mark.parametrize(("method", "request_", "code", "words"), [
    ("Classify", _request(classification_pb2.ClassificationRequest, "regress"), "INVALID_ARGUMENT",
     "signature 'regress' is not for Classify: it goes from inputs to outputs"),
    ("Regress", _request(regression_pb2.RegressionRequest, "serving_default"), "INVALID_ARGUMENT",
     "Regress needs inputs and outputs"),
    ("Regress", _request(regression_pb2.RegressionRequest, "none"), "NOT_FOUND",
     "there are: classify, rank_top_k, regress, serving_default"),
    ("Classify", _request(classification_pb2.ClassificationRequest, rows=[]), "INVALID_ARGUMENT", "holds no Example"),
    ("Classify", _request(classification_pb2.ClassificationRequest, rows=[({"age": [b"old"]}, 0)]), "INVALID_ARGUMENT",
     "row 0, feature 'age'"),
    ("MultiInference", _multi(), "INVALID_ARGUMENT", "no task"),
    ("MultiInference", _of_two_models(), "INVALID_ARGUMENT", "several models: 'books', 'films'; a request is for one"),
    ("MultiInference", _multi("regress", "guess"), "INVALID_ARGUMENT", "no method 'guess'; there are: tensorflow/"),
])
def test_a_wrong_request_is_told_what_is_wrong(stub, method, request_, code, words):
    with pytest.raises(grpc.RpcError) as error:
        getattr(stub, method)(request_)
    assert error.value.code().name == code and words in error.value.details()
