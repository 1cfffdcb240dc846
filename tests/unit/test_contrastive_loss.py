"""InfoNCE against double loops and numbers worked out by hand."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from models.contrastive_loss import ContrastiveLoss, duplicate_pairs, mask_pairs
from models.spec.errors import UserError


def loop_info_nce(similarity, temperature, keys=None):
    total = 0.0
    for i in range(len(similarity)):
        denominator = 0.0
        for j in range(len(similarity)):
            if i == j or keys is None or keys[i] != keys[j]:
                denominator += math.exp(similarity[i, j] / temperature)
        total -= math.log(math.exp(similarity[i, i] / temperature) / denominator)
    return total / len(similarity)


def test_by_hand():
    similarity = np.array([[math.log(3), 0.0], [0.0, 0.0]], "float32")
    loss = ContrastiveLoss(temperature=1.0)(similarity, similarity)
    # Row 0: -log(3 / 4); row 1: -log(1 / 2).
    assert float(loss) == pytest.approx(0.5 * (math.log(4 / 3) + math.log(2)), abs=1e-6)


def test_equals_the_loop_in_both_halves():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 6)).astype("float32"), rng.normal(size=(6, 6)).astype("float32")
    loss = ContrastiveLoss(temperature=0.7)(a, b)
    assert float(loss) == pytest.approx(0.5 * (loop_info_nce(a, 0.7) + loop_info_nce(b, 0.7)), rel=1e-5)


def test_no_knowledge_costs_the_log_of_the_batch():
    zeros = np.zeros((8, 8), "float32")
    assert float(ContrastiveLoss()(zeros, zeros)) == pytest.approx(math.log(8), rel=1e-6)


def test_duplicates_are_no_negatives():
    rng = np.random.default_rng(1)
    similarity = rng.normal(size=(5, 5)).astype("float32")
    keys = np.array([7, 3, 7, 7, 2])
    masked = mask_pairs(similarity, duplicate_pairs(ops.convert_to_tensor(keys)))
    loss = ContrastiveLoss(temperature=0.2)(masked, masked)
    assert float(loss) == pytest.approx(loop_info_nce(similarity, 0.2, keys), rel=1e-5)
    assert float(loss) < float(ContrastiveLoss(temperature=0.2)(similarity, similarity))


def test_a_batch_of_one_text_costs_nothing():
    masked = mask_pairs(np.ones((4, 4), "float32"), duplicate_pairs(ops.ones((4,), "int32")))
    assert float(ContrastiveLoss(temperature=0.01)(masked, masked)) == pytest.approx(0.0, abs=1e-6)


def test_duplicate_pairs_compares_every_column_exactly():
    # 2^24 and 2^24 + 1 are one number in float32.
    keys = ops.convert_to_tensor(np.array([[1, 2**24], [1, 2**24 + 1], [1, 2**24], [2, 2**24]], "int32"))
    expected = np.zeros((4, 4), bool)
    expected[0, 2] = expected[2, 0] = True
    np.testing.assert_array_equal(duplicate_pairs(keys), expected)


def test_large_similarities_stay_finite():
    similarity = np.array([[-3e4, 3e4], [3e4, -3e4]], "float32")
    assert float(ContrastiveLoss(temperature=0.01)(similarity, similarity)) == pytest.approx(6e6, rel=1e-5)


def test_learned_temperature_starts_where_it_is_told_and_stays_in_bounds():
    loss = ContrastiveLoss(temperature=0.5, learn_temperature=True)
    assert float(loss.temperature) == pytest.approx(0.5, rel=1e-6)
    assert len(loss.trainable_variables) == 1
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.apply([ops.convert_to_tensor(50.0)], loss.trainable_variables)
    assert float(loss.temperature) == pytest.approx(0.01, rel=1e-4)
    optimizer.apply([ops.convert_to_tensor(-50.0)], loss.trainable_variables)
    assert float(loss.temperature) == pytest.approx(10.0, rel=1e-4)


def test_fixed_temperature_is_no_weight():
    assert ContrastiveLoss(temperature=0.5).weights == []


def test_config_round_trip():
    config = ContrastiveLoss(temperature=0.3, learn_temperature=True).get_config()
    assert float(ContrastiveLoss.from_config(config).temperature) == pytest.approx(0.3, rel=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.0, 11.0, float("nan")])
def test_impossible_temperature(temperature):
    with pytest.raises(UserError, match="contrastive temperature is"):
        ContrastiveLoss(temperature=temperature)
