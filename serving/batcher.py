"""One run of the graph for requests that come at the same time."""

from __future__ import annotations

import collections
import dataclasses
import threading
from collections.abc import Callable, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Batching:
    """Whether and how requests are merged.

    Args:
        max_rows: rows of a batch; 0 merges none.
        wait_seconds: how long the first of a batch waits for it to fill.
    """

    max_rows: int = 0
    wait_seconds: float = 0.0


class Batcher:
    """Merges requests that come while another runs, and gives each its own rows of the result.

    There is no thread of its own: who comes first runs the graph for all that wait, and then
    the next of those that came meanwhile. A lone request is so run at once, and the more come,
    the larger the batches. With `wait_seconds` the first one waits for others in any case.

    What one request has wrong does not fail the others: when a batch fails, each is run alone.
    Requests are merged only where all sizes but the first agree: lists of other widths would
    need to be filled up, with what only the model knows. One whose arrays differ in length is
    run alone.

    Args:
        run: from arrays to a list of arrays, all with as many rows.
        batching: bounds; a request with more rows than a batch may have is run alone.

    Example:

    ```python
    batcher = Batcher(session_callable, Batching(max_rows=256))
    probability, logit = batcher(np.array([proto], object))
    ```
    """

    def __init__(self, run: Callable[..., Sequence[np.ndarray]], batching: Batching):
        self._run = run
        self._batching = batching
        self._queue: collections.deque[_Request] = collections.deque()
        self._runs = False
        self._came = threading.Condition()

    def __call__(self, *arrays: np.ndarray) -> Sequence[np.ndarray]:
        """The outputs of these inputs; raises what `run` raises for them."""
        with self._came:
            first, self._runs = not self._runs, True
            alone = first and not self._batching.wait_seconds
            if not alone:
                request = _Request(arrays)
                self._queue.append(request)
                self._came.notify()
        if alone:
            try:
                return self._run(*arrays)
            finally:
                self._hand_over()
        if not first:
            request.woken.wait()
        if not request.done:
            # Only the first of the queue comes here, so that the batch holds its own request.
            try:
                self._run_batch(self._take())
            finally:
                self._hand_over()
        if request.error is not None:
            raise request.error
        return request.values

    def _hand_over(self) -> None:
        """Who ran the graph wakes the first of those that came meanwhile, to run it for them."""
        with self._came:
            if self._queue:
                self._queue[0].woken.set()
            else:
                self._runs = False

    def _take(self) -> list[_Request]:
        with self._came:
            if self._batching.wait_seconds:
                self._came.wait_for(
                    lambda: sum(r.rows for r in self._queue) >= self._batching.max_rows, self._batching.wait_seconds)
            batch, rows, left = [self._queue.popleft()], 0, collections.deque()
            rows = batch[0].rows
            for request in self._queue:
                if request.kind == batch[0].kind and rows + request.rows <= self._batching.max_rows:
                    batch.append(request)
                    rows += request.rows
                else:
                    left.append(request)
            self._queue = left
        return batch

    def _run_batch(self, batch: list[_Request]) -> None:
        try:
            if len(batch) > 1 and not self._run_merged(batch):
                for request in batch:
                    request.run(self._run)
            elif len(batch) == 1:
                batch[0].run(self._run)
        finally:
            for request in batch:
                request.done = True
                request.woken.set()

    def _run_merged(self, batch: list[_Request]) -> bool:
        """Whether one run answered all of them."""
        ends = np.cumsum([request.rows for request in batch])
        try:
            outputs = self._run(*map(np.concatenate, zip(*(request.arrays for request in batch))))
        except Exception:
            return False
        if any(len(values) != ends[-1] for values in outputs):
            return False
        for request, parts in zip(batch, zip(*(np.split(values, ends[:-1]) for values in outputs))):
            request.values = parts
        return True


class _Request:
    """Arrays that wait for their outputs."""

    def __init__(self, arrays: Sequence[np.ndarray]):
        self.arrays = arrays
        self.rows = len(arrays[0])
        # Only requests of one kind can be merged. One whose inputs differ in length is of its own: the lengths of two
        # such could add up to a right request, whose rows would be neither's.
        even = all(len(array) == self.rows for array in arrays)
        self.kind = tuple(array.shape[1:] for array in arrays) if even else object()
        self.values: Sequence[np.ndarray] = ()
        self.error: Exception | None = None
        self.done = False
        self.woken = threading.Event()

    def run(self, run: Callable) -> None:
        try:
            self.values = run(*self.arrays)
        except Exception as error:
            self.error = error
