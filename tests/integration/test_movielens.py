"""MovieLens, whole: needs CTRL_MOVIELENS_DIR, a folder that holds the official ml-100k and ml-1m."""

import json
import os
import pathlib
import time

import pytest

from tests.integration.conftest import peak_memory

pytestmark = [
    pytest.mark.movielens,
    pytest.mark.timeout(2 * 3600),
    pytest.mark.skipif("CTRL_MOVIELENS_DIR" not in os.environ, reason="CTRL_MOVIELENS_DIR is not set"),
]


def _run(ctrl, tmp_path, name, folder):
    started = time.monotonic()
    data = pathlib.Path(os.environ["CTRL_MOVIELENS_DIR"], folder)
    run = ctrl("run", "--dataset", name, "--data-dir", data, "--root", tmp_path, timeout=2 * 3600)
    minutes = (time.monotonic() - started) / 60
    (path,) = (tmp_path / name / "runs").glob("*.json")
    assert "verdict     PUSHED" in run.stdout
    return json.loads(path.read_text()), minutes


def test_100k_within_15_minutes(ctrl, tmp_path):
    summary, minutes = _run(ctrl, tmp_path, "movielens-100k", "ml-100k")
    assert summary["ingestion"]["read"] == 100_000
    assert sum(summary["ingestion"]["rows"].values()) == 72_855
    assert summary["student"]["overall"]["auc"] > 0.75
    assert minutes < 15


def test_1m_within_75_minutes_and_8_gigabytes(ctrl, tmp_path):
    summary, minutes = _run(ctrl, tmp_path, "movielens-1m", "ml-1m")
    assert summary["ingestion"]["read"] == 1_000_209
    assert sum(summary["ingestion"]["rows"].values()) == 739_012
    assert sum(summary["ingestion"]["positive"].values()) == 575_281
    # A time split of 8:1:1, exact to the ties at the cuts.
    assert summary["ingestion"]["rows"]["test"] == pytest.approx(73_901, abs=400)
    assert summary["plain"]["overall"]["auc"] >= 0.835
    assert minutes < 75
    assert peak_memory() < 8e9
