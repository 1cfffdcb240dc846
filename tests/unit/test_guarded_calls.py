"""Which model a call is counted for, answered or sent away."""

import types

import grpc
import pytest
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.admission import Admission
from serving.guarded_calls import GuardedCalls

REQUESTS = {
    "Predict": predict_pb2.PredictRequest,
    "Classify": classification_pb2.ClassificationRequest,
    "Regress": regression_pb2.RegressionRequest,
    "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
    "MultiInference": inference_pb2.MultiInferenceRequest,
}


class _Context:
    def time_remaining(self):
        return None

    def is_active(self):
        return True

    def set_code(self, code):
        pass

    set_details = set_code


@pytest.fixture
def admission():
    return Admission(running=1, waiting=0)


@pytest.fixture
def observed(admission):
    """Makes a call of bytes; returns the model and the status that are counted."""

    def observed(name, request, kind, service="PredictionService"):
        found = []
        handler = grpc.unary_unary_rpc_method_handler(
            lambda request, context: predict_pb2.PredictResponse(), kind.FromString)
        calls = GuardedCalls(admission, lambda model, method, status, seconds: found.append((model, method, status)))
        details = types.SimpleNamespace(method=f"/tensorflow.serving.{service}/{name}")
        calls.intercept_service(lambda _: handler, details).unary_unary(request, _Context())
        (model, method, status), = found
        assert method == name
        return model, status

    return observed


def _request(name):
    request = REQUESTS[name]()
    for spec in [request.tasks.add().model_spec] if name == "MultiInference" else [request.model_spec]:
        spec.name, spec.signature_name = "books", "score"
    if hasattr(request, "input"):
        request.input.example_list.examples.add().features.feature["age"].int64_list.value.append(7)
    return request.SerializeToString()


@pytest.mark.parametrize("name", REQUESTS)
def test_a_call_is_its_models_also_when_it_is_sent_away(observed, admission, name):
    assert observed(name, _request(name), REQUESTS[name]) == ("books", "OK")
    admission.enter()
    assert observed(name, _request(name), REQUESTS[name]) == ("books", "RESOURCE_EXHAUSTED")


@pytest.mark.parametrize("name", REQUESTS)
def test_a_call_that_names_no_model_is_no_models(observed, admission, name):
    assert observed(name, b"", REQUESTS[name]) == ("", "OK")
    assert observed(name, b"\xff", REQUESTS[name]) == ("", "INVALID_ARGUMENT")
    admission.enter()
    for request in (b"", b"\xff"):
        assert observed(name, request, REQUESTS[name]) == ("", "RESOURCE_EXHAUSTED")


def test_a_reload_is_of_no_one_model(observed):
    kind = model_management_pb2.ReloadConfigRequest
    assert observed("HandleReloadConfigRequest", kind().SerializeToString(), kind, "ModelService") == ("", "OK")
