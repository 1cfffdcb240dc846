from types import SimpleNamespace

import pytest
import tensorflow as tf

from models.spec.errors import UserError
from pipeline.run_fns.stage import Stage


def test_other_weights_than_the_pipeline_was_made_for_stop_a_stage_that_fine_tunes():
    custom_config = {
        "config": {"text_mode": "finetune", "language_model": "tiny-random"},
        "language_model_fingerprint": "0123456789abcdef", "adapted_language_model": None}
    with pytest.raises(UserError, match="tiny-random.*fingerprint here is"):
        Stage.from_fn_args(SimpleNamespace(custom_config=custom_config), "alignment")


def test_fewer_rows_than_a_batch_are_one_batch_those_of_a_fold_too(tmp_path, monkeypatch):
    path = str(tmp_path / "rows.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for row in range(10):
            writer.write(str(row))
    asked = []
    stage = object.__new__(Stage)
    stage.strategy = tf.distribute.get_strategy()
    stage._rows, stage.config = {}, SimpleNamespace(training=SimpleNamespace(batch_size=8, patience=2))
    monkeypatch.setattr(stage, "files", lambda split: [path], raising=False)
    monkeypatch.setattr(stage, "dataset", lambda split, size, **options: asked.append((split, size)), raising=False)
    monkeypatch.setattr(stage, "fit", lambda *args, **options: None, raising=False)
    stage.fit_on_clicks(None, "student", 1)
    stage.fit_on_clicks(None, "teacher", 1, keep=lambda rows: tf.strings.to_number(rows) < 6)
    assert [size for split, size in asked if split == "train"] == [8, 6]


def test_all_devices_get_equal_numbers_of_rows():
    stage = object.__new__(Stage)
    stage.name, stage.strategy = "student", SimpleNamespace(num_replicas_in_sync=4)
    assert [stage.batch_size(10, 100), stage.batch_size(64, 100), stage.batch_size(64, 7)] == [8, 64, 4]
    with pytest.raises(UserError, match="student: a batch of 3 rows is too small for 4 devices"):
        stage.batch_size(64, 3)
