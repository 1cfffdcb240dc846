"""BERT, RoBERTa, DistilBERT and ALBERT, in every layout and every text mode."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.language_adapter.executor import adapt
from models import adapted_language_model
from models.language_model import LanguageModel
from models.language_tower import LanguageTower
from models.sentence_tokenizer import SentenceTokenizer
from tests.unit.toy_language_models import mean_hidden_state, tokenizer, write_hugging_face, write_keras_hub

TEXTS = ["This is a user, title is Pérez.", "This is a movie, title is red lamp.", "an old kettle", ""]
MAX_TOKENS = 32


# A bare model, as sentence-transformers saves it, names its weights without the family.
@pytest.mark.parametrize(("family", "prefix"), [
    ("bert", True), ("roberta", True), ("distilbert", False), ("albert", False)])
def test_a_hugging_face_folder_gives_the_vectors_of_its_weights(tmp_path, family, prefix):
    weights = write_hugging_face(tmp_path / "model", family, prefix)
    model = LanguageModel.load(str(tmp_path / "model"))
    tokens = model.tokenize(TEXTS, MAX_TOKENS)
    expected = [mean_hidden_state(family, weights, row[row != model.pad_id]) for row in tokens]
    np.testing.assert_allclose(model.encode(TEXTS, MAX_TOKENS), expected, atol=1e-4)
    assert len(np.unique(tokens, axis=0)) == len(TEXTS)


# The others do the same with WordPiece, which other tests adapt and fine-tune by way of tiny-random.
@pytest.mark.parametrize("family", [
    "roberta", "albert", pytest.param("bert", marks=pytest.mark.long),
    pytest.param("distilbert", marks=pytest.mark.long)])
def test_adapted_then_fine_tuned(tmp_path, family):
    keras.utils.set_random_seed(1)
    model = LanguageModel.load(str(write_keras_hub(tmp_path / "model", family)))
    before = model.encode(TEXTS, MAX_TOKENS)
    assert before.shape == (len(TEXTS), 8) and len(np.unique(before.round(3), axis=0)) == len(TEXTS)
    adapt(model, TEXTS, max_tokens=MAX_TOKENS, epochs=1, batch_size=4, learning_rate=1e-2, seed=1,
          checkpoint_dir=str(tmp_path / "checkpoints"))
    adapted_language_model.save(model, str(tmp_path / "adapted"))
    adapted = adapted_language_model.load(str(tmp_path / "adapted"))
    after = adapted.encode(TEXTS, MAX_TOKENS)
    np.testing.assert_allclose(after, model.encode(TEXTS, MAX_TOKENS), atol=1e-6)
    assert np.abs(after - before).max() > 1e-3

    # The stages tokenise with the original's tokenizer, in the input pipeline.
    tokenize = SentenceTokenizer(LanguageModel.tokenizer_of(str(tmp_path / "model")), MAX_TOKENS)
    rows = tf.data.Dataset.from_tensor_slices((TEXTS, [1.0, 0.0, 1.0, 0.0])).batch(4)
    rows = rows.map(lambda sentences, label: ({"token_ids": tokenize(sentences)}, label))
    np.testing.assert_array_equal(next(iter(rows))[0]["token_ids"], adapted.tokenize(TEXTS, MAX_TOKENS))
    tower = LanguageTower(adapted.backbone, adapted.pad_id)
    embeddings = np.array(adapted.backbone.token_embedding.embeddings)
    classifier = keras.Sequential([tower, keras.layers.Dense(1)])
    classifier.compile(
        optimizer=keras.optimizers.Adam(1e-2), loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False)
    losses = classifier.fit(rows, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 0.05
    assert np.abs(np.array(adapted.backbone.token_embedding.embeddings) - embeddings).max() > 1e-3


def test_text_reads_as_the_family_s_own_tokenizer_reads_it():
    def pieces(family):
        tokens = tokenizer(family)
        ids = np.asarray(SentenceTokenizer(tokens, 12)(tf.constant(["Red lamp é", "red lamp"])))
        return [[tokens.id_to_token(int(i)) for i in row if i != tokens.pad_token_id] for row in ids]

    # RoBERTa keeps capitals, spaces and bytes; the others' vocabularies are of lower case.
    assert pieces("roberta") == [
        ["<s>", "R", "e", "d", "Ġlam", "p", "Ġ", "Ã", "©", "</s>"], ["<s>", "r", "e", "d", "Ġlam", "p", "</s>"]]
    accented, plain = pieces("albert")
    assert "<unk>" not in accented and accented[:len(plain) - 1] == plain[:-1]
    assert plain[0] == "[CLS]" and plain[-1] == "[SEP]" and "".join(plain[1:-1]) == "▁red▁lamp"
