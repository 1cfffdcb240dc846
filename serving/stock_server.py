"""TensorFlow Serving's own server, as a program on this machine or in its Docker image."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from google.protobuf import text_encoding, text_format

from models.spec.errors import UserError
from serving.foreground import print_at_once, stop_signals, write_port
from serving.model_config import ModelConfig, to_proto
from serving.server_options import ServerOptions, address

PROGRAM = "tensorflow_model_server"
_DOCKER = "docker"
_GRPC_PORT, _REST_PORT = 8500, 8501  # inside the container
_FILES = "/config"
_ALL_ADDRESSES = "0.0.0.0"
_TOLD = 2000  # characters of a program's last words


def serve_stock(
    models: Sequence[ModelConfig],
    options: ServerOptions,
    *,
    image: str | None = None,
    port_file: str | None = None,
    grace: float = 5.0,
    startup_seconds: float = 120.0,
    announce: Callable[[str], None] = print_at_once,
) -> None:
    """Runs the stock server until SIGTERM or SIGINT, then ends it. To be called from the main thread.

    It gets the same models, ports and certificates as `serve` would take, but its REST API has
    no TLS. Bounds on requests, and whether they share a run, are the stock server's own.

    Args:
        models, options: as for `ModelServer`.
        image: the Docker image; None for the program `tensorflow_model_server` on the PATH,
            which has no choice of address: it listens on all, and that is announced.
        port_file, grace, announce: as for `serve`.
        startup_seconds: how long it may take until it answers.

    Raises:
        UserError: there is no such program or no Docker, Docker is to mount what is no folder of this
            machine, the server ends by itself, or does not answer in time.

    Example:

    ```python
    serve_stock([ModelConfig("ctr", "serving/ctr")], ServerOptions(), image="tensorflow/serving:2.16.1")
    ```
    """
    program = _DOCKER if image else PROGRAM
    if shutil.which(program) is None:
        raise UserError(f"there is no program {program!r} on the PATH; `ctrl serve --server embedded` needs none")
    options = dataclasses.replace(
        options, port=options.port or _free_port(),
        rest_port=options.rest_port if options.rest_port != 0 else _free_port())
    with (stop_signals() as stop, tempfile.TemporaryDirectory() as folder,
          open(os.path.join(folder, "log"), "wb+") as log):
        files = pathlib.Path(folder)
        command = docker_command(models, options, files, image) if image else program_command(
            models, options, files)
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                                   env={"TF_CPP_MIN_LOG_LEVEL": "1", **os.environ})
        with _ended(process, grace):
            end = time.monotonic() + startup_seconds
            while not stop.is_set() and not _answers(models, options):
                if process.poll() is not None or time.monotonic() > end:
                    what = "ended" if process.poll() is not None else f"did not answer in {startup_seconds:g} s"
                    raise UserError(f"{' '.join(command)}: {what}:\n{_last_words(log)}")
                stop.wait(0.2)
            if not stop.is_set():
                if port_file:
                    write_port(port_file, options.port)
                _announce(models, options, image, announce)
            while not stop.wait(0.2):
                if process.poll() is not None:
                    raise UserError(f"{' '.join(command)}: ended with status {process.returncode}:\n"
                                    f"{_last_words(log)}")


def program_command(models: Sequence[ModelConfig], options: ServerOptions, folder: pathlib.Path) -> list[str]:
    """The command line of `tensorflow_model_server`; what it reads is written to the folder."""
    absolute = [dataclasses.replace(m, base_path=_absolute(m.base_path)) for m in models]
    return [PROGRAM, *_flags(absolute, options, folder, str(folder), options.port, options.rest_port)]


def docker_command(models: Sequence[ModelConfig], options: ServerOptions, folder: pathlib.Path,
                   image: str) -> list[str]:
    """The command line of `docker run`; what the container reads is written to the folder, which is mounted.

    Raises:
        UserError: a model is in no folder of this machine.
    """
    for model in models:
        if "://" in model.base_path:
            raise UserError(
                f"model '{model.name}': {model.base_path} is no folder of this machine, which Docker could mount; copy "
                "it into one, or serve it by `--server embedded`, which reads it where it is")
    inside = [dataclasses.replace(m, base_path=f"/models/{m.name}") for m in models]
    ports = ["-p", f"{address(options.host, options.port)}:{_GRPC_PORT}"]
    if options.rest_port is not None:
        ports += ["-p", f"{address(options.host, options.rest_port)}:{_REST_PORT}"]
    mounts = ["-v", f"{folder}:{_FILES}:ro"]
    for model, mounted in zip(models, inside, strict=True):
        mounts += ["-v", f"{_absolute(model.base_path)}:{mounted.base_path}:ro"]
    flags = _flags(inside, options, folder, _FILES, _GRPC_PORT,
                   None if options.rest_port is None else _REST_PORT)
    return [_DOCKER, "run", "--rm", "--init", "-e", "TF_CPP_MIN_LOG_LEVEL=1", *ports, *mounts,
            "--entrypoint", PROGRAM, image, *flags]


def _announce(models: Sequence[ModelConfig], options: ServerOptions, image: str | None,
              announce: Callable[[str], None]) -> None:
    host = options.host if image else _ALL_ADDRESSES
    where = image or shutil.which(PROGRAM)
    announce(f"serving {', '.join(m.name for m in models)} on {address(host, options.port)} by {where}")
    if options.rest_port is not None:
        announce(f"REST API and metrics on http://{address(host, options.rest_port)}")
    if host != options.host:
        announce(f"{PROGRAM} has no choice of address: other machines reach it too, not only {options.host}; "
                 "`ctrl serve --server embedded` keeps to one")


def _flags(models: Sequence[ModelConfig], options: ServerOptions, folder: pathlib.Path, seen_as: str, port: int,
           rest_port: int | None) -> list[str]:
    (folder / "models.config").write_text(text_format.MessageToString(to_proto(models)), encoding="utf-8")
    flags = [f"--port={port}", f"--model_config_file={seen_as}/models.config",
             f"--file_system_poll_wait_seconds={max(1, round(options.poll_seconds))}",
             f"--tensorflow_intra_op_parallelism={options.intra_op_threads}"]
    if any(model.labels for model in models):
        # Otherwise a label could only be given once its version is loaded.
        flags.append("--allow_version_labels_for_unavailable_models=true")
    if rest_port is not None:
        (folder / "monitoring.config").write_text(
            'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }\n', encoding="utf-8")
        flags += [f"--rest_api_port={rest_port}", f"--monitoring_config_file={seen_as}/monitoring.config"]
    if options.tls:
        (folder / "ssl.config").write_text(_ssl_config(options), encoding="utf-8")
        flags.append(f"--ssl_config_file={seen_as}/ssl.config")
    return flags


def _ssl_config(options: ServerOptions) -> str:
    """TF Serving's SSLConfig, which holds the PEM texts themselves."""
    tls = options.tls
    fields = {"server_key": tls.key, "server_cert": tls.certificate}
    if tls.client_ca:
        fields["custom_ca"] = tls.client_ca
    lines = [f'{name}: "{text_encoding.CEscape(pathlib.Path(path).read_bytes(), False)}"'
             for name, path in fields.items()]
    return "\n".join([*lines, f"client_verify: {str(tls.client_ca is not None).lower()}", ""])


@contextlib.contextmanager
def _ended(process: subprocess.Popen, grace: float) -> Iterator[None]:
    """Ends the process at the end, by force where it takes longer than `grace` seconds."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(models: Sequence[ModelConfig], options: ServerOptions) -> bool:
    """Whether every model has a version that answers; where it is encrypted, whether the port is open."""
    # TensorFlow is imported for these, which takes some seconds: the server needs them too, to start.
    import grpc
    from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)
    if options.tls:
        with contextlib.suppress(OSError), socket.create_connection((host, options.port), 1.0):
            return True
        return False
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    with grpc.insecure_channel(address(host, options.port), options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        for model in models:
            request = get_model_status_pb2.GetModelStatusRequest()
            request.model_spec.name = model.name
            try:
                found = stub.GetModelStatus(request, timeout=1.0).model_version_status
            except grpc.RpcError:
                return False
            if not any(status.state == available for status in found):
                return False
    return True


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _last_words(log) -> str:
    log.seek(0)
    return log.read().decode("utf-8", "replace").strip()[-_TOLD:]
