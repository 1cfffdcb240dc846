import json

import numpy as np
import pytest
from tfx.types import channel_utils, standard_artifacts

from components.artifacts import AdaptedLanguageModel
from components.language_adapter.component import LanguageAdapter
from components.language_adapter.executor import Executor, sample
from models import adapted_language_model
from models.language_model import LanguageModel
from models.language_model_source import LanguageModelSource
from models.masked_language_model import MaskedLanguageModel
from models.spec.errors import UserError
from tests.executor_case import artifact, write_examples

GENRES = ("red kettle", "old lamp", "new home shop", "tin city")
TEXTS = {
    "user": [{"key": [i], "text": [f"This is a user, age is {i}, gender is female."]} for i in range(1, 40)],
    "item": [{"key": [i], "text": [f"This is a product, genre is {GENRES[i % 4]}."]} for i in range(1, 40)],
    "history": [{"key": [7], "text": ["This is a product, genre is tin city."]}, {"key": [8], "text": [""]}],
    "context": [],
}


def settings(folder, **changes):
    return {
        "language_model": "tiny-random", "language_model_fingerprint": LanguageModelSource("tiny-random").fingerprint,
        "max_tokens": 32, "epochs": 6, "batch_size": 8, "learning_rate": 3e-3, "max_texts": 1000, "seed": 1,
        "checkpoint_dir": str(folder / "checkpoints"), **changes}


def run(folder, texts=TEXTS, name="out", **changes):
    source = write_examples(folder / "texts", texts)
    target = artifact(AdaptedLanguageModel, folder / name)
    model_run = artifact(standard_artifacts.ModelRun, folder / f"{name}_run")
    Executor().Do(
        {"texts": [source]}, {"adapted_language_model": [target], "model_run": [model_run]},
        settings(folder, **changes))
    return target


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    return run(tmp_path_factory.mktemp("adapted"))


def test_the_language_model_learns_the_texts(adapted):
    facts = adapted_language_model.origin(adapted.uri)
    # 39 users and 4 products: repetitions and the empty text are not counted twice.
    assert facts["texts"] == adapted.get_int_custom_property("texts") == 39 + 4 + 1
    assert facts["epochs"] == len(facts["loss"]) == 6
    assert facts["loss"][-1] < 0.8 * facts["loss"][0]
    assert adapted.get_float_custom_property("loss") == pytest.approx(facts["loss"][-1])
    assert adapted.get_string_custom_property("language_model") == "tiny-random"
    assert facts["fingerprint"] == LanguageModelSource("tiny-random").fingerprint


def test_its_vectors_differ_and_the_folder_is_a_language_model(adapted):
    texts = ["This is a product, genre is tin city.", "This is Amélie."]
    original, loaded = LanguageModel.load("tiny-random"), adapted_language_model.load(adapted.uri)
    vectors = loaded.encode(texts, 32)
    assert np.abs(vectors - original.encode(texts, 32)).max() > 0.1
    np.testing.assert_array_equal(loaded.tokenize(texts, 32), original.tokenize(texts, 32))
    np.testing.assert_allclose(LanguageModel.load(adapted.uri).encode(texts, 32), vectors, atol=1e-6)


def test_training_that_ended_before_a_kill_is_not_repeated(tmp_path, monkeypatch):
    saved = []

    def die(*args, **facts):
        saved.append(facts["loss"])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(adapted_language_model, "save", die)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, name="killed", epochs=1)
    # It would fail if anything were trained.
    monkeypatch.delattr(MaskedLanguageModel, "compute_loss")
    target = run(tmp_path, epochs=1)
    assert [adapted_language_model.origin(target.uri)["loss"]] == saved


def test_a_sample_depends_on_the_texts_alone():
    texts = [f"text {i}" for i in range(100)]
    chosen = sample(texts, 10)
    assert len(set(chosen)) == 10 and set(chosen) <= set(texts)
    assert sample(reversed(texts + texts), 10) == chosen
    # Not the first of the log.
    assert set(chosen) != set(texts[:10])
    assert sorted(sample(["b", "a", "b"], 10)) == ["a", "b"]


@pytest.mark.parametrize(("changes", "texts", "message"), [
    ({"language_model_fingerprint": "0123456789abcdef"}, TEXTS, "tiny-random.*fingerprint"),
    ({}, {"user": [{"key": [1], "text": [""]}]}, "no text has a word"),
    ({}, {"user": []}, "no text has a word"),
])
def test_what_cannot_be_adapted_stops_the_run(tmp_path, changes, texts, message):
    with pytest.raises(UserError, match=message):
        run(tmp_path, texts, **changes)


def test_a_folder_without_a_record_is_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(UserError, match=f"{tmp_path}: holds no adapted language model"):
        adapted_language_model.origin(str(tmp_path))


def test_component_declares_its_channels(tmp_path):
    texts = write_examples(tmp_path / "texts", TEXTS)
    adapter = LanguageAdapter(channel_utils.as_channel([texts]), **settings(tmp_path))
    assert adapter.outputs["adapted_language_model"].type is AdaptedLanguageModel
    assert adapter.exec_properties == settings(tmp_path)
