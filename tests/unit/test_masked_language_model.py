import keras
import keras_hub
import numpy as np
import pytest

from models.language_model import LanguageModel
from models.masked_language_model import MaskedLanguageModel, mask_tokens, masked_loss
from models.spec.errors import UserError

PAD, CLS, SEP, MASK = 0, 2, 3, 4
SPECIAL = (PAD, CLS, SEP)
# 20, 4 and no tokens that can be masked.
TOKENS = np.array([
    [CLS, *range(10, 30), SEP, PAD, PAD],
    [CLS, 10, 11, 12, 13, SEP, *[PAD] * 18],
    [CLS, SEP, *[PAD] * 22],
])


def masked(tokens, seed=1, **options):
    result = mask_tokens(tokens, SPECIAL, MASK, 50, keras.random.SeedGenerator(seed), **options)
    return {name: np.asarray(value) for name, value in result.items()}


def test_so_many_tokens_are_chosen_and_only_those_change():
    result = masked(TOKENS)
    # 15 % of 20 and of 4, the latter rounded up to one; most is ceil(0.15 * 24).
    np.testing.assert_array_equal(result["weights"], [[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    chosen = np.zeros(TOKENS.shape, bool)
    for row, (positions, weights) in enumerate(zip(result["positions"], result["weights"], strict=True)):
        places = positions[weights == 1]
        assert len(set(places)) == len(places)
        chosen[row, places] = True
        np.testing.assert_array_equal(result["labels"][row], TOKENS[row][positions])
    assert not np.isin(TOKENS[chosen], SPECIAL).any()
    np.testing.assert_array_equal(result["token_ids"][~chosen], TOKENS[~chosen])


def test_eight_of_ten_are_masked_one_is_random_one_stays():
    tokens = np.full((400, 100), 10)
    tokens[:, 0], tokens[:, -1] = CLS, SEP
    result = masked(tokens)
    found = np.take_along_axis(result["token_ids"], result["positions"], axis=1)[result["weights"] == 1]
    assert len(found) == 400 * 15  # 15 % of 98 is 14.7
    assert np.mean(found == MASK) == pytest.approx(0.8 + 0.1 / 50, abs=0.02)
    assert np.mean(found == 10) == pytest.approx(0.1 + 0.1 / 50, abs=0.02)
    # Any token can come in, the special ones too, as in BERT.
    assert len(np.unique(found)) > 45
    # Every place is as likely as any other.
    places = np.bincount(result["positions"][result["weights"] == 1], minlength=100)
    assert places[[0, -1]].sum() == 0 and places[1:-1].min() > 25 and places.max() < 110


def test_the_seed_decides_and_each_draw_differs():
    first, again, other = masked(TOKENS), masked(TOKENS), masked(TOKENS, seed=2)
    np.testing.assert_array_equal(first["token_ids"], again["token_ids"])
    assert not np.array_equal(first["positions"], other["positions"])
    seeds = keras.random.SeedGenerator(1)
    draws = [np.asarray(mask_tokens(TOKENS, SPECIAL, MASK, 50, seeds)["positions"]) for _ in range(2)]
    assert not np.array_equal(*draws)


def test_loss_is_the_mean_over_masked_positions():
    probabilities = np.array([[[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]], [[0.9, 0.05, 0.05], [1 / 3, 1 / 3, 1 / 3]]])
    labels, weights = np.array([[1, 2], [0, 0]]), np.array([[1.0, 1.0], [0.0, 1.0]])
    expected = -(np.log(0.2) + np.log(0.5) + np.log(1 / 3)) / 3
    assert float(masked_loss(np.log(probabilities), labels, weights)) == pytest.approx(expected, abs=1e-5)
    assert float(masked_loss(np.log(probabilities), labels, np.zeros((2, 2)))) == 0


def new_model(language_model, **options):
    tokenizer = language_model.tokenizer
    return MaskedLanguageModel(
        language_model.backbone, language_model.pad_id, tokenizer.mask_token_id, tokenizer.special_token_ids,
        **options)


def test_the_head_is_tied_to_the_token_embedding():
    language_model = LanguageModel.load("tiny-random")
    model = new_model(language_model)
    embedding = language_model.backbone.token_embedding
    x = np.random.default_rng(0).normal(size=(1, 5, 32)).astype("float32")
    dense, norm = model.head._intermediate_dense, model.head._intermediate_layer_norm
    inner = np.asarray(norm(keras.activations.gelu(x[:, [3]] @ np.asarray(dense.kernel), approximate=False)))
    logits = np.asarray(model.head(x, np.array([[3]])))
    np.testing.assert_allclose(logits, inner @ np.asarray(embedding.embeddings).T, atol=1e-4)
    size = language_model.tokenizer.vocabulary_size()
    assert logits.shape == (1, 1, size)
    # Dense layer, normalisation and bias are new; the embedding is not counted twice.
    new = 32 * 32 + 32 + 2 * 32 + size
    pooler = 32 * 32 + 32
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == language_model.num_parameters - pooler + new


def test_loss_falls_on_repeated_text_and_every_weight_but_the_pooler_s_is_trained():
    keras.utils.set_random_seed(1)
    language_model = LanguageModel.load("tiny-random")
    before = [np.array(w) for w in language_model.backbone.weights]
    model = new_model(language_model, seed=1)
    tokens = language_model.tokenize(["this is a movie, genre is red", "this is a user, age is old"] * 16, 16)
    model.compile(optimizer=keras.optimizers.AdamW(3e-3), jit_compile=False)
    history = model.fit(tokens, batch_size=16, epochs=15, verbose=0).history
    assert history["loss"][0] > 3 and history["loss"][-1] < 0.6 * history["loss"][0]
    assert history["accuracy"][-1] > history["accuracy"][0]
    same = {w.path for w, old in zip(language_model.backbone.weights, before, strict=True)
            if np.array_equal(np.array(w), old)}
    # The pooler takes no part in the mean of the hidden states.
    assert same and all("pooled_dense" in path for path in same), same


def test_a_narrow_embedding_and_a_backbone_without_segments_do_too():
    albert = keras_hub.models.AlbertBackbone(
        vocabulary_size=20, num_layers=1, num_heads=2, hidden_dim=8, embedding_dim=4, intermediate_dim=16,
        max_sequence_length=24)
    roberta = keras_hub.models.RobertaBackbone(
        vocabulary_size=20, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16, max_sequence_length=24)
    distilbert = keras_hub.models.DistilBertBackbone(
        vocabulary_size=20, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16, max_sequence_length=24)
    for backbone in (albert, roberta, distilbert):
        output = MaskedLanguageModel(backbone, PAD, MASK, SPECIAL)(TOKENS % 20)
        assert output["logits"].shape == (3, 4, 20)


def test_a_model_without_token_embedding_is_refused():
    inputs = keras.Input((4,), name="token_ids", dtype="int32")
    with pytest.raises(UserError, match="no token embedding.*adaptation.epochs"):
        MaskedLanguageModel(keras.Model(inputs, keras.layers.Embedding(5, 2)(inputs)), 0, 1, [0])
