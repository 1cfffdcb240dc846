"""Measures training speed side by side with FuxiCTR and DeepCTR-Torch.

    python -m benchmarks.speed

Rows a second of AutoInt and DCNv2 of the same sizes on the same rows: this project in memory
and streamed from a gzipped TFRecord, and both other libraries in memory, each in an
environment of its own below `--peers`, which the first run makes. The result, whatever it is,
is written to `benchmarks/results/speed.md`. Half an hour on two cores; `--smoke` tries it out
in a minute, without libraries that are not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from benchmarks import peers
from benchmarks.command import RESULTS, shown_command
from benchmarks.speed_log import SpeedLog
from benchmarks.speed_table import MEMORY, STREAM, different_sizes, table, verdicts
from models.spec.errors import UserError
from pipeline import console
from pipeline.config import RunConfig

MODELS = ("autoint", "dcnv2")
HEADER = """# Training speed

Written by `{command}`; {threads} CPU cores.
{smoke}
* **Rows**: {log}, {rows:,} rows.
* **Fields**, one id each: {names}. Sets and histories are left out: not all contenders read them alike.
* **Model**: embeddings of {embedding_dim}, {num_layers} interaction layers (AutoInt: {num_heads} heads, residual
  projections; DCNv2: whole matrices, beside the tower), tower {hidden_units} with batch normalisation and dropout
  {dropout}, no L2 penalty, float32. Parameters, the trainable ones, are in the table.
* **Training**: {optimizer}, learning rate {learning_rate}, batches of {batch_size:,}, rows shuffled.
* **Measured**: {epochs} epoch{s} after a first that is not counted, in {rounds} round{r} of which each contender runs
  once, in a process of its own, all on the same {threads} cores. Medians, and ratios of medians.
* **Loops**: each contender's own, without evaluation and checkpoints. They are not the same: this project's updates
  training AUC and logloss and looks for numbers that are not finite at every step, FuxiCTR's clips gradients.
  FuxiCTR's package holds neither of the models: they are put together of its layers.
* **Streamed**: from one gzipped TFRecord of Examples through a shuffle buffer of {shuffle_buffer:,} rows, as `ctrl run`
  trains: an epoch's first batches are made ready while the one before ends. So this project trains one more, not
  counted, after those that are. All others have the rows as arrays in memory.

