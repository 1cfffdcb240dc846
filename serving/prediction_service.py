"""TF Serving's prediction service."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    model_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from serving import inference, wire
from serving.answer_tensor import answer_tensor
from serving.model_manager import ModelManager
from serving.request_error import RequestError
from serving.servable import Servable
from serving.signature_names import CLASSIFY, DEFAULT, REGRESS

_SIGNATURES = "signature_def"


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata, as TF Serving's protocol defines them.

    A request is answered by one version from beginning to end, and the answer names it.
    A request that cannot be answered raises a `RequestError`, NOT_FOUND or INVALID_ARGUMENT, that
    says what is wrong and what there is; `GuardedCalls` makes it the call's status. Classify and Regress
    without a signature's name take the signatures `classify` and `regress`.

    Args:
        models: where the loaded versions come from.
        observe_run: called with the model's name, "Predict", "Classify" or "Regress", and the seconds
            that checks and graph took, for each run that succeeds.

    Example:

    ```python
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(models), server)
    ```
    """

    def __init__(self, models: ModelManager, observe_run: Callable[[str, str, float], None] = lambda *_: None):
        self._models = models
        self._observe_run = observe_run

    def Predict(self, request, context=None):
        """Runs a signature on the request's tensors.

        Args:
            request: a `wire.UndecodedPredictRequest`: most tensors are decoded by the graph.
            context: of the call.

        Returns:
            A `wire.UndecodedPredictResponse`.
        """
        servable = find(self._models, request.model_spec)
        started = time.perf_counter()
        outputs = servable.run(request.model_spec.signature_name, request.inputs, request.output_filter)
        self._observe_run(request.model_spec.name, "Predict", time.perf_counter() - started)
        response = wire.UndecodedPredictResponse(model_spec=_spec(
            request.model_spec.name, servable.version, request.model_spec.signature_name or DEFAULT))
        for name, values in outputs.items():
            response.outputs[name] = answer_tensor(values)
        return response

    def Classify(self, request, context=None):
        """Scores of the classes of each Example."""
        response = classification_pb2.ClassificationResponse()
        servable = find(self._models, request.model_spec)
        response.result.CopyFrom(self._classify(servable, request.model_spec, request.input, response.model_spec))
        return response

    def Regress(self, request, context=None):
        """A value of each Example."""
        response = regression_pb2.RegressionResponse()
        servable = find(self._models, request.model_spec)
        response.result.CopyFrom(self._regress(servable, request.model_spec, request.input, response.model_spec))
        return response

    def MultiInference(self, request, context=None):
        """Several of Classify and Regress on the same Examples, by one version where the tasks name no others."""
        response = inference_pb2.MultiInferenceResponse()
        if not request.tasks:
            raise RequestError.invalid("the request has no task")
        names = {task.model_spec.name for task in request.tasks}
        if len(names) > 1:
            raise RequestError.invalid(
                f"the tasks ask for several models: {', '.join(sorted(map(repr, names)))}; a request is for one")
        # Found once: one that is taken up meanwhile would answer the later tasks only.
        asked = [_asked(task.model_spec) for task in request.tasks]
        servables = {key: self._models.find(*key) for key in dict.fromkeys(asked)}
        for task, key in zip(request.tasks, asked, strict=True):
            result = response.results.add()
            if task.method_name == tf.saved_model.CLASSIFY_METHOD_NAME:
                result.classification_result.CopyFrom(
                    self._classify(servables[key], task.model_spec, request.input, result.model_spec))
            elif task.method_name == tf.saved_model.REGRESS_METHOD_NAME:
                result.regression_result.CopyFrom(
                    self._regress(servables[key], task.model_spec, request.input, result.model_spec))
            else:
                raise RequestError.invalid(
                    f"no method {task.method_name!r}; there are: {tf.saved_model.CLASSIFY_METHOD_NAME}, "
                    f"{tf.saved_model.REGRESS_METHOD_NAME}")
        return response

    def GetModelMetadata(self, request, context=None):
        """The signatures of a version; the only metadata there is."""
        servable = find(self._models, request.model_spec)
        if list(request.metadata_field) != [_SIGNATURES]:
            raise RequestError.invalid(
                f"metadata_field is {list(request.metadata_field)}; it must be ['{_SIGNATURES}']"
            )
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        _describe(response.model_spec, request.model_spec, servable)
        response.metadata[_SIGNATURES].Pack(servable.signature_map())
        return response

    def _classify(self, servable: Servable, asked, given, answered) -> classification_pb2.ClassificationResult:
        return self._infer("Classify", inference.classify, CLASSIFY, servable, asked, given, answered)

    def _regress(self, servable: Servable, asked, given, answered) -> regression_pb2.RegressionResult:
        return self._infer("Regress", inference.regress, REGRESS, servable, asked, given, answered)

    def _infer(self, method: str, run: Callable, default_signature: str, servable: Servable, asked, given, answered):
        _describe(answered, asked, servable, default_signature)
        started = time.perf_counter()
        result = run(servable, asked.signature_name, given)
        self._observe_run(asked.name, method, time.perf_counter() - started)
        return result


def find(models: ModelManager, model_spec) -> Servable:
    """The version that a request's `ModelSpec` asks for. Raises RequestError."""
    return models.find(*_asked(model_spec))


def _asked(model_spec) -> tuple[str, int | None, str]:
    """Name, version and label."""
    version = model_spec.version.value if model_spec.HasField("version") else None
    return model_spec.name, version, model_spec.version_label


def _describe(answered, asked, servable: Servable, default_signature: str = "") -> None:
    """What an answer says of who gave it."""
    answered.name = asked.name
    answered.version.value = servable.version
    answered.signature_name = asked.signature_name or default_signature


@functools.lru_cache(1024)
def _spec(name: str, version: int, signature_name: str) -> bytes:
    """The serialized `ModelSpec` of an answer: the same for all of a signature."""
    spec = model_pb2.ModelSpec(name=name, signature_name=signature_name)
    spec.version.value = version
    return spec.SerializeToString()
