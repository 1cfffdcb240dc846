"""The smoke version of the benchmark of training speed, without the other libraries: a table."""

import os
import subprocess
import sys

import pytest

from tests.integration.conftest import REPOSITORY

# Minutes on a busy machine, and what it runs is tested elsewhere piece by piece.
pytestmark = pytest.mark.long


def test_the_smoke_version_writes_its_table(tmp_path):
    output = tmp_path / "speed.md"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "CUDA_"))}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", "--smoke", "--peers", tmp_path / "none", "--output", output],
        cwd=REPOSITORY, env={**environment, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    text = output.read_text(encoding="utf-8")
    assert "`python -m benchmarks.speed --smoke --peers FOLDER --output FILE`" in text
    assert "A smoke run: its figures mean nothing" in text
    assert "a synthetic log of MovieLens 1M's shape, 2,000 rows." in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith(("| autoint", "| dcnv2"))]
    assert [(row[0], row[1]) for row in rows] == [
        (f"| {model}", f"this project, {source}") for model in ("autoint", "dcnv2") for source in
        ("in memory", "streamed")]
    assert all(int(row[3].replace(",", "")) > 0 for row in rows)
    # Embeddings of 13,318 ids (and a padding row each of the 8 fields), 32 wide, and the layers above them.
    assert {row[2] for row in rows} == {"546,305", "731,393"}
    assert not (tmp_path / "none").exists()
