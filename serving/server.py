"""The embedded server."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc
from tensorflow_serving.apis import (
    model_service_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
)

from serving import wire
from serving.admission import Admission
from serving.bounded_reflection import BoundedReflection
from serving.guarded_calls import GuardedCalls
from serving.model_config import ModelConfig
from serving.model_manager import ModelManager
from serving.model_service import ModelService
from serving.prediction_service import PredictionService
from serving.rest_server import RestServer
from serving.servable import Servable
from serving.server_metrics import ServerMetrics
from serving.server_options import ServerOptions, address, cannot_listen

_SERVICES = (
    prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"].full_name,
    model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name,
)
# Calls, and threads, that do not wait for their turn: health, status, and those that are sent away with a reason. gRPC
# sends more away by itself, which takes no thread; it would otherwise queue them, and cancel some when a thousand wait.
_SPARE = 16
# Streams of reflection, which may be left open, and take as many threads besides.
_REFLECTION_STREAMS = 8


class ModelServer:
    """Serves models over gRPC and REST, in TF Serving's protocols.

    Where no `tensorflow_model_server` is installed this stands in for it: the same
    SavedModels, the same calls, the same status codes; with gRPC's health and reflection
    services, and Prometheus metrics beside the REST API. Requests run in a pool of threads;
    TensorFlow gives the interpreter free while it computes.

    Args:
        models: what is served.
        options: addresses, bounds, encryption; the defaults when None.

    Example:

    ```python
    server = ModelServer([ModelConfig("ctr", "serving/ctr")], ServerOptions(port=0))
    port = server.start()
    ...
    server.stop(grace=5.0)
    ```
    """

    def __init__(self, models: Sequence[ModelConfig], options: ServerOptions | None = None):
        options = options or ServerOptions()
        self._options = options
        self._models = ModelManager(models, options.poll_seconds, functools.partial(
            Servable, batching=options.batching, intra_op_threads=options.intra_op_threads))
        self._admission = admission = Admission(options.running, options.waiting)
        metrics = self._metrics()
        calls = admission.capacity + _SPARE + _REFLECTION_STREAMS
        self._server = grpc.server(
            futures.ThreadPoolExecutor(calls, thread_name_prefix="request"),
            interceptors=[GuardedCalls(
                admission, lambda model, method, *result: metrics.observe(model, method, "GRPC", *result),
                {"Predict": wire.UndecodedPredictRequest.FromString})],
            maximum_concurrent_rpcs=calls,
            # Two servers on one port would share its requests without a word.
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", options.max_message_bytes)],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self._models, metrics.observe_run), self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self._models), self._server)
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
            BoundedReflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), _REFLECTION_STREAMS),
            self._server)
        self._rest = None
        if options.rest_port is not None:
            self._rest = RestServer(
                self._models, admission, metrics, options.host, options.rest_port,
                max_body_bytes=options.max_message_bytes, workers=admission.capacity,
                ssl_context=options.tls and options.tls.ssl_context())
        self.rest_port: int | None = None

    @property
    def loaded(self) -> dict[str, list[int]]:
        """The versions that answer requests, newest first, by model."""
        return self._models.loaded

    def start(self) -> int:
        """Loads the models, then listens; returns the port of gRPC, and leaves that of REST in `rest_port`.

        Raises:
            UserError: no version of a model can be loaded, or an address is not free.
        """
        self._models.load()
        port = self._listen()
        if self._rest:
            self.rest_port = self._rest.start()
        self._server.start()
        self._models.start()
        for service in ("", *_SERVICES):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return port

    def stop(self, grace: float = 5.0) -> bool:
        """Says that it is not serving, takes no new requests, and waits up to `grace` seconds for those under way.

        Returns:
            Whether no version is being loaded any more. A thread that loads one cannot be ended: it is left behind,
            and the interpreter's end waits for it.
        """
        end = time.monotonic() + grace
        self._health.enter_graceful_shutdown()
        self._models.stop()
        stopped = self._server.stop(grace)
        if self._rest:
            self._rest.stop(grace)
        stopped.wait()
        return self._models.wait(max(0.0, end - time.monotonic()))

    def _metrics(self) -> ServerMetrics:
        metrics = ServerMetrics(lambda name: name in self._models.loaded)
        admission = self._admission
        metrics.watch("ctrl:serving:running_requests", "Requests that are worked on.", lambda: admission.running)
        metrics.watch("ctrl:serving:waiting_requests", "Requests that wait for their turn.", lambda: admission.waiting)
        metrics.watch(
            "ctrl:serving:loaded_version", "1 for each version that answers requests.",
            lambda: {(name, str(v)): 1 for name, versions in self._models.loaded.items() for v in versions},
            ["model_name", "version"])
        return metrics

    def _listen(self) -> int:
        where = address(self._options.host, self._options.port)
        tls = self._options.tls
        error = None
        try:
            if tls:
                port = self._server.add_secure_port(where, tls.grpc_credentials())
            else:
                port = self._server.add_insecure_port(where)
        except RuntimeError as raised:
            error = raised
        # gRPC may answer with another port than the one that it was asked for.
        if error or self._options.port not in (0, port):
            raise cannot_listen(self._options.host, self._options.port) from error
        return port
