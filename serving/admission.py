"""Which requests are worked on, which wait, and which are sent away."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import grpc

from serving.request_error import RequestError


class Admission:
    """Bounds the requests that are worked on at once, and those that wait for it.

    A server that is asked for more than it can do answers what it can, and the rest at once:
    requests that would wait longer than their callers do would only take time from the others.

    Args:
        running: requests worked on at once; eight for each CPU core when None, so that there
            are some to share a run, see `Batcher`.
        waiting: requests that wait besides; one more is answered RESOURCE_EXHAUSTED.

    Example:

    ```python
    with admission.slot(seconds=0.5):
        ...
    ```
    """

    def __init__(self, running: int | None = None, waiting: int = 64):
        self._limit = running or 8 * len(os.sched_getaffinity(0))
        self._most_waiting = waiting
        self._running = 0
        self._waiting = 0
        self._freed = threading.Condition()

    @property
    def capacity(self) -> int:
        """Requests that are let in at most, running and waiting."""
        return self._limit + self._most_waiting

    @property
    def running(self) -> int:
        """Requests that are worked on now."""
        return self._running

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        return self._waiting

    @contextlib.contextmanager
    def slot(self, seconds: float | None = None) -> Iterator[None]:
        """Between `enter` and `leave`."""
        self.enter(seconds)
        try:
            yield
        finally:
            self.leave()

    def enter(self, seconds: float | None = None) -> None:
        """Waits for its turn.

        Args:
            seconds: how long the caller will wait at most; None for ever.

        Raises:
            RequestError: RESOURCE_EXHAUSTED: too many wait already; DEADLINE_EXCEEDED: its turn
                did not come in time.
        """
        with self._freed:
            if self._running >= self._limit:
                self._wait(seconds)
            self._running += 1

    def leave(self) -> None:
        """Gives its turn to the next."""
        with self._freed:
            self._running -= 1
            self._freed.notify()

    def _wait(self, seconds: float | None) -> None:
        if self._waiting >= self._most_waiting:
            raise RequestError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{self._running} requests are under way and {self._waiting} wait; try again later")
        end = None if seconds is None else time.monotonic() + seconds
        self._waiting += 1
        try:
            while self._running >= self._limit:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    raise RequestError(
                        grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed before the request's turn came")
                self._freed.wait(left)
        finally:
            self._waiting -= 1
