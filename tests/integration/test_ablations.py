"""The smoke version of the ablations, a process of its own, on a log of a user's own."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from tests.integration import hotel_log
from tests.integration.conftest import REPOSITORY

# Minutes, and what it runs is tested elsewhere piece by piece.
pytestmark = pytest.mark.long


def test_one_row_of_each_kind(tmp_path):
    hotel_log.write_csv(tmp_path / "log.csv")
    spec = hotel_log.write_spec(tmp_path, "log.csv")
    values = yaml.safe_load(spec.read_text(encoding="utf-8"))
    # Not all features: each takes Transform some seconds.
    values["features"] = [f for f in values["features"] if f["name"] in ("guest", "country", "hotel", "hotel_name")]
    spec.write_text(yaml.safe_dump(values), encoding="utf-8")
    output = tmp_path / "ablations.md"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ablations", "--dataset", spec, "--root", tmp_path / "root", "--smoke",
         "--output", output, "--seeds", "1", "2", "--set", "language_model=tiny-random",
         "--set", "training.batch_size=512", "--set", "alignment.batch_size=512", "--set", "embedding_dim=8",
         "--set", "backbone=wide_deep", "--set", "backbone_options={hidden_units: [16]}"],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    text = output.read_text(encoding="utf-8")
    for words in ("1,049 / 225 / 226", "Seeds**: 1, 2", "A smoke run: its figures mean nothing",
                  "| nothing | as configured | 2 | ", "| no alignment | plain backbone | 2 | ",
                  "| language model | the same architecture, untrained | 2 | ", "| sub-spaces M | 8 of width 16 | 2 | ",
                  "| text form | field_value | 2 | ", "| masked features besides | weight 1 | 2 | ",
                  "| language model | adapted to the log's texts, 1 epoch | 2 | ",
                  "| two stages | end to end, contrastive weight 0.1 | 2 | "):
        assert words in text, text
    entries = [json.loads(line) for line in output.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()]
    # Eleven rows and two seeds: each another model.
    assert len(entries) == 22 and len({e["result"]["all"]["logloss"] for e in entries}) == 22
