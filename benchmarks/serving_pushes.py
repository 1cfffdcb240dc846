"""The part of the benchmark of serving that pushes one version after another."""

from __future__ import annotations

import logging
import time

from benchmarks.server_process import ServerProcess
from benchmarks.serving_load import ask
from benchmarks.serving_setup import ServingSetup
from pipeline.console import LOGGER
from serving import wire

_log = logging.getLogger(f"{LOGGER}.serving")
_PATIENCE = 120
# The server looks for new versions once a second, and in the look after the old one's end gives its memory back.
_SETTLED = 3
_STEP = 10


def pushes(setup: ServingSetup, count: int) -> dict:
    """Replaces the served version many times: what memory each replacement leaves behind.

    Requests are asked all the while, one at a time, so that every version answers before the next comes.

    Args:
        setup: the model and the rest.
        count: versions pushed.

    Returns:
        `memory`: MiB of the server at first and after each replacement; `answers`, none of which failed.

    Raises:
        RuntimeError: a version does not answer within two minutes.
        grpc.RpcError: a request failed.
    """
    def run() -> dict:
        requests, answers = setup.requests_of("mix"), 0
        with ServerProcess(setup.model.root) as server:
            memory = []
            for number in range(count + 1):
                version = setup.model.push() if number else max(setup.model.versions())
                end = time.monotonic() + _PATIENCE
                settled = None
                while settled is None or time.monotonic() < settled:
                    answer = ask(server.target, requests[answers % len(requests)])
                    answers += 1
                    if settled is None and wire.PredictResponse.FromString(answer).model_spec.version.value == version:
                        settled = time.monotonic() + _SETTLED
                    if settled is None and time.monotonic() > end:
                        raise RuntimeError(f"version {version} did not answer within {_PATIENCE} s")
                memory.append(server.memory_mib)
                if number % _STEP == 0:
                    _log.info("        %d versions: %.0f MiB", number, memory[-1])
        return {"memory": memory, "answers": answers}

    _log.info("pushes: %d versions, one after another", count)
    return setup.kept({"part": "pushes", "count": count}, run)
