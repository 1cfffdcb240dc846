"""TF Serving's model service."""

from __future__ import annotations

from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from models.spec.errors import UserError
from serving.model_config import from_proto
from serving.model_manager import ModelManager
from serving.request_error import RequestError


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus: which versions are served and which could not be; HandleReloadConfigRequest: serve others.

    A request that cannot be answered raises a `RequestError`; `GuardedCalls` makes it the
    call's status.

    Args:
        models: where the versions are known.

    Example:

    ```python
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(models), server)
    ```
    """

    def __init__(self, models: ModelManager):
        self._models = models

    def GetModelStatus(self, request, context=None):
        """States of all versions, or of the one that is asked for."""
        asked = request.model_spec
        version = asked.version.value if asked.HasField("version") else None
        return self._models.statuses(asked.name, version, asked.version_label)

    def HandleReloadConfigRequest(self, request, context=None):
        """Serves the models of the request and no others; where one of them cannot be, nothing is changed."""
        try:
            self._models.reload(from_proto(request.config))
        except UserError as error:
            raise RequestError.invalid(str(error)) from error
        response = model_management_pb2.ReloadConfigResponse()
        response.status.error_code = error_codes_pb2.OK
        return response
