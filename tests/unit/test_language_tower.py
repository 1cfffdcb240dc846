"""Mean pooling over a real, tiny, untrained BERT and RoBERTa."""

import keras
import keras_hub
import numpy as np
import pytest

from models.language_tower import LanguageTower
from models.spec.errors import UserError

TOKENS = np.array([[2, 5, 6, 3, 0, 0], [2, 7, 3, 0, 0, 0], [0, 0, 0, 0, 0, 0]], "int64")


def bert(**options):
    return keras_hub.models.BertBackbone(
        vocabulary_size=20, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16,
        max_sequence_length=12, **options)


def test_mean_of_last_hidden_states_over_real_tokens():
    backbone = bert()
    result = np.asarray(LanguageTower(backbone)({"token_ids": TOKENS, "age": np.ones(3)}))
    hidden = np.asarray(backbone({
        "token_ids": TOKENS, "segment_ids": np.zeros_like(TOKENS),
        "padding_mask": (TOKENS != 0).astype("int32"),
    })["sequence_output"])
    np.testing.assert_allclose(result[0], hidden[0, :4].mean(0), atol=1e-5)
    np.testing.assert_allclose(result[1], hidden[1, :3].mean(0), atol=1e-5)
    np.testing.assert_array_equal(result[2], 0)


def test_padding_does_not_change_the_vector():
    tower = LanguageTower(bert())
    short, long = tower({"token_ids": TOKENS[:, :4]}), tower({"token_ids": TOKENS})
    np.testing.assert_allclose(short, long, atol=1e-5)


def test_a_backbone_without_segments_and_with_another_padding_id():
    backbone = keras_hub.models.RobertaBackbone(
        vocabulary_size=20, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16,
        max_sequence_length=12)
    tower = LanguageTower(backbone, pad_id=1)
    tokens = np.array([[0, 5, 2, 1, 1]])
    hidden = np.asarray(backbone({"token_ids": tokens, "padding_mask": (tokens != 1).astype("int32")}))
    np.testing.assert_allclose(np.asarray(tower({"token_ids": tokens}))[0], hidden[0, :3].mean(0), atol=1e-5)


def test_every_trainable_weight_gets_a_gradient():
    import tensorflow as tf

    tower = LanguageTower(bert())
    with tf.GradientTape() as tape:
        loss = keras.ops.sum(tower({"token_ids": TOKENS}, training=True) ** 3)
    gradients = tape.gradient(loss, [v.value for v in tower.trainable_variables])
    assert gradients and all(gradient is not None for gradient in gradients)


def test_frozen_has_no_trainable_weights_and_no_dropout():
    tower = LanguageTower(bert(dropout=0.5), trainable=False)
    assert tower.trainable_variables == []
    inputs = {"token_ids": TOKENS}
    np.testing.assert_array_equal(np.asarray(tower(inputs, training=True)), np.asarray(tower(inputs)))
    trained = LanguageTower(bert(dropout=0.5))
    assert not np.array_equal(np.asarray(trained(inputs, training=True)), np.asarray(trained(inputs)))


def test_config_and_weights_round_trip(tmp_path):
    model = keras.Sequential([LanguageTower(bert(), pad_id=0)])
    inputs = {"token_ids": TOKENS}
    before = np.asarray(model(inputs))
    model.save_weights(tmp_path / "tower.weights.h5")
    copy = keras.Sequential([LanguageTower.from_config(model.layers[0].get_config())])
    assert not np.allclose(np.asarray(copy(inputs)), before)
    copy.load_weights(tmp_path / "tower.weights.h5")
    np.testing.assert_allclose(np.asarray(copy(inputs)), before, atol=1e-6)


def test_text_keys_are_the_tokens():
    keys = np.asarray(LanguageTower(bert()).text_keys({"token_ids": TOKENS}))
    assert keys.dtype == np.int32
    np.testing.assert_array_equal(keys, TOKENS)


def test_a_model_with_other_inputs_is_refused():
    inputs = keras.Input((4,), name="pixels")
    with pytest.raises(UserError, match="reads pixels; one that reads"):
        LanguageTower(keras.Model(inputs, keras.layers.Dense(2)(inputs)))
