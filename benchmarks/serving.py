"""Measures the embedded server: latency, throughput, overload, memory, and other libraries' predictions beside it.

    python -m benchmarks.serving --movielens DIR --root ROOT

Server and clients are processes of their own on this machine's cores; beside every figure stands that
of the compiled function without a server, or of the naive way, from the same run. Results are kept in
a JSONL file beside the table: the same command goes on after a kill. Three quarters of an hour on two
cores; `--smoke` tries it out in a few minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pathlib
import sys
import tempfile

from benchmarks import peers
from benchmarks.command import dataset_parser, quiet_run, run, shown_command
from models.spec.errors import UserError
from pipeline import datasets
from pipeline.config import RunConfig

PARTS = ("latency", "overload", "soak", "pushes", "peers")
_SERVING = pathlib.Path(__file__).parents[1] / "serving"
_PEER_ROWS = 5_000
_HEADING = """# Serving: {dataset}

Written by `{command}`; {machine}.
{smoke}
* **Model**: {origin}; {parameters:,} parameters. Fields: {fields}.
* **Requests**: {rows:,} rows of the log's test split, in turn; a ranking puts the items of {candidates} rows beside the
  user of the first.
* **Server**: `ctrl serve --server embedded`, its default options, in a process of its own. **Clients**: in another
  process on the same cores, a thread and a connection each; requests are bytes already when the watch starts, and
  answers stay bytes.
* **Bare**: the SavedModel's signature called in a process without a server, on arrays that are decoded already.
"""
_LATENCY = """## Latency and throughput

Closed loop: each client asks again when it is answered. Medians over {rounds} round{s} of the percentiles; CPU in
milliseconds of a core, per question."""
_OVERLOAD = """## Overload

Open loop, Poisson arrivals from another process, for {seconds:g} s; a third each of 1 row, 100 rows and a ranking.
Latency counts from when a request was due; none is tried again."""
_SOAK = """## Soak

{minutes:g} minutes of the same mixture at half the sustained rate, answered by one version; what replacing it leaves
behind is the next part's question."""
_PUSHES = """## Many versions

One version replaced by the next, {count} times in a row; memory when the new one has answered and the old one is
gone."""
_PEERS = """## Beside other libraries

AutoInt over the same fields, of the same sizes, with initial weights, on the same rows ({log}). Other libraries predict
in their own process without any server, which favours them, on ids that are looked up already; ours looks the raw
values up, and over gRPC it receives and answers requests, one client. `predict` is each library's own way ({peers});
FuxiCTR's loader is made beforehand. "Network alone" is their forward pass on tensors that are ready, a limit as ours
bare is one. {threads} CPU cores for each; medians over {rounds} round{s}, p50 compared.{absent}"""


