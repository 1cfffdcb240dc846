"""The teacher: shapes, warm start, quiet training, better than the IDs where text tells more."""

import warnings

import keras
import numpy as np
import pytest

from models.alignment_model import AlignmentModel
from models.teacher_model import TeacherModel
from tests.unit.latent_clicks import LatentClicks


@pytest.fixture
def clicks():
    keras.utils.set_random_seed(7)
    return LatentClicks()


def compiled(model):
    model.compile(
        keras.optimizers.Adam(3e-3), loss=keras.losses.BinaryCrossentropy(from_logits=True),
        metrics=[keras.metrics.AUC(from_logits=True, name="auc")], jit_compile=False)
    return model


def test_logits_and_representation(clicks):
    inputs, _ = clicks.rows(6, seed=1)
    teacher = TeacherModel(clicks.ctr_model(), clicks.tower(), projection_dim=5, hidden=[7, 3])
    logits = teacher(inputs)
    assert logits.shape == (6,) and logits.dtype == "float32"
    assert teacher.represent(inputs).shape == (6, 3)
    np.testing.assert_allclose(teacher.logits(teacher.represent(inputs)), logits, atol=1e-6)


def test_reads_both_modalities(clicks):
    inputs, _ = clicks.rows(6, seed=1)
    teacher = TeacherModel(clicks.ctr_model(), clicks.tower())
    before = np.asarray(teacher(inputs))
    for name in ("item_id", "item_text_index"):
        changed = np.asarray(teacher({**inputs, name: inputs[name][::-1].copy()}))
        assert not np.allclose(changed, before)


def test_starts_from_the_aligned_projection(clicks):
    inputs, _ = clicks.rows(6, seed=1)
    alignment = AlignmentModel(clicks.ctr_model(), clicks.tower(), num_subspaces=2, width=4)
    text, _ = alignment(inputs)
    teacher = TeacherModel(
        alignment.ctr_model, alignment.tower, hidden=[4], text_projection=alignment.text_projection)
    teacher(inputs)
    kernel, bias = (np.asarray(w) for w in teacher.hidden_layers[0].weights)
    both = np.concatenate([alignment.ctr_model.represent(inputs), np.reshape(text, (6, 8))], axis=1)
    np.testing.assert_allclose(teacher.represent(inputs), np.maximum(both @ kernel + bias, 0), atol=1e-5)


def test_learns_clicks_quietly(clicks):
    train, held_out = clicks.rows(4096, seed=2), clicks.rows(1024, seed=3)
    teacher = compiled(TeacherModel(clicks.ctr_model(), clicks.tower()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        teacher.fit(*train, batch_size=128, epochs=4, verbose=0)
    assert teacher.evaluate(*held_out, verbose=0, return_dict=True)["auc"] > 0.8


def test_weights_round_trip(clicks, tmp_path):
    inputs, _ = clicks.rows(6, seed=1)
    teacher = TeacherModel(clicks.ctr_model(), clicks.tower())
    before = np.asarray(teacher(inputs))
    teacher.save_weights(tmp_path / "teacher.weights.h5")
    copy = TeacherModel(clicks.ctr_model(), LatentClicks(seed=5).tower())
    copy(inputs)
    copy.load_weights(tmp_path / "teacher.weights.h5")
    np.testing.assert_allclose(copy(inputs), before, atol=1e-6)
