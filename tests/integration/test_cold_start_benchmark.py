"""The smoke version of the benchmark of hidden items: a run, exports with catalogues, a table."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.integration.conftest import REPOSITORY

# Minutes, and what it runs is tested elsewhere piece by piece.
pytestmark = pytest.mark.long


def test_the_smoke_version_writes_its_table(tmp_path):
    output = tmp_path / "cold_start.md"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "CUDA_", "GRPC_"))}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.cold_start", "--smoke", "--text-only", "category", "tags",
         "--output", output],
        cwd=REPOSITORY, env={**environment, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    table = output.read_text(encoding="utf-8")
    assert "`python -m benchmarks.cold_start --smoke --text-only category tags --output FILE`" in table
    assert "tiny-random" in table
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| sample")]
    assert [[row[0], *row[4:6]] for row in rows] == [
        [f"| sample{which}", model, "1"] for which in ("", ", category and tags in the text only")
        for model in ("plain", "aligned")]
    for row in rows:
        aucs = [float(cell) for cell in row[6:9]]
        assert all(0 <= auc <= 1 for auc in aucs) and len(set(aucs)) > 1
        assert float(row[9]) == round(float(row[9]), 4)
        assert re.fullmatch(r"item_id -?\d\.\d\d, title -?\d\.\d\d \|", row[10])
    entries = list(map(json.loads, output.with_suffix(".jsonl").read_text(encoding="utf-8").splitlines()))
    assert [f"{entry['result']['models']['aligned']['text']:.4f}" for entry in entries] == [rows[1][8], rows[3][8]]
    # After the last run; a run itself may warn, as of a model that the gate refuses.
    assert "WARNING" not in done.stderr.split("next        ")[-1]
