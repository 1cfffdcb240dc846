"""Which requests are worked on, which wait, and which are sent away."""

from __future__ import annotations

import collections
import contextlib
import os
import threading
from collections.abc import Iterator

import grpc

from serving.request_error import RequestError


class Admission:
    """Bounds the requests that are worked on at once, and those that wait for it.

    A server that is asked for more than it can do answers what it can, and the rest at once:
    requests that would wait longer than their callers do would only take time from the others.
    Those that wait get their turn in the order in which they came.

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
        # Each is set when its turn has come. Somebody waits only while as many run as may.
        self._queue: collections.deque[threading.Event] = collections.deque()
        self._lock = threading.Lock()

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
        return len(self._queue)

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
        with self._lock:
            if self._running < self._limit:
                self._running += 1
                return
            turn = self._queue_up()
        # gRPC says 292 billion years where the caller sets no deadline.
        if not turn.wait(None if seconds is None else min(seconds, threading.TIMEOUT_MAX)):
            self._give_up(turn)

    def leave(self) -> None:
        """Gives its turn to the next."""
        with self._lock:
            if self._queue:
                # To nobody else: who comes now would otherwise overtake those that wait.
                self._queue.popleft().set()
            else:
                self._running -= 1

    def _queue_up(self) -> threading.Event:
        if len(self._queue) >= self._most_waiting:
            raise RequestError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{self._running} requests are under way and {len(self._queue)} wait; try again later")
        turn = threading.Event()
        self._queue.append(turn)
        return turn

    def _give_up(self, turn: threading.Event) -> None:
        with self._lock:
            # Its turn may have come since.
            if turn.is_set():
                return
            self._queue.remove(turn)
        raise RequestError(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed before the request's turn came")