def main() -> int:
    """Entry point. Returns the exit status: 0, or 2 for a user's error."""
    parser = dataset_parser(__doc__.splitlines()[0], "serving", "few requests, seconds of load, installs nothing")
    parser.add_argument("--movielens", metavar="DIR", help="folder that holds ml-1m: --dataset movielens-1m of it")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    parser.add_argument("--requests", type=int, default=1000, help="of each cell in a round (default 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument("--overload-seconds", type=float, default=20, help="default 20")
    parser.add_argument("--soak-minutes", type=float, default=10, help="default 10")
    parser.add_argument("--pushes", type=int, default=40, help="versions one after another (default 40)")
    parser.add_argument("--peers", type=pathlib.Path, default=pathlib.Path(".peers"), metavar="FOLDER",
                        help="environments of the other libraries; made where absent")
    parser.add_argument("--python", default="python3.11", help="what they are made of")
    options = parser.parse_args()
    if options.smoke:
        options.requests, options.rounds, options.overload_seconds, options.soak_minutes = 10, 1, 2, 0.2
        options.pushes = 2
    for name in ("requests", "rounds", "overload_seconds", "soak_minutes", "pushes"):
        if getattr(options, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be more than 0")
    if options.movielens:
        options.dataset, options.data_dir = "movielens-1m", str(pathlib.Path(options.movielens, "ml-1m"))
    return run("serving", _benchmark, options)


def _benchmark(options: argparse.Namespace) -> None:
    spec = datasets.load(options.dataset)
    # A text is no part of what is served, so no language model is fetched.
    config = RunConfig.load(spec.name, options.config, ["language_model=tiny-random", *options.settings], options.smoke)
    present = _peers(options) if "peers" in options.parts else []
    with quiet_run("serving", options, spec.name) as (layout, output), tempfile.TemporaryDirectory() as folder:
        # TFX takes 20 to 40 seconds to import, so wrong arguments have been refused before.
        from benchmarks import serving_latency, serving_overload, serving_pushes, serving_table
        from benchmarks.journal import Journal
        from benchmarks.report import machine
        from benchmarks.serving_case import CANDIDATES
        from benchmarks.serving_model import ServingModel
        from benchmarks.serving_setup import ServingSetup

        journal = Journal(output.with_suffix(".jsonl"))
        model = ServingModel.of_log(spec, config, layout, options.data_dir, pathlib.Path(folder, "model"))
        # Of another machine, or of a server that was changed since, nothing is used again.
        task = {"model": [model.spec.to_json(), model.parameters, model.origin], "machine": machine(),
                "server": _fingerprint(), "requests": options.requests}
        parts = [_HEADING.format(
            dataset=spec.name, command=shown_command("benchmarks.serving", sys.argv[1:]), machine=machine(),
            smoke="\n**A smoke run: its figures mean nothing.**\n" if options.smoke else "", origin=model.origin,
            parameters=model.parameters, fields=", ".join(f"{f.name} ({f.kind})" for f in model.spec.model_features),
            rows=len(model.rows), candidates=CANDIDATES)]
        plural = "s" if options.rounds > 1 else ""
        with ServingSetup(model, journal, task, options.requests, options.rounds) as setup:
            if "latency" in options.parts:
                parts += [_LATENCY.format(rounds=options.rounds, s=plural),
                          serving_table.latency(serving_latency.measure(setup))]
            if "overload" in options.parts:
                parts += [_OVERLOAD.format(seconds=options.overload_seconds),
                          serving_table.overload(serving_overload.overload(setup, options.overload_seconds))]
            if "soak" in options.parts:
                parts += [_SOAK.format(minutes=options.soak_minutes),
                          serving_table.soak(serving_overload.soak(setup, options.soak_minutes))]
            if "pushes" in options.parts:
                parts += [_PUSHES.format(count=options.pushes),
                          serving_table.pushes(serving_pushes.pushes(setup, options.pushes))]
        if "peers" in options.parts:
            parts += _beside_peers(options, journal, task, pathlib.Path(folder, "ids"), present)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text("\n\n".join(part.strip("\n") for part in parts) + "\n", encoding="utf-8")
        print(output.read_text(encoding="utf-8"))


def _peers(options: argparse.Namespace) -> list[str]:
    """The peers that are there; without `--smoke` absent ones are installed."""
    folder = options.peers.absolute()
    if not options.smoke:
        for peer in peers.PEERS:
            peers.install(folder, peer, options.python)
    return [peer for peer in peers.PEERS if peers.is_ready(folder, peer)]


def _beside_peers(options: argparse.Namespace, journal, task: dict, folder: pathlib.Path, present: list[str]) -> (
        list[str]):
    from benchmarks import serving_peers, serving_table
    from benchmarks.serving_model import ServingModel
    from benchmarks.serving_setup import ServingSetup
    from benchmarks.speed_log import SpeedLog

    if options.movielens:
        try:
            log = SpeedLog.movielens(pathlib.Path(options.movielens, "ml-1m"))
        except OSError as error:
            raise UserError(
                f"--movielens {options.movielens}: {error}; the folder must hold the official ml-1m") from error
    else:
        log = SpeedLog.synthetic(_PEER_ROWS, seed=1)
    job = {"embedding_dim": RunConfig().embedding_dim, "num_layers": 3, "num_heads": 2, "hidden_units": [256, 128, 64],
           "dropout": 0.1, "optimizer": "adam", "learning_rate": RunConfig().training.learning_rate, "seed": 1,
           "threads": len(os.sched_getaffinity(0))}
    config = RunConfig(backbone="autoint", backbone_options={
        **{key: job[key] for key in ("num_layers", "num_heads", "hidden_units", "dropout")}, "batch_norm": True})
    model = ServingModel.of_ids(log, config, folder)
    task = {**task, "model": job, "fields": log.num_ids}
    with ServingSetup(model, journal, task, options.requests, options.rounds) as setup:
        result = serving_peers.measure(setup, log, job, options.peers.absolute(), present)
    absent = [peer for peer in peers.PEERS if peer not in present]
    return [_PEERS.format(
        log="MovieLens 1M" if options.movielens else "a synthetic log of MovieLens 1M's shape",
        peers=", ".join(f"{name} {version}" for name, version in result["versions"].items()) or "none is there",
        threads=job["threads"], rounds=options.rounds, s="s" if options.rounds > 1 else "",
        absent=f" Not installed, and left out: {', '.join(absent)}." if absent else ""),
        serving_table.beside_peers(result)]


def _fingerprint() -> str:
    """Of the server's code."""
    digest = hashlib.sha256()
    for path in sorted(_SERVING.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
