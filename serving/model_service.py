"""TF Serving's model service."""

from __future__ import annotations

import grpc
from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from serving.request_error import RequestError
from serving.version_watcher import VersionWatcher


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus: the version that is served, and those that could not be loaded.

    Args:
        watcher: where the versions are known.

    Example:

    ```python
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(watcher), server)
    ```
    """

    def __init__(self, watcher: VersionWatcher):
        self._watcher = watcher

    def GetModelStatus(self, request, context: grpc.ServicerContext):
        """States of all versions, or of the one that is asked for."""
        response = get_model_status_pb2.GetModelStatusResponse()
        state = get_model_status_pb2.ModelVersionStatus.State
        wanted = request.model_spec.version.value if request.model_spec.HasField("version") else None
        failures = self._watcher.failures
        try:
            # A version that failed has a status too, though it cannot be asked for predictions.
            servable = self._watcher.find(request.model_spec.name, None if wanted in failures else wanted)
        except RequestError as error:
            context.abort(error.code, str(error))
        if wanted not in failures:
            status = response.model_version_status.add(version=servable.version, state=state.AVAILABLE)
            status.status.error_code = error_codes_pb2.OK
        for version, reason in sorted(failures.items(), reverse=True):
            if wanted in (None, version):
                status = response.model_version_status.add(version=version, state=state.END)
                status.status.error_code = error_codes_pb2.UNKNOWN
                status.status.error_message = reason
        return response
