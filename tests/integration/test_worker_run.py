"""A whole run whose models two processes train together, as two machines do.

    python -m pytest -m long tests/integration/test_worker_run.py
"""

import threading

import pytest

from tests.integration.conftest import Ctrl, components
from tests.task_configs import task_configs

TRAINERS = {"AlignmentTrainer": "alignment", "PlainTrainer": "plain", "DistillationTrainer": "distillation"}


@pytest.fixture
def machines() -> list[Ctrl]:
    """The first runs the pipeline."""
    return [Ctrl(TF_CONFIG=config) for config in task_configs(2)]


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_a_run_and_a_worker(machines, tmp_path):
    first, second = machines
    worker = second.start("worker", "--root", tmp_path, "--dataset", "sample-smoke")
    said = []
    # Whatever it says is read, or it would wait for that one day.
    reader = threading.Thread(target=lambda: said.extend(worker.stdout))
    reader.start()
    try:
        run = first("run", "--dataset", "sample", "--smoke", "--root", tmp_path, "--set", "language_model=tiny-random",
                    timeout=2000)
        assert worker.poll() is None, said
    finally:
        worker.terminate()
        worker.wait(60)
        reader.join()
    assert "verdict     PUSHED" in run.stdout
    assert TRAINERS.keys() <= components(run.stdout).keys()
    joined = [line.split()[-1] for line in said if line.startswith("training ")]
    assert joined == [f"pipeline.run_fns.{name}.run_fn" for name in TRAINERS.values()]
    assert "epoch" in run.stdout and not any("epoch" in line or "Traceback" in line for line in said)
