"""What every call of the prediction and model services goes through."""

from __future__ import annotations

import logging
import operator
import time
import types
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.protobuf import message

from serving import wire
from serving.admission import Admission
from serving.request_error import RequestError

_LOG = logging.getLogger(__name__)
_SERVICES = "/tensorflow.serving."
_LONGEST_TEXT = 2000  # characters
# By method: what its request begins with, and the model's name in that or in the request; other requests are for one
# model. The tasks of MultiInference are for one too.
_MODELS = {
    "MultiInference": (
        wire.MultiInferenceHead, lambda request: request.tasks[0].model_spec.name if request.tasks else ""),
    "HandleReloadConfigRequest": (wire.RequestHead, lambda request: ""),
}


class GuardedCalls(grpc.ServerInterceptor):
    """Lets a call in, runs it, and turns whatever goes wrong into its status.

    A call waits for its turn before its request is decoded, so that one that is sent away
    costs next to nothing: of its request only the model's name is read, for `observe`.
    Bytes that are no request are INVALID_ARGUMENT (gRPC itself would say INTERNAL), a
    `RequestError` is its own status, anything else is logged and INTERNAL.
    Calls of other services, health and reflection, are left alone: they are answered however
    great the load is.

    Args:
        admission: whose turn it is; only PredictionService's calls wait for it.
        observe: called after each call with the model's name, method, status name and seconds.
        decoders: what makes a request of bytes, for methods that take another message than the generated one.

    Example:

    ```python
    grpc.server(pool, interceptors=[GuardedCalls(Admission(), observe)])
    ```
    """

    def __init__(self, admission: Admission, observe: Callable[[str, str, str, float], None],
                 decoders: Mapping[str, Callable[[bytes], Any]] = types.MappingProxyType({})):
        self._admission = admission
        self._observe = observe
        self._decoders = decoders
        self._handlers: dict[str, grpc.RpcMethodHandler] = {}

    def intercept_service(self, continuation, details):
        """The handler of a call; see `grpc.ServerInterceptor`."""
        method = details.method
        if method not in self._handlers:
            handler = continuation(details)
            if handler is None or not method.startswith(_SERVICES):
                return handler
            # There are as many as the services have methods.
            name = method.rpartition("/")[2]
            self._handlers[method] = grpc.unary_unary_rpc_method_handler(_Call(
                name, handler, self._decoders.get(name, handler.request_deserializer), self._observe,
                self._admission if "PredictionService" in method else None))
        return self._handlers[method]


class _Call:
    """A method from bytes to bytes."""

    def __init__(self, name: str, handler, decoder, observe, admission: Admission | None):
        self._name = name
        self._handler = handler
        self._decoder = decoder
        self._observe = observe
        self._admission = admission
        self._head, self._model = _MODELS.get(name, (wire.RequestHead, operator.attrgetter("model_spec.name")))

    def __call__(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        started = time.perf_counter()
        code, text = grpc.StatusCode.OK, ""
        response, model = b"", None
        try:
            self._enter(context)
            try:
                decoded = self._decode(request)
                model = self._model(decoded)
                response = self._handler.unary_unary(decoded, context).SerializeToString()
            finally:
                self._leave()
        except RequestError as error:
            code, text = error.code, str(error)
        except Exception as error:
            _LOG.exception("%s failed", self._name)
            code, text = grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
        if model is None:
            model = self._model_of_bytes(request)
        self._observe(model, self._name, code.name, time.perf_counter() - started)
        if code is not grpc.StatusCode.OK:
            context.set_code(code)
            # It travels in a header, whose size is bounded, and it may quote the request.
            context.set_details(text[:_LONGEST_TEXT])
        return response

    def _model_of_bytes(self, request: bytes) -> str:
        """The model's name in a request that is sent away: whom the metrics count it for."""
        try:
            return self._model(self._head.FromString(request))
        except message.DecodeError:
            return ""

    def _enter(self, context: grpc.ServicerContext) -> None:
        if self._admission is not None:
            self._admission.enter(context.time_remaining())
            if not context.is_active():
                self._admission.leave()
                raise RequestError(grpc.StatusCode.CANCELLED, "the caller went away")

    def _leave(self) -> None:
        if self._admission is not None:
            self._admission.leave()

    def _decode(self, request: bytes):
        try:
            return self._decoder(request)
        except message.DecodeError as error:
            raise RequestError.invalid(f"the bytes are no {self._name} request") from error
