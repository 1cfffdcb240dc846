"""End to end: the loss is the sum of both stages' losses, and everything is trained."""

import warnings

import keras
import numpy as np
import pytest

from models.alignment_model import AlignmentModel
from models.joint_model import JointModel
from models.training import compile_ctr
from tests.unit.latent_clicks import LatentClicks


@pytest.fixture
def clicks():
    keras.utils.set_random_seed(7)
    return LatentClicks()


def test_the_loss_is_the_sum_of_both_stages(clicks):
    inputs, labels = clicks.rows(40, seed=3)
    alignment = AlignmentModel(clicks.ctr_model(), clicks.tower(), temperature=0.5)
    alignment.compile("adam", jit_compile=False)
    contrastive = alignment.evaluate(inputs, batch_size=40, verbose=0, return_dict=True)["loss"]
    ctr_model = compile_ctr(alignment.ctr_model)
    click = ctr_model.evaluate(inputs, labels, batch_size=40, verbose=0, return_dict=True)
    for weight in (0.0, 0.25):
        joint = compile_ctr(JointModel(alignment, weight))
        found = joint.evaluate(inputs, labels, batch_size=40, verbose=0, return_dict=True)
        assert found["loss"] == pytest.approx(click["logloss"] + weight * contrastive, rel=1e-5)
        assert found["contrastive_loss"] == pytest.approx(contrastive, rel=1e-5)
        assert (found["auc"], found["logloss"]) == pytest.approx((click["auc"], click["logloss"]), rel=1e-5)


def test_every_weight_is_trained_the_output_layer_s_too(clicks):
    inputs, labels = clicks.rows(512, seed=8)
    alignment = AlignmentModel(clicks.ctr_model(), clicks.tower(), temperature=0.2)
    model = compile_ctr(JointModel(alignment, 0.5), learning_rate=5e-3)
    model(inputs)
    before = [np.asarray(w) for w in model.trainable_weights]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = model.fit(inputs, labels, batch_size=128, epochs=6, verbose=0).history
    for old, weight in zip(before, model.trainable_weights, strict=True):
        assert not np.array_equal(old, np.asarray(weight)), weight.path
    output = {id(w) for w in alignment.ctr_model.output_layer.weights}
    assert output <= {id(w) for w in model.trainable_weights}
    assert history["contrastive_loss"][-1] < history["contrastive_loss"][0]
    assert history["logloss"][-1] < history["logloss"][0]


def test_a_penalty_counts_once(clicks):
    inputs, labels = clicks.rows(16, seed=2)
    losses = []
    for l2 in (0.0, 0.1):
        keras.utils.set_random_seed(1)
        ctr_model = clicks.ctr_model()
        copy = type(ctr_model).from_config({**ctr_model.get_config(), "embedding_l2": l2})
        copy.set_weights(ctr_model.get_weights())
        alignment = AlignmentModel(copy, clicks.tower())
        alignment.text_projection.linear.kernel.assign(0.1 * np.ones(alignment.text_projection.linear.kernel.shape))
        alignment.tabular_projection.linear.kernel.assign(
            0.1 * np.ones(alignment.tabular_projection.linear.kernel.shape))
        losses.append(compile_ctr(JointModel(alignment)).evaluate(
            inputs, labels, batch_size=16, verbose=0, return_dict=True)["loss"])
    squares = sum(float(np.sum(np.square(t))) for t in copy.embedding.tables.values())
    assert losses[1] - losses[0] == pytest.approx(0.1 * squares, rel=1e-3)
