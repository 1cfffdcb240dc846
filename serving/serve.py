"""Serving until a signal ends it."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence

from serving.foreground import print_at_once, stop_signals, write_port
from serving.model_config import ModelConfig
from serving.server import ModelServer
from serving.server_options import ServerOptions, address


def serve(
    models: Sequence[ModelConfig],
    options: ServerOptions,
    *,
    port_file: str | None = None,
    grace: float = 5.0,
    announce: Callable[[str], None] = print_at_once,
) -> None:
    """Serves until SIGTERM or SIGINT, then stops gracefully. To be called from the main thread.

    Where a version is still being loaded when the grace is over, the process ends here, with status 0.

    Args:
        models, options: as for `ModelServer`.
        port_file: a file that gets the port of gRPC, as text, once requests are answered.
        grace: seconds that requests under way get to end.
        announce: gets the line `serving <model> version <v> on <host>:<port>`, and another
            one for the REST API where there is one.

    Raises:
        UserError: as `ModelServer.start`, or the port file cannot be written.

    Example:

    ```python
    serve([ModelConfig("ctr", "serving/ctr")], ServerOptions(port=0), port_file="port.txt")
    ```
    """
    with stop_signals() as stop:
        server = ModelServer(models, options)
        try:
            # TensorFlow's modules stay: a collection that looks through all of them takes longer than a request.
            gc.collect()
            gc.freeze()
            bound = server.start()
            if port_file:
                write_port(port_file, bound)
            served = "; ".join(
                f"{name} version {', '.join(map(str, versions))}" for name, versions in server.loaded.items())
            announce(f"serving {served} on {address(options.host, bound)}")
            if server.rest_port is not None:
                scheme = "https" if options.tls else "http"
                announce(f"REST API and metrics on {scheme}://{address(options.host, server.rest_port)}")
            stop.wait()
        finally:
            ended = server.stop(grace)
    if not ended:
        _end_process()


def _end_process() -> None:
    # Python's own end would wait for the version that is being loaded.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
