"""A sign of life from work that has nothing to say for itself."""

from __future__ import annotations

import logging
import threading
import time


class Heartbeat(logging.Handler):
    """While it is entered, says how long it has been going on whenever a logger was silent for a while.

    Args:
        logger: whose silence is broken.
        every: seconds of silence between two signs.

    Example:

    ```python
    with Heartbeat(logging.getLogger("ctrl")):
        something_long()
    ```
    """

    def __init__(self, logger: logging.Logger, every: float = 30.0):
        super().__init__()
        self._logger = logger
        self._every = every
        self._ended = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Notes that the logger spoke."""
        self._last = time.monotonic()

    def __enter__(self) -> Heartbeat:
        self._start = self._last = time.monotonic()
        self._logger.addHandler(self)
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()
        self._logger.removeHandler(self)

    def _beat(self) -> None:
        while not self._ended.wait(max(0.01, self._last + self._every - time.monotonic())):
            if time.monotonic() - self._last >= self._every:
                self._logger.info("        ... %.0f s", time.monotonic() - self._start)
