"""Training on several replicas gives what one device gives for the same global batches."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tests.task_configs import task_configs
from tests.unit.distributed_case import EPOCHS, STEPS, write_rows

ROOT = pathlib.Path(__file__).parents[2]
MODELS = ("alignment", "clicks", "student")
# Geometry and usage are means over the replicas' own rows.
LOCAL = ("uniformity", "usage")


def _start(folder, kind, *names, **environment):
    command = [sys.executable, "-m", "tests.unit.distributed_case", str(folder), kind, *names]
    variables = {"TF_USE_LEGACY_KERAS": "0", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables, **environment})


def _finish(folder, *processes):
    for process in processes:
        try:
            output, _ = process.communicate(timeout=600)
        finally:
            process.kill()
        assert process.returncode == 0, output
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*-?.json"))]


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """A folder of rows, copied by nobody: each kind of training writes beside them."""
    folder = tmp_path_factory.mktemp("distributed")
    write_rows(folder)
    return folder


def _folder(rows, name):
    folder = rows / name
    folder.mkdir()
    for file in ("train.gz", "validation.gz"):
        (folder / file).symlink_to(rows / file)
    return folder


@pytest.fixture(scope="module")
def one_device(rows):
    """What Keras's own `fit` gives on one device."""
    folder = _folder(rows, "one")
    return _finish(folder, _start(folder, "one_device", *MODELS, "resumed_clicks"))[0]


@pytest.fixture(scope="module")
def mirrored(rows):
    """Two replicas in one process."""
    folder = _folder(rows, "mirrored")
    return _finish(folder, _start(folder, "mirrored", *MODELS, "chunked", "seeds", "warm_started"))[0]


@pytest.fixture(scope="module")
def workers(rows):
    """Two processes that find each other by TF_CONFIG on loopback ports, as two machines do."""
    folder = _folder(rows, "workers")
    processes = [
        _start(folder, "multi_worker", *MODELS, "resumed_clicks", "warm_started", TASK=str(i), TF_CONFIG=config)
        for i, config in enumerate(task_configs(2))]
    return _finish(folder, *processes)


def _check(found, expected):
    assert len(found["steps"]) == len(expected["steps"])
    np.testing.assert_allclose(found["steps"], expected["steps"], atol=1e-4)
    assert found["history"].keys() == expected["history"].keys()
    for name, values in expected["history"].items():
        if not name.endswith(LOCAL):
            np.testing.assert_allclose(found["history"][name], values, atol=1e-4, err_msg=name)
    for ours, theirs in zip(found["weights"], expected["weights"], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_two_replicas_in_a_process(one_device, mirrored, model):
    assert len(one_device[model]["steps"]) == STEPS * EPOCHS
    _check(mirrored[model], one_device[model])
    assert "epoch 2/2" in mirrored[model]["lines"][-1] and "rows/s" in mirrored[model]["lines"][-1]


@pytest.mark.parametrize("model", MODELS)
def test_two_processes(one_device, workers, model):
    for worker in workers:
        _check(worker[model], one_device[model])


def test_two_processes_go_on_after_a_kill_as_one_does(one_device, workers):
    assert len(one_device["resumed_clicks"]["steps"]) < STEPS
    for worker in workers:
        _check(worker["resumed_clicks"], one_device["resumed_clicks"])


def test_every_replica_begins_with_an_earlier_days_model(mirrored, workers):
    for found in (mirrored["warm_started"], *(worker["warm_started"] for worker in workers)):
        assert found["left"] == [] and set(found["distance"]) == {0.0}


def test_one_of_two_processes_writes(workers, rows):
    assert [worker["chief"] for worker in workers] == [True, False]
    folder = rows / "workers" / "CollectiveAllReduceStrategy" / "clicks" / "whole"
    assert sorted(path.suffix for path in folder.iterdir()) == [".h5", ".json"]


def test_gradient_caching_is_refused(mirrored):
    assert "alignment.chunk_size is 8" in mirrored["chunked"] and "set it to 0" in mirrored["chunked"]


def test_replicas_draw_their_dropout_apart(mirrored):
    assert mirrored["seeds"]
    for one, two in mirrored["seeds"]:
        # Seed and counter: they have drawn as often, from another seed.
        assert one[1] == two[1] > 0 and one[0] != two[0]
