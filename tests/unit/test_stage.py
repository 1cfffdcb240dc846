import math
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from models import raw_example
from models.alignment_model import AlignmentModel
from models.field import Field
from models.language_model import LanguageModel
from models.sentence_tokenizer import SentenceTokenizer
from models.spec.errors import UserError
from models.text_tower import TextTower
from pipeline.config import RunConfig
from pipeline.run_fns import daily, distillation
from pipeline.run_fns.fitting_batch import fitting_batch
from pipeline.run_fns.stage import Stage


def test_other_weights_than_the_pipeline_was_made_for_stop_a_stage_that_fine_tunes():
    custom_config = {
        "config": {"text_mode": "finetune", "language_model": "tiny-random"},
        "language_model_fingerprint": "0123456789abcdef", "adapted_language_model": None}
    with pytest.raises(UserError, match="tiny-random.*fingerprint here is"):
        Stage.from_fn_args(SimpleNamespace(custom_config=custom_config), "alignment")


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A stage with ten rows to train on, six of them clicks."""
    path = str(tmp_path / "rows.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for row in range(10):
            writer.write(raw_example.encode({"label": [int(row < 6)]}))
    stage = object.__new__(Stage)
    stage.name, stage._counted, stage.earlier_model = "student", {}, None
    stage.strategy = tf.distribute.get_strategy()
    stage.fields = [Field("item", "categorical", 5, "item")]
    stage.config = RunConfig.load("no-such-builtin", None, ["training.batch_size=8"])
    monkeypatch.setattr(stage, "files", lambda split: [path], raising=False)
    return stage


def clicked(rows):
    return tf.equal(tf.io.parse_example(rows, {"label": tf.io.FixedLenFeature([], tf.int64)})["label"], 1)


def test_fewer_rows_than_a_batch_are_one_batch_those_of_a_fold_too(stage, monkeypatch):
    asked = []
    monkeypatch.setattr(stage, "dataset", lambda split, size, **options: asked.append((split, size)), raising=False)
    monkeypatch.setattr(stage, "fit", lambda *args, **options: None, raising=False)
    stage.fit_on_clicks(None, "student", 1)
    stage.fit_on_clicks(None, "teacher", 1, keep=clicked)
    assert [size for split, size in asked if split == "train"] == [8, 6]


@pytest.mark.parametrize(("rows", "batch"), [
    (10, 32), (6_399, 32), (6_400, 64), (58_279, 512), (409_599, 2048), (409_600, 4096), (10**9, 4096)])
def test_an_epoch_of_a_small_log_has_a_hundred_steps(rows, batch):
    assert fitting_batch(rows, steps=100, most=4096) == batch


def test_the_batch_is_that_of_the_configuration_or_fits_the_log(stage):
    assert stage.click_batch == 8
    stage.config = RunConfig.load("no-such-builtin", None, ["alignment.batch_size=7"])
    stage._counted["train", None] = (6_400, 6)
    assert (stage.click_batch, stage.alignment_batch) == (64, 7)
    stage.config = RunConfig.load("no-such-builtin", None, [])
    assert stage.alignment_batch == 128


def test_models_of_clicks_start_at_the_click_rate(stage, monkeypatch):
    log_odds = math.log(6.5 / 4.5)
    rows = {"item": np.array([1, 2])}
    model = stage.new_ctr_model()
    model.output_layer.kernel.assign(model.output_layer.kernel * 0)
    np.testing.assert_allclose(model(rows), [log_odds] * 2, rtol=1e-6)
    model.output_layer.bias.assign([7.0])
    daily.start_output_layer(stage, model)
    np.testing.assert_allclose(model.output_layer.bias, [log_odds], rtol=1e-6)
    tower = TextTower({"item": np.eye(3, 5, -1, "float32")})
    monkeypatch.setattr(distillation, "_aligned", lambda stage: AlignmentModel(model, tower, num_subspaces=2, width=3))
    teacher = distillation._new_teacher(stage)
    np.testing.assert_allclose(teacher.output_layer.bias, [log_odds], rtol=1e-6)


def test_all_devices_get_equal_numbers_of_rows():
    stage = object.__new__(Stage)
    stage.name, stage.strategy = "student", SimpleNamespace(num_replicas_in_sync=4)
    assert [stage.batch_size(10, 100), stage.batch_size(64, 100), stage.batch_size(64, 7)] == [8, 64, 4]
    with pytest.raises(UserError, match="student: a batch of 3 rows is too small for 4 devices"):
        stage.batch_size(64, 3)


def test_a_user_is_told_how_many_sentences_are_cut(tmp_path, monkeypatch):
    path = str(tmp_path / "rows.gz")
    sentences = [("red lamp", "kettle"), ("red " * 9, "kettle")]
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for row in sentences:
            writer.write(tf.train.Example(features=tf.train.Features(feature={
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[1])),
                "row_sentence": tf.train.Feature(bytes_list=tf.train.BytesList(value=[s.encode() for s in row]))},
            )).SerializeToString())
    stage = object.__new__(Stage)
    stage.tft_output = SimpleNamespace(transformed_feature_spec=lambda: {
        "label": tf.io.FixedLenFeature([], tf.int64), "row_sentence": tf.io.FixedLenFeature([2], tf.string)})
    told = []
    monkeypatch.setattr(stage, "files", lambda split: [path], raising=False)
    monkeypatch.setattr(stage, "progress", told.append, raising=False)
    tokenizer = LanguageModel.tokenizer_of("tiny-random")
    lengths = sorted(SentenceTokenizer(tokenizer, 8).lengths(tf.constant(sentences)).tolist())
    for max_tokens in lengths:
        stage.config = SimpleNamespace(max_tokens=max_tokens)
        stage._tokenize = SentenceTokenizer(tokenizer, max_tokens)
        stage.tell_of_cut_sentences()
    # The greater of both numbers cuts none.
    assert told == [f"max_tokens {lengths[0]} cuts 50.0% of the first 2 rows' sentences, of {sum(lengths) / 2:.0f} "
                    f"tokens in the median and {lengths[1]} at most"]
