"""The benchmark `gain`, a process of its own, on a log of a user's own."""

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


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gain")
    hotel_log.write_csv(folder / "log.csv")
    spec = hotel_log.write_spec(folder, "log.csv")
    # Not all features: each takes Transform some seconds.
    values = yaml.safe_load(spec.read_text(encoding="utf-8"))
    values["features"] = [f for f in values["features"] if f["name"] in ("guest", "country", "hotel", "hotel_name")]
    spec.write_text(yaml.safe_dump(values), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gain", "--dataset", spec, "--root", folder / "root", "--smoke",
         "--control", "--output", folder / "gain.md", "--backbones", "wide_deep", "--set", "language_model=tiny-random",
         "--set", "training.batch_size=512", "--set", "alignment.batch_size=512", "--set", "embedding_dim=8",
         "--set", "backbone_options={hidden_units: [16]}"],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return folder / "gain.md"


def test_every_arm_and_seed_is_in_the_table(output):
    text = output.read_text(encoding="utf-8")
    for words in ("1,049 / 225 / 226", "Seeds**: 1, 2", "A smoke run: its figures mean nothing",
                  "| wide_deep | plain | 2 | ", "| wide_deep | aligned | 2 | ",
                  "| wide_deep | aligned + distilled | 2 | ", "| wide_deep | teacher | 2 | ",
                  "| wide_deep | plain + distilled | 2 | ", "| wide_deep | rare users | "):
        assert words in text, text


def test_models_are_evaluated_on_the_test_split_and_differ(output):
    entries = [json.loads(line) for line in output.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(e["seed"], e["arm"]) for e in entries] == [
        (seed, arm) for seed in (1, 2) for arm in ("plain", "aligned", "distilled", "plain_distilled")]
    found = {(e["seed"], model): figures["test"]["all"] for e in entries for model, figures in e["result"].items()}
    assert len(found) == 10 and {f["rows"] for f in found.values()} == {226}
    assert len({f["logloss"] for f in found.values()}) == 10
