"""TF Serving's prediction service."""

from __future__ import annotations

import grpc
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2, prediction_service_pb2_grpc

from serving.request_error import RequestError
from serving.servable import DEFAULT_SIGNATURE, Servable
from serving.version_watcher import VersionWatcher

_SIGNATURES = "signature_def"


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata, as TF Serving's protocol defines them.

    A request is answered by one version from beginning to end, and the answer names it.
    A request that cannot be answered gets NOT_FOUND or INVALID_ARGUMENT with a message
    that says what is wrong and what there is; calls that are not implemented get
    UNIMPLEMENTED.

    Args:
        watcher: where the loaded version comes from.

    Example:

    ```python
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(watcher), server)
    ```
    """

    def __init__(self, watcher: VersionWatcher):
        self._watcher = watcher

    def Predict(self, request, context: grpc.ServicerContext):
        """Runs a signature on the request's tensors."""
        try:
            servable = find(self._watcher, request.model_spec)
            outputs = servable.run(request.model_spec.signature_name, request.inputs, request.output_filter)
        except RequestError as error:
            context.abort(error.code, str(error))
        response = predict_pb2.PredictResponse()
        self._describe(response.model_spec, servable)
        response.model_spec.signature_name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        for name, values in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
        return response

    def GetModelMetadata(self, request, context: grpc.ServicerContext):
        """The signatures of a version; the only metadata there is."""
        try:
            servable = find(self._watcher, request.model_spec)
            if list(request.metadata_field) != [_SIGNATURES]:
                raise RequestError.invalid(
                    f"metadata_field is {list(request.metadata_field)}; it must be ['{_SIGNATURES}']"
                )
        except RequestError as error:
            context.abort(error.code, str(error))
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        self._describe(response.model_spec, servable)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in servable.signatures.items():
            signatures.signature_def[name].CopyFrom(signature)
        response.metadata[_SIGNATURES].Pack(signatures)
        return response

    def _describe(self, model_spec, servable: Servable) -> None:
        model_spec.name = self._watcher.model_name
        model_spec.version.value = servable.version


def find(watcher: VersionWatcher, model_spec) -> Servable:
    """The version that a request's `ModelSpec` asks for. Raises RequestError."""
    version = model_spec.version.value if model_spec.HasField("version") else None
    return watcher.find(model_spec.name, version, model_spec.version_label)
