"""The smoke version of the benchmark of serving, without the other libraries: all parts on the sample, a table."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.integration.conftest import REPOSITORY

# Minutes, and what it runs is tested elsewhere piece by piece.
pytestmark = pytest.mark.long


def _run(tmp_path, *arguments):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "CUDA_"))}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.serving", "--smoke", "--root", tmp_path / "root", "--peers",
         tmp_path / "none", "--output", tmp_path / "serving.md", *arguments],
        cwd=REPOSITORY, env={**environment, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, timeout=800)


def test_the_smoke_version_writes_its_table_and_goes_on_from_its_journal(tmp_path):
    done = _run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    text = (tmp_path / "serving.md").read_text(encoding="utf-8")
    assert "`python -m benchmarks.serving --smoke --root ROOT --peers FOLDER --output FILE`" in text
    assert "A smoke run: its figures mean nothing" in text
    assert "exported by this benchmark: autoint with its initial weights" in text
    headings = re.findall("^## .*", text, re.M)
    assert headings == ["## Latency and throughput", "## Overload", "## Soak", "## Many versions",
                        "## Beside other libraries"]
    cells = re.findall(
        r"^\| (.*) \| (bare, )?(\d+) (?:client|thread)s? \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", text, re.M)
    assert sum(not bare for _, bare, *_ in cells) == 9 * 3
    assert all(0 < float(p50) <= float(p90) <= float(p99) for *_, p50, p90, p99 in cells)
    assert "| any other failure | 0.0% | none: yes |" in text
    # Whether there are any is for the benchmark to say.
    assert re.search(r"failures: [\d,]+ \(target: none: (yes|no)\)", text)
    assert re.search(r"% in all \(target: flat, less than 1%: (yes|no)\)", text)
    assert re.search(r"^\| 0 \| [\d,]+ \| \+0.0% \|\n\| 1 \| .*\n\| 2 \| ", text, re.M)
    assert "Not installed, and left out: FuxiCTR, DeepCTR-Torch." in text
    assert len(re.findall(r"^\| this project, (?:gRPC|bare), ", text, re.M)) == 4 * 3
    journal = tmp_path / "serving.jsonl"
    kept = journal.read_text(encoding="utf-8")
    assert {json.loads(line)["part"] for line in kept.splitlines()} == {
        "latency", "overload", "soak", "pushes", "peers"}
    again = _run(tmp_path, "--parts", "overload")
    assert again.returncode == 0, again.stdout + again.stderr
    assert journal.read_text(encoding="utf-8") == kept
    shorter = (tmp_path / "serving.md").read_text(encoding="utf-8")
    assert re.findall("^## .*", shorter, re.M) == ["## Overload"]
