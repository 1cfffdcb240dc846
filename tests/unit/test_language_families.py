"""BERT, RoBERTa, DistilBERT and ALBERT, in every text mode."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.language_adapter.executor import adapt
from models import adapted_language_model
from models.language_model import LanguageModel
from models.language_model_source import LanguageModelSource
from models.language_tower import LanguageTower
from models.sentence_tokenizer import SentenceTokenizer
from tests.unit.toy_language_models import LENGTH, mean_hidden_state, tokenizer, write_hugging_face

TEXTS = ["This is a user, title is Pérez.", "This is a movie, title is red lamp.", "an old kettle", ""]
MAX_TOKENS = 32


# A bare model, as sentence-transformers saves it, names its weights without the family.
@pytest.mark.parametrize(("family", "prefix"), [
    ("bert", True), ("roberta", True), ("distilbert", False), ("albert", False)])
def test_a_hugging_face_folder_gives_the_vectors_of_its_weights(tmp_path, family, prefix):
    keras.utils.set_random_seed(1)
    weights = write_hugging_face(tmp_path / "model", family, prefix)
    model = LanguageModel.load(str(tmp_path / "model"))
    source = LanguageModelSource(str(tmp_path / "model"))
    assert source.max_tokens == (512 if family == "bert" else LENGTH) == model.backbone.max_sequence_length
    tokens = model.tokenize(TEXTS, MAX_TOKENS)
    assert len(np.unique(tokens, axis=0)) == len(TEXTS)
    expected = np.stack([mean_hidden_state(family, weights, row[row != model.pad_id]) for row in tokens])
    np.testing.assert_allclose(model.encode(TEXTS, MAX_TOKENS), expected, atol=1e-4)
    # WordPiece is adapted and fine-tuned by way of tiny-random in other tests.
    if family in ("roberta", "albert"):
        check_adaptation_and_fine_tuning(model, tokens, expected, tmp_path)


def check_adaptation_and_fine_tuning(model, tokens, vectors, folder):
    adapt(model, TEXTS, max_tokens=MAX_TOKENS, epochs=1, batch_size=4, learning_rate=1e-2, seed=1,
          checkpoint_dir=str(folder / "checkpoints"))
    assert np.abs(model.encode(TEXTS, MAX_TOKENS) - vectors).max() > 1e-3
    adapted_language_model.save(model, str(folder / "adapted"))
    adapted = adapted_language_model.load(str(folder / "adapted"))
    for loaded, saved in zip(adapted.backbone.get_weights(), model.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(loaded, saved)
    assert list(adapted.tokenizer.get_vocabulary()) == list(model.tokenizer.get_vocabulary())

    embeddings = np.array(adapted.backbone.token_embedding.embeddings)
    classifier = keras.Sequential([LanguageTower(adapted.backbone, adapted.pad_id), keras.layers.Dense(1)])
    classifier.compile(
        optimizer=keras.optimizers.Adam(2e-2), loss=keras.losses.BinaryCrossentropy(from_logits=True),
        jit_compile=False)
    losses = classifier.fit(
        {"token_ids": tokens}, np.array([1.0, 0.0, 1.0, 0.0]), epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 0.05
    assert np.abs(np.array(adapted.backbone.token_embedding.embeddings) - embeddings).max() > 1e-3


def test_text_reads_as_the_family_s_own_tokenizer_reads_it():
    def pieces(family):
        tokens = tokenizer(family)
        # As in the stages' input pipeline.
        texts = tf.data.Dataset.from_tensor_slices(["Red lamp é", "red lamp"]).batch(2)
        rows = texts.map(SentenceTokenizer(tokens, 12))
        ids = next(iter(rows)).numpy()
        # It clears TensorFlow's caches, and with them what keras-hub's own SentencePiece tokenizer needs.
        keras.utils.set_random_seed(1)
        np.testing.assert_array_equal(next(iter(rows)), ids)
        tokens = tokenizer(family)
        assert ids.shape == (2, 12) and ids.dtype == np.int32
        return [[tokens.id_to_token(int(i)) for i in row if i != tokens.pad_token_id] for row in ids]

    # RoBERTa keeps capitals, spaces and bytes; the others' vocabularies are of lower case.
    assert pieces("roberta") == [
        ["<s>", "R", "e", "d", "Ġlam", "p", "Ġ", "Ã", "©", "</s>"], ["<s>", "r", "e", "d", "Ġlam", "p", "</s>"]]
    accented, plain = pieces("albert")
    assert "<unk>" not in accented and accented[:len(plain) - 1] == plain[:-1]
    assert plain[0] == "[CLS]" and plain[-1] == "[SEP]" and "".join(plain[1:-1]) == "▁red▁lamp"


@pytest.mark.parametrize("family", ["bert", "roberta", "albert"])
def test_of_several_sentences_the_longest_is_cut_first(family):
    tokens = tokenizer(family)
    sentences = tf.constant([["red lamp red lamp red lamp", "a lamp"], ["red", ""]])
    joined = tf.constant(["red lamp red lamp red lamp a lamp", "red "])
    whole = SentenceTokenizer(tokens, 64)
    np.testing.assert_array_equal(whole(sentences), whole(joined))
    lengths = whole.lengths(sentences)
    np.testing.assert_array_equal(lengths, np.sum(whole(sentences) != tokens.pad_token_id, axis=1))

    item = whole.lengths(tf.constant(["x a lamp"]))[0] - whole.lengths(tf.constant(["x"]))[0]
    length = int(lengths[0])
    (row, _), (cut, _) = whole(sentences).numpy(), SentenceTokenizer(tokens, length - 1)(sentences).numpy()
    # All of the second sentence and the last token, and what comes before but for one token.
    np.testing.assert_array_equal(cut[-item - 1:], row[length - item - 1:length])
    np.testing.assert_array_equal(cut[:-item - 1], row[:length - item - 2])