Versions: {versions}.
"""


def main() -> None:
    """Entry point."""
    options = _options()
    # All contenders, their loaders' processes included, share the same cores.
    cores = sorted(os.sched_getaffinity(0))[:options.threads]
    os.sched_setaffinity(0, cores)
    try:
        contenders = _contenders(options)
        with tempfile.TemporaryDirectory() as folder:
            log, job = _prepare(pathlib.Path(folder), options, len(cores))
            results, versions = _measure(contenders, pathlib.Path(folder, "job.json"), options.rounds)
    except UserError as error:
        sys.exit(f"error: {error}")
    text = HEADER.format(
        **{key: job[key] for key in ("threads", "embedding_dim", "num_layers", "num_heads", "hidden_units", "dropout",
                                     "learning_rate", "batch_size", "epochs", "shuffle_buffer")},
        command=shown_command("benchmarks.speed", sys.argv[1:]), rounds=options.rounds,
        r="s" if options.rounds > 1 else "",
        s="s" if job["epochs"] > 1 else "", rows=len(log.label),
        names=", ".join(f"{name} {n - 1:,}" for name, n in log.num_ids.items()),
        log="MovieLens 1M without rating 3" if options.movielens else "a synthetic log of MovieLens 1M's shape",
        optimizer={"adam": "Adam", "adamw": f"AdamW, weight decay {job['weight_decay']}"}[job["optimizer"]],
        smoke="\n**A smoke run: its figures mean nothing.**\n" if options.smoke else "",
        versions=", ".join(f"{name} {version}" for name, version in versions.items()))
    text = "\n".join([text, table(results), "", verdicts(results), ""])
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--movielens", type=pathlib.Path, metavar="DIR",
                        help="folder that holds ml-1m, to train on in place of the synthetic log")
    parser.add_argument("--rows", type=int, help="rows of the log; default: as many as MovieLens 1M without rating 3")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1, help="epochs that are measured, after the first")
    parser.add_argument("--batch-size", type=int, default=RunConfig.load("movielens-1m").training.batch_size)
    parser.add_argument("--optimizer", choices=("adam", "adamw"), default="adam")
    parser.add_argument("--threads", type=int, default=2, help="CPU cores for each contender")
    parser.add_argument("--peers", type=pathlib.Path, default=pathlib.Path(".peers"), metavar="FOLDER",
                        help="environments of the other libraries; made where absent")
    parser.add_argument("--python", default="python3.11", help="what they are made of")
    parser.add_argument("--smoke", action="store_true", help="one round on few rows; installs nothing")
    parser.add_argument("--output", type=pathlib.Path, default=RESULTS / "speed.md")
    options = parser.parse_args()
    if options.smoke:
        options.rows, options.rounds, options.batch_size = 2_000, 1, 256
    for name in ("rows", "rounds", "epochs", "batch_size", "threads"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} is {value}; it must be 1 or more")
    return options


def _contenders(options: argparse.Namespace) -> dict[str, list[str]]:
    """Shown name to its command, to which the job and the model are added."""
    ours = [sys.executable, "-m", "benchmarks.speed_ours"]
    contenders = {MEMORY: [*ours, "memory"], STREAM: [*ours, "stream"]}
    folder = options.peers.absolute()
    for peer in peers.PEERS:
        if not options.smoke:
            peers.install(folder, peer, options.python)
        if peers.is_ready(folder, peer):
            contenders.update(peers.commands(folder, peer))
    return contenders


def _prepare(folder: pathlib.Path, options: argparse.Namespace, threads: int) -> tuple[SpeedLog, dict]:
    """Writes the rows and the job that all contenders read."""
    console.set_environment()
    training = RunConfig().training
    if options.movielens:
        try:
            log = SpeedLog.movielens(options.movielens / "ml-1m", options.rows)
        except OSError as error:
            raise UserError(
                f"--movielens {options.movielens}: {error}; the folder must hold the official ml-1m") from error
    else:
        log = SpeedLog.synthetic(options.rows or 739_012, seed=1)
    job = {
        "arrays": str(folder / "log.npz"), "tfrecord": str(folder / "log.gz"), "num_ids": log.num_ids,
        "embedding_dim": RunConfig().embedding_dim, "num_layers": 3, "num_heads": 2, "hidden_units": [256, 128, 64],
        "dropout": 0.1, "optimizer": options.optimizer, "learning_rate": training.learning_rate,
        "weight_decay": training.weight_decay, "batch_size": options.batch_size, "epochs": options.epochs,
        "shuffle_buffer": training.shuffle_buffer, "threads": threads, "seed": 1}
    log.save(folder / "log.npz")
    log.write_tfrecord(folder / "log.gz")
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    return log, job


def _measure(contenders: dict[str, list[str]], job: pathlib.Path, rounds: int):
    """Results by model and contender, and the versions of all libraries."""
    results = {model: {name: [] for name in contenders} for model in MODELS}
    versions = {}
    for model, found in results.items():
        for number in range(1, rounds + 1):
            for name, command in contenders.items():
                result = _train(name, [*command, str(job), model])
                versions.update(result["versions"])
                found[name].append(result)
                print(f"{model}, round {number}/{rounds}: {name} {result['rows_per_second']:,.0f} rows/s", flush=True)
            if different_sizes(found):
                sizes = ", ".join(f"{name} {r[0]['parameters']:,}" for name, r in found.items())
                raise RuntimeError(f"{model} is not the same model everywhere; trainable parameters: {sizes}")
    return results, versions


def _train(name: str, command: list[str]) -> dict:
    done = subprocess.run(command, capture_output=True, text=True)
    # Libraries print lines of their own.
    found = [line for line in done.stdout.splitlines() if line.startswith('{"rows_per_second"')]
    if done.returncode or not found:
        raise RuntimeError(f"{name} failed with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads(found[-1])


if __name__ == "__main__":
    main()
