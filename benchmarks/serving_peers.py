"""The part of the benchmark of serving that stands beside the other libraries' predictions."""

from __future__ import annotations

import json
import logging
import pathlib
import subprocess
import tempfile
from collections.abc import Sequence

from benchmarks import peers
from benchmarks.latencies import median_round, summary
from benchmarks.server_process import ServerProcess
from benchmarks.serving_case import ServingCase
from benchmarks.serving_load import closed_loop
from benchmarks.serving_setup import ServingSetup
from benchmarks.speed_log import SpeedLog
from pipeline.console import LOGGER
from serving.signature_names import DEFAULT, PREDICT_COLUMNS

ROWS = (1, 100, 500)
SERVED = {"this project, gRPC, Examples": DEFAULT, "this project, gRPC, columns": PREDICT_COLUMNS}
BARE = {"this project, bare, Examples": DEFAULT, "this project, bare, columns": PREDICT_COLUMNS}
WAYS = {"predict": "", "forward": ", network alone"}
_log = logging.getLogger(f"{LOGGER}.serving")
_BATCHES = 8


def measure(setup: ServingSetup, log: SpeedLog, job: dict, folder: pathlib.Path, names: Sequence[str]) -> dict:
    """Latencies of the same rows, contender by contender, in rounds.

    Args:
        setup: a model of the log's columns and the rest.
        log: the rows.
        job: sizes of the model, as for the peers' scripts.
        folder: of the peers' environments.
        names: the peers that are measured.

    Returns:
        `latency`: contender to number of rows to figures, medians over rounds; `parameters` of each library's
        model; `versions`.
    """
    cases = {(name, rows): ServingCase(name, signature, rows)
             for name, signature in {**SERVED, **BARE}.items() for rows in ROWS}
    requests = {key: _requests(setup, case) for key, case in cases.items()}
    found: dict[str, dict] = {}
    versions, parameters = {}, {"this project": setup.model.parameters}
    with ServerProcess(setup.model.root) as server, tempfile.TemporaryDirectory() as work:
        path = _write_job(pathlib.Path(work), log, job, setup.requests)
        for number in range(1, setup.rounds + 1):
            for (name, rows), case in cases.items():
                result = setup.kept(
                    {"part": "peers", "contender": name, "rows": rows, "round": number},
                    lambda n=name, c=case, r=requests[name, rows]: _ours(setup, server, n, c, r))
                found.setdefault(name, {}).setdefault(rows, []).append(result)
            for peer in names:
                result = setup.kept({"part": "peers", "contender": peer, "round": number},
                                    lambda p=peer: _theirs(folder, p, path))
                versions.update(result["versions"])
                parameters[peer] = result["parameters"]
                for way, shown in WAYS.items():
                    for rows in ROWS:
                        cells = found.setdefault(peer + shown, {})
                        cells.setdefault(rows, []).append(result["latency"][way][str(rows)])
            _log.info("round %d/%d: %d rows in %s", number, setup.rounds, ROWS[-1], ", ".join(
                f"{name} {cells[ROWS[-1]][-1]['p50']:.2f} ms" for name, cells in found.items()))
    latency = {name: {rows: median_round(rounds) for rows, rounds in cells.items()} for name, cells in found.items()}
    return {"latency": latency, "parameters": parameters, "versions": versions}


def _requests(setup: ServingSetup, case: ServingCase) -> list[bytes]:
    model = setup.model
    return [case.request(model.spec, model.name, case.log_rows(model.spec, model.rows, n)).SerializeToString()
            for n in range(_BATCHES)]


def _ours(setup: ServingSetup, server: ServerProcess, name: str, case: ServingCase, requests: list[bytes]) -> dict:
    if name in BARE:
        return summary(setup.bare(requests, 1, setup.requests)["seconds"])
    return summary(setup.in_client(closed_loop, server.target, requests, 1, setup.requests).result()["seconds"])


def _write_job(folder: pathlib.Path, log: SpeedLog, job: dict, requests: int) -> pathlib.Path:
    log.save(folder / "log.npz")
    path = folder / "job.json"
    path.write_text(json.dumps({**job, "arrays": str(folder / "log.npz"), "num_ids": log.num_ids, "rows": ROWS,
                                "batches": _BATCHES, "requests": requests}), encoding="utf-8")
    return path


def _theirs(folder: pathlib.Path, peer: str, job: pathlib.Path) -> dict:
    done = subprocess.run([*peers.predict_command(folder, peer), str(job)], capture_output=True, text=True)
    # Libraries print lines of their own.
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"seconds"')]
    if done.returncode or not lines:
        raise RuntimeError(f"{peer} failed with status {done.returncode}:\n{done.stdout}{done.stderr}")
    result = json.loads(lines[-1])
    return {"latency": {way: {rows: summary(seconds) for rows, seconds in cells.items()}
                        for way, cells in result["seconds"].items()},
            "parameters": result["parameters"], "versions": result["versions"]}
