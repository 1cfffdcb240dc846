"""The part of the benchmark of serving that measures latencies and throughput."""

from __future__ import annotations

import logging
import os

import numpy as np

from benchmarks.latencies import median_round, summary
from benchmarks.server_process import ServerProcess
from benchmarks.serving_case import CASES
from benchmarks.serving_load import HEALTH, ask, closed_loop
from benchmarks.serving_setup import ServingSetup
from benchmarks.serving_socket import socket_loop
from pipeline.console import LOGGER
from serving import wire

EMPTY = "empty"
CLIENTS = (1, 8, 32)
_log = logging.getLogger(f"{LOGGER}.serving")
_CLIENT_REPEATS = 100
_TURNS = 10
# Float32 that took other ways through the same graph.
_TOLERANCE = 1e-4


def measure(setup: ServingSetup) -> dict[str, dict]:
    """Medians over the rounds of every case.

    Args:
        setup: the model and the rest.

    Returns:
        Case to `bare`, by number of threads; `served`, by number of clients, each with milliseconds `p50`,
        `p90` and `p99`, `count` and `per_second`, and of the server `server_cpu` and `client_cpu`, milliseconds
        of an operation; `own`: `bare` once more and `socket`, what one client without a gRPC library waits, in
        turns; and `client`, the milliseconds at p50 that building and reading take in our client.
        The case `empty` is a health check: what gRPC alone costs.

    Raises:
        RuntimeError: the server's answer is not that of the bare function.
    """
    rounds: dict[str, dict] = {}
    with ServerProcess(setup.model.root) as server:
        for name in CASES:
            _compare(setup, name, ask(server.target, setup.requests_of(name)[0]))
        for number in range(1, setup.rounds + 1):
            for name in (EMPTY, *CASES):
                for kind, key, result in _cells(setup, server, name, number):
                    rounds.setdefault(name, {}).setdefault(kind, {}).setdefault(key, []).append(result)
                shown = rounds[name]["served"][CLIENTS[0]][-1]
                _log.info("round %d/%d, %s: p50 %.2f ms, p99 %.2f ms with one client", number, setup.rounds,
                          CASES[name].name if name in CASES else "empty call", shown["p50"], shown["p99"])
    return {name: {kind: {key: median_round(found) for key, found in cells.items()} for kind, cells in kinds.items()}
            for name, kinds in rounds.items()}


def _cells(setup: ServingSetup, server: ServerProcess, name: str, number: int):
    """The cells of a case in a round: kind, key in that kind, result."""
    operations = setup.requests
    if name != EMPTY:
        case = CASES[name]
        operations = max(1, 10 * setup.requests // case.calls) if case.calls > 1 else setup.requests
        if case.calls == 1:
            for threads in sorted({1, len(os.sched_getaffinity(0))}):
                yield "bare", threads, setup.kept(
                    {"part": "latency", "case": name, "threads": threads, "round": number},
                    lambda n=threads: _bare(setup, name, n, operations))
    for clients in CLIENTS:
        yield "served", clients, setup.kept(
            {"part": "latency", "case": name, "clients": clients, "round": number},
            lambda n=clients: _served(setup, server, name, n, operations))
    if name == EMPTY or case.calls == 1:
        found = setup.kept({"part": "latency", "case": name, "client": "own", "round": number},
                           lambda: _own(setup, server, name, operations))
        for key, result in found.items():
            yield "own", key, result
    if name != EMPTY:
        yield "client", "work", setup.kept(
            {"part": "latency", "case": name, "client": "work", "round": number},
            lambda: _client_work(setup, server, name))


def _bare(setup: ServingSetup, name: str, threads: int, operations: int) -> dict:
    result = setup.bare(setup.requests_of(name), threads, operations)
    return {**summary(result["seconds"]), "per_second": len(result["seconds"]) / result["elapsed"]}


def _served(setup: ServingSetup, server: ServerProcess, name: str, clients: int, operations: int) -> dict:
    cpu = server.cpu_seconds
    requests, method = _asked(setup, name)
    calls = 1 if name == EMPTY else CASES[name].calls
    result = setup.in_client(closed_loop, server.target, requests, clients, operations, calls, method).result()
    count = len(result["seconds"])
    return {**summary(result["seconds"]), "per_second": count / result["elapsed"],
            "server_cpu": 1000 * (server.cpu_seconds - cpu) / count, "client_cpu": 1000 * result["cpu"] / count}


def _own(setup: ServingSetup, server: ServerProcess, name: str, operations: int) -> dict[str, dict]:
    """The bare function and the server in turns: what a machine does otherwise would be a part of the difference."""
    requests, method = _asked(setup, name)
    bare, socket, cpu = [], [], 0.0
    for _ in range(_TURNS):
        if name != EMPTY:
            bare += setup.bare(requests, 1, max(1, operations // _TURNS))["seconds"]
        result = setup.in_client(socket_loop, server.target, requests, max(1, operations // _TURNS), method).result()
        socket += result["seconds"]
        cpu += result["cpu"]
    if name != EMPTY:
        _compare(setup, name, result["first"])
    return {**({"bare": summary(bare)} if bare else {}),
            "socket": {**summary(socket), "client_cpu": 1000 * cpu / len(socket)}}


def _asked(setup: ServingSetup, name: str) -> tuple[list[bytes], str]:
    return ([b""], HEALTH) if name == EMPTY else (setup.requests_of(name), wire.PREDICT)


def _client_work(setup: ServingSetup, server: ServerProcess, name: str) -> dict:
    case, model = CASES[name], setup.model
    response = ask(server.target, setup.requests_of(name)[0])
    repeats = min(_CLIENT_REPEATS, setup.requests)
    return summary(setup.in_client(
        case.client_seconds, model.spec, model.name, model.rows, response, repeats).result())


def _compare(setup: ServingSetup, name: str, answer: bytes) -> None:
    served = CASES[name].read(answer)
    own = setup.bare(setup.requests_of(name), 1, 1)["first"]
    for output, values in served.items():
        if not np.allclose(values, own[output], atol=_TOLERANCE):
            raise RuntimeError(
                f"{CASES[name].name}: the server answers {values} where the function gives {own[output]}")
