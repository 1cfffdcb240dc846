"""The parts of the benchmark of serving that go on for minutes: overload, and a soak."""

from __future__ import annotations

import logging
import time

from benchmarks.latencies import slope, summary
from benchmarks.server_process import ServerProcess
from benchmarks.serving_load import OK, SHED, closed_loop, open_loop
from benchmarks.serving_setup import ServingSetup
from pipeline.console import LOGGER

TIMES = 4
_log = logging.getLogger(f"{LOGGER}.serving")
_SEED = 1
_SUSTAINED_CLIENTS = 32
# Seconds between two looks at the memory; a short soak takes a fraction of itself.
_LOOK = 60


def overload(setup: ServingSetup, seconds: float) -> dict:
    """Offers several times what the server can do.

    Args:
        setup: the model and the rest.
        seconds: how long.

    Returns:
        `sustained` requests a second of closed loops, the `offered` ones, the `sent` ones, how many left `late`;
        shares of them `answered`, `shed` and `failed`; `statuses`, and the `latency` of those answered.
    """
    def run() -> dict:
        with ServerProcess(setup.model.root) as server:
            sustained = _sustained(setup, server)
            offered = TIMES * sustained
            result = setup.in_client(
                open_loop, server.target, setup.requests_of("mix"), offered, seconds, _SEED).result()
        sent = sum(result["statuses"].values())
        answered, shed = (result["statuses"].get(status, 0) for status in (OK, SHED))
        return {"sustained": sustained, "offered": offered, "rate": result["rate"], "sent": sent,
                "late": result["late"], "answered": answered / sent, "shed": shed / sent,
                "failed": (sent - answered - shed) / sent, "statuses": result["statuses"],
                "answered_per_second": answered / seconds,
                "latency": summary(result["seconds"]) if result["seconds"] else None}

    _log.info("overload: %g s at %d times the sustained rate", seconds, TIMES)
    return setup.kept({"part": "overload", "seconds": seconds}, run)


def soak(setup: ServingSetup, minutes: float) -> dict:
    """Half the sustained rate for minutes.

    Args:
        setup: the model and the rest.
        minutes: how long.

    Returns:
        `sustained` requests a second, the `rate` of the soak, `requests`, `statuses`, `failures`, `latency`;
        `memory`: pairs of minutes and MiB; `slope` in MiB a minute after the first minute (of a short soak: after
        the first sixth).
    """
    def run() -> dict:
        seconds = 60 * minutes
        look = min(_LOOK, seconds / 6)
        with ServerProcess(setup.model.root) as server:
            sustained = _sustained(setup, server)
            load = setup.in_client(
                open_loop, server.target, setup.requests_of("mix"), sustained / 2, seconds, _SEED)
            memory = _watch(server, load, seconds, look)
            result = load.result()
        requests, answered = sum(result["statuses"].values()), result["statuses"].get(OK, 0)
        settled = [(at, mib) for at, mib in memory if at >= look / 60]
        return {"sustained": sustained, "rate": result["rate"], "requests": requests, "statuses": result["statuses"],
                "late": result["late"], "failures": requests - answered, "latency": summary(result["seconds"]),
                "memory": memory,
                "slope": slope([at for at, _ in settled], [mib for _, mib in settled])}

    _log.info("soak: %g minutes at half the sustained rate", minutes)
    return setup.kept({"part": "soak", "minutes": minutes}, run)


def _watch(server: ServerProcess, load, seconds: float, look: float) -> list[tuple[float, float]]:
    """Looks at the memory until the load ends."""
    begun = time.monotonic()
    memory = [(0.0, server.memory_mib)]
    for number in range(1, int(seconds / look + 1e-6) + 1):
        # A load that failed ends at once, and its result says why.
        while (wait := begun + number * look - time.monotonic()) > 0 and not (load.done() and load.exception()):
            time.sleep(min(wait, 1))
        memory.append((number * look / 60, server.memory_mib))
        _log.info("        %.1f minutes: %.0f MiB", *memory[-1])
    return memory


def _sustained(setup: ServingSetup, server: ServerProcess) -> float:
    """Requests a second that clients get answered who each wait for their answer."""
    result = setup.in_client(
        closed_loop, server.target, setup.requests_of("mix"), _SUSTAINED_CLIENTS, 3 * setup.requests).result()
    return len(result["seconds"]) / result["elapsed"]
