import glob

import numpy as np
import pytest
import tensorflow as tf
from tfx.types import artifact_utils, standard_artifacts

from components import beam_io
from components.artifacts import AdaptedLanguageModel
from components.text_encoder.component import TextEncoder
from components.text_encoder.executor import Executor
from models import adapted_language_model, raw_example
from models.language_model import LanguageModel
from models.language_model_source import LanguageModelSource
from models.spec.errors import UserError
from models.text_table import TextTable

TEXTS = {
    "user": [(11, "This is a user, gender is female."), (12, "This is a user, gender is male.")],
    "item": [(21, "This is a movie, title is Amélie."), (22, "This is a movie, title is Ran.")],
    "watched": [(31, "This is a movie, title is Ran.")],
    "context": [],
}


def written(folder, rows_by_split):
    artifact = standard_artifacts.Examples()
    artifact.uri = str(folder)
    artifact.split_names = artifact_utils.encode_split_names(list(rows_by_split))
    for split, rows in rows_by_split.items():
        (folder / f"Split-{split}").mkdir(parents=True)
        with tf.io.TFRecordWriter(str(folder / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"), "GZIP") as writer:
            for key, text in rows:
                writer.write(raw_example.encode({"key": [key], "text": [text]}))
    return artifact


@pytest.fixture
def texts(tmp_path):
    return written(tmp_path / "texts", TEXTS)


@pytest.fixture
def encoded(monkeypatch):
    """The texts that the language model was given."""
    found, encode = [], LanguageModel.encode

    def recorded(self, batch, *args):
        found.extend(batch)
        return encode(self, batch, *args)

    monkeypatch.setattr(LanguageModel, "encode", recorded)
    return found


def run(texts, folder, fingerprint, adapted=(), previous=(), **daily):
    vectors = standard_artifacts.Examples()
    vectors.uri = str(folder / "vectors")
    Executor().Do(
        {"texts": [texts], "adapted_language_model": list(adapted),
         "previous_vectors": list(previous)}, {"text_vectors": [vectors]},
        {"language_model": "tiny-random", "max_tokens": 24, "language_model_fingerprint": fingerprint, **daily})
    return vectors


def test_every_key_of_every_split_gets_its_texts_vector(texts, tmp_path, encoded):
    vectors = run(texts, tmp_path, LanguageModelSource("tiny-random").fingerprint)

    assert beam_io.splits_of(vectors) == list(TEXTS)
    assert sorted(encoded) == sorted({text for rows in TEXTS.values() for _, text in rows})
    tables = TextTable.load(vectors.uri)
    model = LanguageModel.load("tiny-random")
    for split, rows in TEXTS.items():
        assert sorted(tables[split].keys) == [key for key, _ in rows]
        assert tables[split].vectors.shape == (len(rows) + 1, 32)
        for key, text in rows:
            index = int(tables[split].lookup(tf.constant(key, tf.int64)))
            np.testing.assert_allclose(tables[split].vectors[index], model.encode([text], 24)[0], atol=1e-5)
    assert glob.glob(f"{vectors.uri}/Split-context/*.gz")


def test_the_next_day_encodes_only_what_no_earlier_day_has(texts, tmp_path, encoded):
    fingerprint = LanguageModelSource("tiny-random").fingerprint
    one = run(texts, tmp_path / "1", fingerprint, span=1)
    assert (one.get_int_custom_property("encoded_texts"), one.get_int_custom_property("reused_texts")) == (4, 0)
    # One user is gone and one is new; an item has another text under its key, and another key its old text.
    rows = {"user": [(12, TEXTS["user"][1][1]), (13, "This is a user.")],
            "item": [(21, "This is a movie, title is Amélie 2."), (23, "This is a movie, title is Amélie.")],
            "watched": [(31, "This is a movie, title is Ran.")], "context": []}
    encoded.clear()
    two = run(written(tmp_path / "texts2", rows), tmp_path / "2", fingerprint, previous=[one], span=2)
    assert sorted(encoded) == ["This is a movie, title is Amélie 2.", "This is a user."]
    assert (two.get_int_custom_property("encoded_texts"), two.get_int_custom_property("reused_texts")) == (2, 3)
    assert two.get_int_custom_property("span") == 2
    tables, model = TextTable.load(two.uri), LanguageModel.load("tiny-random")
    for split, entries in rows.items():
        assert sorted(tables[split].keys) == [key for key, _ in entries]
        for key, text in entries:
            vector = tables[split].vectors[int(tables[split].lookup(tf.constant(key, tf.int64)))]
            np.testing.assert_allclose(vector, model.encode([text], 24)[0], atol=1e-5)
    # Nothing new, nothing encoded.
    encoded.clear()
    run(written(tmp_path / "texts3", rows), tmp_path / "3", fingerprint, previous=[two], span=3)
    assert encoded == []


def test_vectors_of_one_log_are_as_they_were(texts, tmp_path):
    vectors = run(texts, tmp_path, LanguageModelSource("tiny-random").fingerprint)
    files = glob.glob(f"{vectors.uri}/Split-watched/*.gz")
    (row,) = [raw_example.decode(r) for r in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()]
    assert set(row) == {"key", "vector"}
    assert not vectors.has_custom_property("span")


def test_other_weights_than_the_pipeline_was_made_for_stop_the_run(texts, tmp_path):
    with pytest.raises(UserError, match="tiny-random.*fingerprint"):
        run(texts, tmp_path, "0123456789abcdef")


def test_an_adapted_language_model_encodes_in_place_of_its_original(texts, tmp_path):
    adapted = AdaptedLanguageModel()
    adapted.uri = str(tmp_path / "adapted")
    model = LanguageModel.load("tiny-random")
    embeddings = model.backbone.token_embedding.embeddings
    embeddings.assign(embeddings + np.random.default_rng(1).normal(size=embeddings.shape))
    adapted_language_model.save(model, adapted.uri)
    fingerprint = LanguageModelSource("tiny-random").fingerprint

    original = run(texts, tmp_path / "original", fingerprint)
    vectors = run(texts, tmp_path / "adapted_vectors", fingerprint, [adapted])
    assert original.get_int_custom_property("language_model_adapted") == 0
    assert vectors.get_int_custom_property("language_model_adapted") == 1
    key, text = TEXTS["item"][0]
    (before, after) = (
        table.vectors[int(table.lookup(tf.constant(key, tf.int64)))]
        for table in (TextTable.load(v.uri)["item"] for v in (original, vectors)))
    np.testing.assert_allclose(after, model.encode([text], 24)[0], atol=1e-5)
    assert np.abs(after - before).max() > 0.1
    with pytest.raises(UserError, match="tiny-random.*fingerprint"):
        run(texts, tmp_path, "0123456789abcdef", [adapted])


def test_component_declares_its_channels(texts):
    from tfx.types import channel_utils

    encoder = TextEncoder(channel_utils.as_channel([texts]), "tiny-random", 24, "f")
    assert encoder.outputs["text_vectors"].type is standard_artifacts.Examples
    assert encoder.exec_properties == {
        "language_model": "tiny-random", "max_tokens": 24, "language_model_fingerprint": "f", "span": None}
