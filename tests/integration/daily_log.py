"""The sample log as daily ones, and one process that runs the pipeline day after day."""

from __future__ import annotations

import collections
import csv
import datetime
import io
import json
import pathlib
import random
import subprocess
import sys

import yaml

from pipeline import datasets
from pipeline.datasets.sample_log import sample_csv

NAME = "shop-days"
LIKED = {"name": "liked", "side": "user", "kind": "history", "of": "item_id", "max_length": 5, "text": False,
         "derive": {"user": "user_id", "time": "timestamp"}}
# Small enough for a minute a day, large enough that a model learns more than chance. Of so few rows the epochs of a
# warm start make a model overconfident, whose logloss rises while it ranks as well or better.
SETTINGS = (
    "rolling.days=2", "language_model=tiny-random", "backbone=wide_deep", "embedding_dim=8", "training.epochs=4",
    "training.batch_size=128", "training.learning_rate=0.003", "distillation.weight=0", "evaluation.max_auc_drop=0.05",
    "evaluation.max_logloss_rise=0.4", "evaluation.max_calibration_error=100")
# Each command waits for a line that says which arguments it is run with, and answers with its exit status.
_LOOP = """
import json, sys
from pipeline.cli import main
for line in sys.stdin:
    status = main(json.loads(line))
    print("exit", status, flush=True)
"""


def write_specification(folder: pathlib.Path) -> pathlib.Path:
    """A specification of daily logs beside them, with a derived history besides the sample's own."""
    spec = yaml.safe_load((pathlib.Path(datasets.__file__).parent / "sample.yaml").read_text(encoding="utf-8"))
    spec |= {"name": NAME, "source": {"format": "csv", "path": "{YYYY}-{MM}-{DD}.csv"}, "split": {"by": "day"}}
    spec["features"].append(LIKED)
    path = folder / "days.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    return path


def days() -> dict[str, list[dict]]:
    """The sample log's rows by day."""
    found = collections.defaultdict(list)
    for row in csv.DictReader(io.StringIO(sample_csv())):
        day = datetime.datetime.fromtimestamp(int(row["timestamp"]), datetime.timezone.utc).date()
        found[day.isoformat()].append(row)
    return found


def write_day(folder: pathlib.Path, day: str, rows: list[dict], shuffled: bool = False) -> None:
    """Writes a day's log; with `shuffled`, the labels are dealt out anew at random."""
    labels = [row["clicked"] for row in rows]
    if shuffled:
        random.Random(1).shuffle(labels)
    with open(folder / f"{day}.csv", "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "clicked": label} for row, label in zip(rows, labels))


class Days:
    """Runs `ctrl run` day after day, in one process, since loading TFX takes longer than a small day.

    Args:
        folder: of the logs.
        root: what the runs are given as `--root`.
        environment: of the process.
    """

    def __init__(self, folder: pathlib.Path, root: pathlib.Path, environment: dict[str, str]):
        self._arguments = ["run", "--dataset", str(write_specification(folder)), "--root", str(root)]
        for setting in SETTINGS:
            self._arguments += ["--set", setting]
        self.layout = root / NAME
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LOOP], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)

    def run(self, *arguments: str) -> tuple[int, dict, str]:
        """Runs once; returns the exit status, the run's summary and what was printed."""
        self._process.stdin.write(json.dumps([*self._arguments, *arguments]) + "\n")
        self._process.stdin.flush()
        said = []
        for line in self._process.stdout:
            if line.startswith("exit "):
                newest = max((self.layout / "runs").glob("*.json"), default=None)
                assert newest is not None, "".join(said)
                return int(line.split()[1]), json.loads(newest.read_text(encoding="utf-8")), "".join(said)
            said.append(line)
        raise AssertionError("".join(said))

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()
