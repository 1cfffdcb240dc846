import json
import os
import pathlib
import subprocess
import sys
import time
import types

import pytest

from components.trainer import workers
from models.spec.errors import UserError

RUN_FN = "tests.unit.workers_case.run_fn"


def tf_config(index):
    # Nobody connects to these: the stage in between trains nothing.
    return json.dumps({"cluster": {"worker": ["localhost:1", "localhost:2"]},
                       "task": {"type": "worker", "index": index}})


def fn_args(folder, base_model=None):
    return types.SimpleNamespace(
        train_files=["rows.gz"], eval_files=[], transform_output="graph", serving_model_dir="model",
        model_run_dir="run", base_model=base_model, custom_config={
            "checkpoint_dir": str(folder / "PlainTrainer"), workers.ANNOUNCED_RUN_FN: RUN_FN,
            "config": {"distribution": {"strategy": "one_device", "tpu": ""}}})


def test_all_machines_run_what_the_chief_announces(tmp_path, monkeypatch):
    follower = subprocess.Popen(
        [sys.executable, "-c", "import sys; from components.trainer.workers import follow; "
         "follow(sys.argv[1], lambda line: print(line, flush=True), jobs=1, every=0.02)", str(tmp_path)],
        env={**os.environ, "TF_CONFIG": tf_config(1)}, stdout=subprocess.PIPE, text=True)
    try:
        monkeypatch.setenv("TF_CONFIG", tf_config(0))
        # The chief of a real training waits for the others at its first step.
        monkeypatch.setattr(workers, "_run", _after_the_follower(tmp_path, workers._run))
        workers.run_fn(fn_args(tmp_path))
        output, _ = follower.communicate(timeout=300)
    finally:
        follower.kill()
    assert output.splitlines() == [f"training {RUN_FN}", "epoch 1/1"]
    found = [json.loads((tmp_path / "PlainTrainer" / f"{i}.json").read_text()) for i in (0, 1)]
    assert [f["files"] for f in found] == [["rows.gz"]] * 2
    assert len({f["pid"] for f in found} | {os.getpid(), follower.pid}) == 4
    assert list((tmp_path / "workers").iterdir()) == []


def _after_the_follower(folder, run):
    def waiting(*arguments):
        end = time.monotonic() + 300
        while not (folder / "PlainTrainer" / "1.json").exists() and time.monotonic() < end:
            time.sleep(0.05)
        run(*arguments)

    return waiting


def test_an_error_of_the_users_comes_back_as_one(tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(0))
    with pytest.raises(UserError, match="^the rows are\ngone$"):
        workers.run_fn(fn_args(tmp_path, base_model="anything"))
    assert list((tmp_path / "workers").iterdir()) == []


def test_a_training_ends_with_the_process_that_started_it(tmp_path):
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"id": "1", **vars(fn_args(tmp_path, base_model="sleep"))}))
    parent = subprocess.Popen(
        [sys.executable, "-c", "import sys; from components.trainer import workers; "
         "workers._run(sys.argv[1], lambda line: print(line, flush=True))", str(job)],
        stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "epoch 1/1\n"
    training = int(parent.stdout.readline())
    os.kill(training, 0)
    parent.kill()
    parent.wait()
    end = time.monotonic() + 60
    while pathlib.Path(f"/proc/{training}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(training, 0)


def test_when_several_machines_are_wanted(monkeypatch):
    settings = {"distribution": {"strategy": "auto", "tpu": ""}}
    assert not workers.wanted(settings)
    monkeypatch.setenv("TF_CONFIG", tf_config(0))
    assert workers.wanted(settings)
    assert not workers.wanted({"distribution": {"strategy": "one_device"}})
    # A stage that trains nothing has no such settings.
    assert not workers.wanted({})
    monkeypatch.setenv("TF_CONFIG", tf_config(1))
    with pytest.raises(UserError, match="not the first of its machines.*ctrl worker"):
        workers.wanted(settings)
