"""The smoke version of the cost of alignment: both ways on the sample, a table."""

import os
import re
import subprocess
import sys

import pytest

from tests.integration.conftest import REPOSITORY

# Minutes, and what it runs is tested elsewhere piece by piece.
pytestmark = pytest.mark.long


def test_the_smoke_version_writes_its_table(tmp_path):
    output = tmp_path / "cost.md"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.alignment_cost", "--smoke", "--seeds", "1", "2", "--root", tmp_path / "root",
         "--output", output], cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    text = output.read_text(encoding="utf-8")
    assert "sentences of 1,024 rows" in text and "A smoke run: its figures mean nothing" in text
    rates = re.findall(r"^\| (?:naive|ours,).* \| ([\d,]+) \| [\d.,]+ \|$", text, re.M)
    _, steps, one, five = (int(rate.replace(",", "")) for rate in rates)
    # An encoding that is spread over more epochs costs less; none costs least.
    assert one < five < steps
    aucs = re.findall(r"^\| (?:the naive way|ours|not at all) \| 2 \| (0\.\d{4}) ± ", text, re.M)
    assert len(aucs) == 3
