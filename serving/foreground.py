"""What a server in the foreground does whichever server it is; free of TensorFlow."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

from models.spec.errors import UserError


def print_at_once(line: str) -> None:
    """Prints a line."""
    # Whoever waits for the line at the other end of a pipe would wait for a full buffer.
    print(line, flush=True)


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Within it, SIGTERM and SIGINT set the event that it gives. To be entered from the main thread.

    Example:

    ```python
    with stop_signals() as stop:
        stop.wait()
    ```
    """
    stop = threading.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    previous = [signal.signal(number, lambda *_: stop.set()) for number in signals]
    try:
        yield stop
    finally:
        for number, handler in zip(signals, previous, strict=True):
            signal.signal(number, handler)


def write_port(port_file: str, port: int) -> None:
    """Writes a port, renamed into place, so that nobody reads an empty file.

    Raises:
        UserError: it cannot be written.
    """
    try:
        with open(f"{port_file}.tmp", "w", encoding="utf-8") as stream:
            stream.write(f"{port}\n")
        os.replace(f"{port_file}.tmp", port_file)
    except OSError as error:
        raise UserError(f"{port_file}: cannot be written: {error.strerror}") from error
