"""The embedded server."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent import futures

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from models.spec.errors import UserError
from serving.model_service import ModelService
from serving.prediction_service import PredictionService
from serving.version_watcher import VersionWatcher

MAX_PORT = 65535


class ModelServer:
    """Serves the newest version of one model over gRPC, in TF Serving's protocol.

    Where no `tensorflow_model_server` is installed this stands in for it: the same
    SavedModel, the same calls, the same status codes. Requests run in a pool of threads;
    TensorFlow gives the interpreter free while it computes.

    Args:
        base_path: the folder of the version folders, which TFX's Pusher writes.
        model_name: what requests call the model.
        host: the address to listen on; only this machine by default.
        port: 0 takes a free one, which `start` returns.
        workers: requests that are worked on at once.
        max_message_bytes: a greater request is answered RESOURCE_EXHAUSTED.
        poll_seconds: how often a newer version is looked for.

    Example:

    ```python
    server = ModelServer("serving/ctr", "ctr", port=0)
    port = server.start()
    ...
    server.stop(grace=5.0)
    ```
    """

    def __init__(
        self,
        base_path: str,
        model_name: str,
        host: str = "127.0.0.1",
        port: int = 8500,
        *,
        workers: int = 8,
        max_message_bytes: int = 16 << 20,
        poll_seconds: float = 1.0,
    ):
        self._watcher = VersionWatcher(base_path, model_name, poll_seconds)
        self._port = port
        self._address = f"{host}:{port}"
        self._server = grpc.server(
            futures.ThreadPoolExecutor(max_workers=workers, thread_name_prefix="request"),
            # Two servers on one port would share its requests without a word.
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", max_message_bytes)],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self._watcher), self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self._watcher), self._server)

    @property
    def version(self) -> int | None:
        """The version that is served now."""
        return self._watcher.current and self._watcher.current.version

    def start(self) -> int:
        """Loads the newest version, then listens; returns the port.

        Raises:
            UserError: no version can be loaded, the port is none, or the address is not free.
        """
        if not 0 <= self._port <= MAX_PORT:
            raise UserError(f"port {self._port}: is not between 0 and {MAX_PORT}; 0 takes a free one")
        self._watcher.poll(settle=False)
        if self._watcher.current is None:
            reasons = [f"version {v}: {reason}" for v, reason in sorted(self._watcher.failures.items())]
            raise UserError(
                f"{self._watcher.base_path}: no model version can be served: "
                + (
                    "; ".join(reasons)
                    or "there is no folder <number>/ with saved_model.pb in it; "
                    "a pipeline run writes one when its model is blessed"
                )
            )
        error = None
        try:
            port = self._server.add_insecure_port(self._address)
        except RuntimeError as raised:
            error = raised
        # gRPC may answer with another port than the one that it was asked for.
        if error or self._port not in (0, port):
            raise UserError(
                f"cannot listen on {self._address}: is another server using the port? Port 0 takes a free one"
            ) from error
        self._server.start()
        self._watcher.start()
        return port

    def stop(self, grace: float = 5.0) -> None:
        """Takes no new requests, and waits up to `grace` seconds for those under way."""
        self._watcher.stop()
        self._server.stop(grace).wait()


def _print_at_once(line: str) -> None:
    # Whoever waits for the line at the other end of a pipe would wait for a full buffer.
    print(line, flush=True)


def serve(
    base_path: str,
    model_name: str,
    host: str = "127.0.0.1",
    port: int = 8500,
    *,
    port_file: str | None = None,
    grace: float = 5.0,
    announce: Callable[[str], None] = _print_at_once,
    **options,
) -> None:
    """Serves until SIGTERM or SIGINT, then stops gracefully. To be called from the main thread.

    Args:
        base_path, model_name, host, port: as for `ModelServer`.
        port_file: a file that gets the port, as text, once requests are answered.
        grace: seconds that requests under way get to end.
        announce: gets the line `serving <model> version <v> on <host>:<port>`.
        **options: more arguments of `ModelServer`.

    Raises:
        UserError: as `ModelServer.start`, or the port file cannot be written.

    Example:

    ```python
    serve("serving/ctr", "ctr", port=0, port_file="port.txt")
    ```
    """
    stop = threading.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    previous = [signal.signal(number, lambda *_: stop.set()) for number in signals]
    try:
        server = ModelServer(base_path, model_name, host, port, **options)
        bound = server.start()
        try:
            if port_file:
                _write_port(port_file, bound)
            announce(f"serving {model_name} version {server.version} on {host}:{bound}")
            stop.wait()
        finally:
            server.stop(grace)
    finally:
        for number, handler in zip(signals, previous, strict=True):
            signal.signal(number, handler)


def _write_port(port_file: str, port: int) -> None:
    # Renamed into place, so that nobody reads an empty file.
    try:
        with open(f"{port_file}.tmp", "w", encoding="utf-8") as stream:
            stream.write(f"{port}\n")
        os.replace(f"{port_file}.tmp", port_file)
    except OSError as error:
        raise UserError(f"{port_file}: cannot be written: {error.strerror}") from error
