"""Distillation: the loss against numpy, weight 0 as the paper's stage 2, a pure-ID student."""

import warnings

import keras
import numpy as np
import pytest

from models.distiller import Distiller
from models.spec.errors import UserError
from models.teacher_model import TeacherModel
from tests.unit.latent_clicks import LatentClicks

ROWS = 64


@pytest.fixture
def clicks():
    keras.utils.set_random_seed(7)
    return LatentClicks()


@pytest.fixture
def batch(clicks):
    return clicks.rows(ROWS, seed=1)


@pytest.fixture
def teacher(clicks, batch):
    model = TeacherModel(clicks.ctr_model(), clicks.tower(), hidden=[8])
    model(batch[0])
    # An untrained teacher says 0.5 to all: make it say something.
    model.output_layer.kernel.assign(5 * np.asarray(model.output_layer.kernel))
    return model


def compiled(model):
    model.compile(
        keras.optimizers.Adam(3e-3), metrics=[keras.metrics.AUC(from_logits=True, name="auc")],
        jit_compile=False)
    return model


def sigmoid(x):
    return 1 / (1 + np.exp(-np.asarray(x, "float64")))


def cross_entropy(labels, logits):
    positive = sigmoid(logits)
    return -(labels * np.log(positive) + (1 - labels) * np.log(1 - positive))


def cosines(x):
    x = np.asarray(x)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6)
    return x @ x.T


def evaluate(model, batch, **kwargs):
    return model.evaluate(*batch, batch_size=ROWS, verbose=0, return_dict=True, **kwargs)


def test_loss_equals_numpy(clicks, batch, teacher):
    inputs, labels = batch
    student = clicks.ctr_model()
    model = compiled(Distiller(student, teacher, weight=0.3, temperature=2.0))
    result = evaluate(model, batch)
    logits, taught = np.asarray(student(inputs)), np.asarray(teacher(inputs))
    click, soft = cross_entropy(labels, logits).mean(), cross_entropy(sigmoid(taught / 2), logits / 2).mean()
    assert result["click_loss"] == pytest.approx(click, rel=1e-4)
    assert result["soft_loss"] == pytest.approx(soft, rel=1e-4)
    assert result["loss"] == pytest.approx(click + 0.3 * 4 * soft, rel=1e-4)


def test_feature_term_equals_numpy(clicks, batch, teacher):
    inputs, labels = batch
    student = clicks.ctr_model()
    result = evaluate(compiled(Distiller(student, teacher, feature_weight=0.7)), batch)
    difference = cosines(student.represent(inputs)) - cosines(teacher.represent(inputs))
    expected = cross_entropy(labels, student(inputs)).mean() + 0.7 * np.mean(difference**2)
    assert result["loss"] == pytest.approx(expected, rel=1e-4)


def test_sample_weights(clicks, batch, teacher):
    inputs, labels = batch
    student = clicks.ctr_model()
    weights = np.where(np.arange(ROWS) < 10, 1.0, 0.0).astype("float32")
    result = evaluate(compiled(Distiller(student, teacher, weight=1.0)), batch, sample_weight=weights)
    logits, taught = np.asarray(student(inputs)), np.asarray(teacher(inputs))
    losses = cross_entropy(labels, logits) + cross_entropy(sigmoid(taught), logits)
    assert result["loss"] == pytest.approx(losses[:10].mean(), rel=1e-4)


