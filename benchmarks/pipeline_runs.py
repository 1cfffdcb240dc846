"""Runs the whole pipeline on built-in datasets and writes what came out as a table.

    python -m benchmarks.pipeline_runs --movielens DIR

`DIR` holds the official `ml-100k` and `ml-1m`. Every run starts in an empty root, with the
dataset's own configuration and the seed it names. The result, whatever it is, is written
to `benchmarks/results/pipeline_runs.md`. About half an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from benchmarks.command import RESULTS
from benchmarks.markdown import head

HEADER = """# Whole runs

Written by `{command}`; {cores} CPU cores, seed{s} {seeds}.

Each dataset by its own specification and configuration (`pipeline/datasets`, `pipeline/configs`), frozen language
model minilm, backbone AutoInt. AUC and logloss on the test split, by TFMA on the exported models. One run a seed: on a
single seed, differences of some thousandths mean nothing. Minutes and gigabytes are those of the whole `ctrl run` on a
machine that was doing other work at times; they say that a run is feasible, no more.
"""
COLUMNS = (
    "dataset", "seed", "rows train / validation / test", "split", "plain AUC", "plain logloss", "student AUC",
    "student logloss", "AUC difference", "verdict", "minutes", "peak GB")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--movielens", metavar="DIR", help="folder that holds ml-100k and ml-1m")
    parser.add_argument("--datasets", nargs="+", default=["sample", "movielens-100k", "movielens-1m"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS / "pipeline_runs.md")
    options = parser.parse_args()
    rows = [_run(name, seed, options.movielens) for name in options.datasets for seed in options.seeds]
    command = "python -m benchmarks.pipeline_runs" + (" --movielens DIR" if options.movielens else "")
    if options.datasets != parser.get_default("datasets"):
        command += " --datasets " + " ".join(options.datasets)
    if options.seeds != parser.get_default("seeds"):
        command += " --seeds " + " ".join(map(str, options.seeds))
    text = HEADER.format(
        command=command, cores=os.cpu_count(), s="s" if len(options.seeds) > 1 else "",
        seeds=", ".join(map(str, options.seeds)))
    text += "\n".join(["", *head(COLUMNS), *rows, ""])
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(text)


def _run(name: str, seed: int, movielens: str | None) -> str:
    command = [sys.executable, "-c", "import sys; from pipeline.cli import main; sys.exit(main())",
               "run", "--dataset", name, "--set", f"seed={seed}"]
    folder = {"movielens-100k": "ml-100k", "movielens-1m": "ml-1m"}.get(name)
    if folder:
        if not movielens:
            sys.exit(f"{name} needs --movielens DIR")
        command += ["--data-dir", str(pathlib.Path(movielens, folder))]
    with tempfile.TemporaryDirectory() as root:
        started = time.monotonic()
        # A child of its own, so that its peak memory is not mixed with another run's.
        measured = subprocess.run(
            [sys.executable, "-c", _MEASURE, *command, "--root", root], check=True, stdout=subprocess.PIPE, text=True)
        minutes = (time.monotonic() - started) / 60
        print(measured.stdout, flush=True)
        peak = int(measured.stdout.rsplit("peak ", 1)[1]) / 1e9
        (path,) = pathlib.Path(root, name, "runs").glob("*.json")
        summary = json.loads(path.read_text(encoding="utf-8"))
    plain, student = summary["plain"]["overall"], summary["student"]["overall"]
    sizes = " / ".join(f"{n:,}" for n in summary["ingestion"]["rows"].values())
    return (f"| {name} | {seed} | {sizes} | {summary['ingestion']['split_by']} | {plain['auc']:.4f} | "
            f"{plain['logloss']:.4f} | {student['auc']:.4f} | {student['logloss']:.4f} | "
            f"{student['auc'] - plain['auc']:+.4f} | {summary['verdict'].lower()} | {minutes:.1f} | {peak:.1f} |")


_MEASURE = (
    "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]);"
    "print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024); sys.exit(done.returncode)"
)


if __name__ == "__main__":
    main()
