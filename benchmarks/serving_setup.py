"""What the parts of the benchmark of serving share."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable
from concurrent import futures
from typing import Any

from benchmarks.journal import Journal
from benchmarks.serving_bare import bare
from benchmarks.serving_case import CASES
from benchmarks.serving_model import ServingModel

_ROWS_OF_REQUESTS = 20_000
_MOST_REQUESTS = 1_000
_MIX = ("row", "hundred", "rank")


class ServingSetup(contextlib.ExitStack):
    """A model, requests to it, processes that are not the server's, and the results so far.

    Args:
        model: what is asked.
        journal: keeps the results.
        task: what all results depend on.
        requests: in a cell of a table, in each round.
        rounds: how many.

    Example:

    ```python
    with ServingSetup(model, journal, {"dataset": "sample"}, requests=1000, rounds=3) as setup:
        result = setup.kept({"part": "soak"}, measure)
    ```
    """

    def __init__(self, model: ServingModel, journal: Journal, task: dict[str, Any], requests: int, rounds: int):
        super().__init__()
        self.model = model
        self.requests = requests
        self.rounds = rounds
        self._journal = journal
        self._task = task
        context = multiprocessing.get_context("spawn")
        self._client, self._bare = (
            self.enter_context(futures.ProcessPoolExecutor(1, mp_context=context)) for _ in range(2))
        self._requests: dict[str, list[bytes]] = {}

    def kept(self, task: dict[str, Any], measure: Callable[[], dict]) -> dict:
        """The result of a task, from the journal or measured now."""
        key = {**self._task, **task}
        result = self._journal.get(key)
        if result is None:
            result = measure()
            self._journal.add(key, result, **task)
        return result

    def requests_of(self, name: str) -> list[bytes]:
        """Requests of a case, ready to send; `mix` takes those of 1 row, of 100 and of the ranking in turn."""
        if name == "mix":
            return [request for group in zip(*map(self.requests_of, _MIX)) for request in group]
        if name not in self._requests:
            case = CASES[name]
            count = min(_MOST_REQUESTS, _ROWS_OF_REQUESTS // case.rows)
            self._requests[name] = [
                case.request(
                    self.model.spec, self.model.name, case.log_rows(self.model.spec, self.model.rows, number)
                ).SerializeToString() for number in range(count)]
        return self._requests[name]

    def in_client(self, function: Callable, *arguments) -> futures.Future:
        """Calls a function in the process of the clients."""
        return self._client.submit(function, *arguments)

    def bare(self, requests: list[bytes], threads: int, operations: int) -> dict:
        """Calls the compiled functions in a process without a server; see `benchmarks.serving_bare`."""
        return self._bare.submit(bare, str(self.model.directory), requests, threads, operations).result()