@pytest.mark.parametrize("with_teacher", [True, False])
def test_weight_zero_is_plain_training_without_the_teacher(clicks, batch, teacher, with_teacher, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the teacher was called")

    monkeypatch.setattr(teacher, "represent", refuse)
    monkeypatch.setattr(teacher, "call", refuse)
    keras.utils.set_random_seed(1)
    plain = clicks.ctr_model()
    plain.compile(keras.optimizers.Adam(3e-3), loss=keras.losses.BinaryCrossentropy(from_logits=True),
                  jit_compile=False)
    plain.fit(*batch, batch_size=16, epochs=2, shuffle=False, verbose=0)
    keras.utils.set_random_seed(1)
    student = clicks.ctr_model()
    model = compiled(Distiller(student, teacher if with_teacher else None, weight=0))
    model.fit(*batch, batch_size=16, epochs=2, shuffle=False, verbose=0)
    assert model.teacher is None
    np.testing.assert_allclose(student(batch[0]), plain(batch[0]), atol=1e-5)


def test_only_the_student_is_trained(clicks, batch, teacher):
    student = clicks.ctr_model()
    model = compiled(Distiller(student, teacher, weight=1.0, temperature=2.0, feature_weight=0.1))
    before = [np.asarray(w) for w in teacher.weights]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = model.fit(*batch, batch_size=16, epochs=3, verbose=0).history
    assert {id(w) for w in model.trainable_weights} == {id(w) for w in student.trainable_weights}
    for old, weight in zip(before, teacher.weights, strict=True):
        np.testing.assert_array_equal(old, np.asarray(weight))
    assert history["loss"][-1] < history["loss"][0]


def test_soft_labels_pull_the_student_to_the_teacher(clicks, batch, teacher):
    inputs, labels = batch
    taught = np.asarray(teacher(inputs))
    distances = {}
    for weight in (0.0, 5.0):
        keras.utils.set_random_seed(1)
        student = clicks.ctr_model()
        compiled(Distiller(student, teacher, weight=weight)).fit(
            inputs, labels, batch_size=16, epochs=10, verbose=0)
        distances[weight] = np.abs(sigmoid(student(inputs)) - sigmoid(taught)).mean()
    assert distances[5.0] < 0.7 * distances[0.0]


def test_the_student_is_a_plain_model(clicks, batch, teacher, tmp_path):
    inputs, labels = batch
    plain, student = clicks.ctr_model(), clicks.ctr_model()
    plain(inputs)
    model = compiled(Distiller(student, teacher, weight=1.0))
    model.fit(inputs, labels, batch_size=16, verbose=0)
    assert student.count_params() == plain.count_params()
    assert [w.shape for w in student.weights] == [w.shape for w in plain.weights]
    student.save_weights(tmp_path / "student.weights.h5")
    plain.load_weights(tmp_path / "student.weights.h5")
    ids = {name: inputs[name] for name in ("user_id", "item_id")}
    np.testing.assert_allclose(plain(ids), model(inputs), atol=1e-6)
    np.testing.assert_allclose(model.predict(ids, verbose=0), plain(ids), atol=1e-6)


def test_soft_labels_that_come_with_the_rows_count_like_the_teachers_own(clicks, batch, teacher):
    inputs, labels = batch
    student = clicks.ctr_model()
    with_labels = {**inputs, "teacher_logit": np.asarray(teacher(inputs))}
    expected = evaluate(compiled(Distiller(student, teacher, weight=0.3, temperature=2.0)), batch)["loss"]
    model = compiled(Distiller(student, weight=0.3, temperature=2.0, soft_labels=True))
    assert evaluate(model, (with_labels, labels))["loss"] == pytest.approx(expected, rel=1e-5)
    # Rows without them, as in validation, have only their clicks.
    logits = np.asarray(student(inputs))
    assert evaluate(model, batch)["loss"] == pytest.approx(cross_entropy(labels, logits).mean(), rel=1e-4)


@pytest.mark.parametrize("options, message", [
    ({"soft_labels": True, "feature_weight": 0.5}, "soft labels that come with the rows"),
    ({"weight": -1.0}, "weight is -1.0; it must be 0 or more"),
    ({"feature_weight": float("nan")}, "feature_weight is nan"),
    ({"temperature": 0.0}, "temperature is 0.0; it must be more than 0"),
    ({"weight": 1.0}, "there is no teacher"),
])
def test_impossible_options(clicks, options, message):
    with pytest.raises(UserError, match=message):
        Distiller(clicks.ctr_model(), **options)


def test_teacher_must_not_read_the_student(clicks):
    student = clicks.ctr_model()
    with pytest.raises(ValueError, match="give it a copy"):
        Distiller(student, TeacherModel(student, clicks.tower()), weight=1.0)
