"""The smoke version of the benchmark of growth: a table, a plot and the plan for a billion rows."""

import os
import subprocess
import sys

import pytest

from tests.integration.conftest import REPOSITORY

# Every component in a process of its own, twice: ten minutes on two cores.
pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

COMPONENTS = [
    "log", "ExampleGen", "StatisticsGen", "SchemaGen", "DataValidator", "Textualiser", "TextEncoder", "Transform",
    "AlignmentTrainer", "PlainTrainer", "DistillationTrainer", "PlainEvaluator", "ColdStart", "Evaluator", "Pusher",
    "ServingConfig", "Scorer"]


def test_the_smoke_version_writes_table_plot_and_plan_and_goes_on_where_it_was(tmp_path):
    pytest.importorskip("altair", reason="altair draws the plot")

    def run():
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "CUDA_"))}
        return subprocess.run(
            [sys.executable, "-m", "benchmarks.scale", "--smoke", "--root", tmp_path / "root",
             "--output", tmp_path / "scale.md", "--capacity", tmp_path / "capacity.md"],
            cwd=REPOSITORY, env={**environment, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True)

    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "scale.md").read_text(encoding="utf-8")
    assert "A smoke run: its figures mean nothing" in text
    assert "python -m benchmarks.scale --smoke --root ROOT --output FILE --capacity FILE" in text
    for title in ("Wall time, seconds", "CPU time, seconds", "Peak memory, GB", "Written, MB"):
        rows = text.split(f"## {title}")[1].split("##")[0].splitlines()
        names = [row.split(" | ")[0].removeprefix("| ") for row in rows if row.startswith("| ")][1:]
        assert set(names) == set(COMPONENTS)
    assert (tmp_path / "scale.svg").read_text().startswith("<svg")
    assert "a smoke run" in (tmp_path / "capacity.md").read_text(encoding="utf-8")
    kept = (tmp_path / "scale.jsonl").read_text()
    # All is in the journal: nothing is measured again.
    assert run().returncode == 0
    assert (tmp_path / "scale.jsonl").read_text() == kept
