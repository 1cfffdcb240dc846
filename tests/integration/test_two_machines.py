"""The stages of the pipeline in two processes that find each other by TF_CONFIG, as two machines do.

    python -m pytest -m long tests/integration/test_two_machines.py
"""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from components.trainer import workers
from models import raw_example
from pipeline.config import RunConfig
from tests.task_configs import task_configs
from tests.unit.transform_case import ROWS, SPEC, transform

pytestmark = pytest.mark.long
REPEATED = 16
SETTINGS = [
    "text_mode=finetune", "language_model=tiny-random", "backbone=dcn", "backbone_options={dropout: 0.0}",
    "embedding_dim=4", "training.epochs=1", "training.batch_size=16", "alignment.batch_size=16",
    "distillation.folds=2", "distillation.teacher_epochs=1"]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """What the Trainers read: a transform graph, transformed rows in two files, raw rows."""
    folder = tmp_path_factory.mktemp("machines")
    rows, _ = transform(folder, "finetune")
    values = [{name: [v.item() if isinstance(v, np.generic) else v for v in np.ravel(x)] for name, x in row.items()}
              for row in rows]
    for split, count in (("train", REPEATED), ("validation", 3)):
        (folder / split).mkdir()
        for part in (0, 1):
            _write(folder / split / f"part-{part}.gz", values * count)
    (folder / "raw" / "Split-train").mkdir(parents=True)
    names = [f.name for f in SPEC.model_features]
    _write(folder / "raw" / "Split-train" / "part-0.gz", [{n: r.get(n, []) for n in names} for r in ROWS])
    return folder


def _write(path, rows):
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for row in rows:
            writer.write(raw_example.encode(row))


def _job(pipeline, machines, stage, base_model=None):
    """The file of a job, and where its model lies."""
    out = pipeline / machines / stage
    out.mkdir(parents=True)
    config = RunConfig.load("no-such-builtin", None, SETTINGS).model_dump(mode="json")
    job = {
        "id": stage, "train_files": [str(pipeline / "train" / "*")], "eval_files": [str(pipeline / "validation" / "*")],
        "transform_output": str(pipeline / "graph"), "serving_model_dir": str(out / "model"),
        "model_run_dir": str(out / "run"), "base_model": base_model and str(base_model),
        "custom_config": {
            "dataset_spec": SPEC.to_json(), "config": config, "checkpoint_dir": str(out / "checkpoints"),
            "raw_examples": str(pipeline / "raw"), workers.ANNOUNCED_RUN_FN: f"pipeline.run_fns.{stage}.run_fn"}}
    (out / "run").mkdir()
    (out / "job.json").write_text(json.dumps(job))
    return out / "job.json", out / "model"


def _run(job, count):
    processes = []
    for config in task_configs(count):
        variables = {"TF_CONFIG": config} if count > 1 else {}
        processes.append(subprocess.Popen(
            [sys.executable, "-m", "components.trainer.workers", str(job)], cwd=pathlib.Path(__file__).parents[2],
            env={**os.environ, "TF_USE_LEGACY_KERAS": "0", **variables}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    outputs = []
    for process in processes:
        try:
            output, _ = process.communicate(timeout=800)
        finally:
            process.kill()
        assert process.returncode == 0, output
        outputs.append(output)
    return outputs


def _weights(model):
    reader = tf.train.load_checkpoint(str(model / "variables" / "variables"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "weights" in name}


def test_two_machines_train_the_plain_backbone_of_one(pipeline):
    models = {}
    for machines, count in (("one", 1), ("two", 2)):
        job, models[machines] = _job(pipeline, machines, "plain")
        outputs = _run(job, count)
        assert "plain backbone: epoch 1/1" in outputs[0]
        assert not any("epoch" in output for output in outputs[1:])
    one, two = (_weights(models[machines]) for machines in ("one", "two"))
    assert one.keys() == two.keys() and one
    for name, values in one.items():
        np.testing.assert_allclose(two[name], values, atol=1e-4, err_msg=name)


def test_two_machines_align_and_distil(pipeline):
    job, aligned = _job(pipeline, "two", "alignment")
    assert "val_loss" in _run(job, 2)[0]
    assert [path.name for path in aligned.iterdir()] == ["aligned.weights.h5"]
    job, student = _job(pipeline, "two", "distillation", base_model=aligned)
    output = _run(job, 2)[0]
    for part in ("teacher-1", "teacher-2", "student"):
        assert f"{part}: epoch 1/1" in output
    assert len(list((job.parent / "checkpoints").rglob("fold-*.gz"))) == 2
    served = tf.saved_model.load(str(student)).signatures["serving_default"]
    example = raw_example.encode({"user_id": ["u1"], "movie": ["a"]})
    assert np.isfinite(served(tf.constant([example]))["logit"].numpy()).all()
