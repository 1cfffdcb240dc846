import json
import pathlib
import re
import time
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.ctr_model import CTRModel
from models.field import Field
from models.spec.errors import UserError
from models.training import compile_ctr, fit

ROWS, BATCH, STEPS = 320, 32, 10


def _data(rows=ROWS):
    """Clicks that depend on two ids, in a fixed order."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(1, 9, rows), rng.integers(1, 9, rows)
    clicks = (rng.random(rows) < np.where((user + item) % 2, 0.8, 0.2)).astype("int64")
    return tf.data.Dataset.from_tensor_slices(({"user": user, "item": item}, clicks)).batch(BATCH)


def _model(**options):
    keras.utils.set_random_seed(7)
    fields = [Field("user", "categorical", 9, "user"), Field("item", "categorical", 9, "item")]
    # Without dropout, whose draws a resumed run starts over.
    options_of_backbone = {"num_layers": 0, "hidden_units": [8], "dropout": 0.0}
    model = CTRModel(fields, embedding_dim=4, backbone_options=options_of_backbone)
    return compile_ctr(model, **{"learning_rate": 0.01, **options})


def _weights(model):
    return [np.array(w) for w in model.trainable_weights]


class _Kill(keras.callbacks.Callback):
    """Stands for a kill after so many steps of all."""

    def __init__(self, steps):
        super().__init__()
        self.steps_left = steps

    def on_train_batch_end(self, batch, logs=None):
        self.steps_left -= 1
        if not self.steps_left:
            raise KeyboardInterrupt


class _Count(keras.callbacks.Callback):
    """Counts the steps that are trained."""

    steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Model and history of four epochs in one go."""
    model = _model()
    folder = tmp_path_factory.mktemp("whole")
    return model, fit(model, _data(), _data(), epochs=4, checkpoint_dir=folder, patience=9)


@pytest.mark.parametrize("kill_after, save_every_steps, steps_left", [
    (2 * STEPS + 5, None, 2 * STEPS),  # in the third epoch, which is repeated
    (2 * STEPS + 5, 2, 7 + STEPS),  # step 4 was saved, and is seen again
    (3 * STEPS, 5, 1 + STEPS),  # after the last step of an epoch, before its end
])
def test_resumed_run_ends_like_one_in_one_go(tmp_path, whole, kill_after, save_every_steps, steps_left):
    options = {"epochs": 4, "checkpoint_dir": tmp_path, "patience": 9, "save_every_steps": save_every_steps}
    with pytest.raises(KeyboardInterrupt):
        fit(_model(), _data(), _data(), callbacks=[_Kill(kill_after)], **options)
    model, count = _model(), _Count()
    history = fit(model, _data(), _data(), callbacks=[count], **options)
    assert count.steps == steps_left
    expected = whole[1]
    assert history.epoch == expected.epoch == [0, 1, 2, 3]
    assert {len(values) for values in history.history.values()} == {4}
    # A save within an epoch has its last step done twice.
    tolerance = 1e-5 if save_every_steps is None else 0.05
    np.testing.assert_allclose(history.history["val_auc"], expected.history["val_auc"], atol=tolerance)
    for ours, theirs in zip(_weights(model), _weights(whole[0])):
        np.testing.assert_allclose(ours, theirs, atol=tolerance)


def test_finished_run_is_loaded_not_trained(tmp_path, recwarn):
    first = _model()
    expected = fit(first, _data(), _data(), epochs=2, checkpoint_dir=tmp_path, patience=9)
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".h5", ".json"]
    again, count = _model(), _Count()
    history = fit(again, _data(), _data(), epochs=2, checkpoint_dir=tmp_path, callbacks=[count])
    assert count.steps == 0
    assert history.history == expected.history
    for ours, theirs in zip(_weights(again), _weights(first)):
        np.testing.assert_array_equal(ours, theirs)
    assert json.loads((tmp_path / "DONE.json").read_text())["best_epoch"] in (0, 1)
    assert not recwarn.list


def test_best_epoch_is_kept_over_a_kill_and_patience_counts_on(tmp_path):
    # Validation labels are the opposite of training's, so the first epoch stays the best.
    opposite = _data().map(lambda x, y: (x, 1 - y))
    best, after = [], _Count()
    snapshot = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: best.append(_weights(model)))
    model = _model()
    with pytest.raises(KeyboardInterrupt):
        fit(model, _data(), opposite, epochs=9, checkpoint_dir=tmp_path, patience=3,
            callbacks=[snapshot, _Kill(2 * STEPS + 5)])
    resumed = _model()
    history = fit(resumed, _data(), opposite, epochs=9, checkpoint_dir=tmp_path, patience=3,
                  callbacks=[after])
    assert int(np.argmax(history.history["val_auc"])) == 0
    assert len(history.epoch) == 4 and after.steps == 2 * STEPS
    for ours, theirs in zip(_weights(resumed), best[0]):
        np.testing.assert_array_equal(ours, theirs)


def test_without_validation_the_last_epoch_counts(tmp_path):
    model = _model()
    endings = []
    snapshot = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: endings.append(_weights(model)))
    history = fit(model, _data().repeat(), epochs=3, steps_per_epoch=4, checkpoint_dir=tmp_path,
                  callbacks=[snapshot])
    assert len(history.history["loss"]) == 3
    for ours, last in zip(_weights(model), endings[-1]):
        np.testing.assert_array_equal(ours, last)


def test_the_next_epoch_is_made_ready_while_one_ends(tmp_path):
    rows, passes, begun = next(iter(_data().unbatch().batch(ROWS))), [], []

    def one_pass():
        passes.append(len(passes) + 1)
        return tf.data.Dataset.from_tensor_slices(rows).batch(BATCH).as_numpy_iterator()

    data = tf.data.Dataset.from_generator(one_pass, output_signature=_data().element_spec)

    def wait(epoch, logs):
        end = time.monotonic() + 30
        while len(passes) < min(epoch + 2, 3) and time.monotonic() < end:
            time.sleep(0.01)
        begun.append(len(passes))

    model = _model()
    model(rows[0])
    fit(model, data.apply(tf.data.experimental.assert_cardinality(STEPS)), epochs=3, checkpoint_dir=tmp_path,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=wait)])
    assert begun == [2, 3, 3] and len(passes) == 3


def test_same_seed_same_result(tmp_path):
    losses = [fit(_model(), _data(), epochs=2, checkpoint_dir=tmp_path / run).history["loss"] for run in "ab"]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_logloss_weighs_rows_not_batches(tmp_path):
    model = _model()
    data = _data(BATCH + 1)
    inputs, labels = next(iter(data.unbatch().batch(BATCH + 1)))
    logits, labels = np.asarray(model(inputs), "float64"), np.asarray(labels)
    probability = 1 / (1 + np.exp(-logits))
    expected = -np.mean(np.where(labels == 1, np.log(probability), np.log(1 - probability)))
    found = model.evaluate(data, verbose=0, return_dict=True)
    assert found["logloss"] == pytest.approx(expected, rel=1e-5)
    assert found["loss"] == pytest.approx(expected, rel=1e-5)
    pairs = probability[labels == 1][:, None] - probability[labels == 0]
    # Untrained probabilities are all near 1/2, which is hard on the metric's thresholds.
    assert found["auc"] == pytest.approx(np.mean(pairs > 0), abs=0.03)


def test_progress_lines_and_tensorboard(tmp_path, capfd, recwarn, monkeypatch):
    lines = []
    # A machine so busy that an epoch takes 15 seconds would add a line within it.
    monkeypatch.setattr("models.callbacks.progress.time", types.SimpleNamespace(monotonic=lambda: 0.0))
    # The length of a filtered dataset is not known, like that of files.
    data = _data().filter(lambda inputs, labels: True)
    fit(_model(), data, data, epochs=2, checkpoint_dir=tmp_path / "run", log_dir=str(tmp_path / "logs"),
        progress=lines.append)
    number = r"(\.\d{4}|\d[\d.e-]*)"
    pattern = (rf"epoch [12]/2  auc {number}  logloss {number}  val_auc {number}  "
               rf"val_logloss {number}  [\d,]+ rows/s  [\d.]+ s")
    assert len(lines) == 2
    for line in lines:
        assert re.fullmatch(pattern, line), line
    assert len(list(pathlib.Path(tmp_path / "logs").rglob("events.*"))) == 2
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_user_errors(tmp_path):
    with pytest.raises(UserError, match="epochs is 0"):
        fit(_model(), _data(), epochs=0, checkpoint_dir=tmp_path)
    with pytest.raises(UserError, match="metric 'val_ndcg' is not among the model's: .*val_auc"):
        fit(_model(), _data(), _data(), epochs=1, checkpoint_dir=tmp_path, monitor="val_ndcg")
    with pytest.raises(UserError, match="optimizer 'sgdd' is unknown; there are: adam, adamw"):
        _model(optimizer="sgdd")
    with pytest.raises(UserError, match="must be max or min"):
        fit(_model(), _data(), _data(), epochs=1, checkpoint_dir=tmp_path, mode="best")


def test_weight_decay_leaves_biases_out():
    model = _model(weight_decay=0.5, learning_rate=0.1)
    for weight in model.trainable_weights:
        weight.assign(np.ones(weight.shape))
    model.optimizer.build(model.trainable_variables)
    model.optimizer.apply([tf.zeros(w.shape) for w in model.trainable_weights])
    for weight in model.trainable_weights:
        expected = 1.0 if weight.name in ("bias", "gamma", "beta") else 1 - 0.5 * 0.1
        np.testing.assert_allclose(weight, np.full(weight.shape, expected), rtol=1e-6)


class _Record(keras.callbacks.Callback):
    """Keeps the trained weights of each step."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(_weights(self.model))


def test_the_average_of_the_weights_is_validated_and_kept(tmp_path):
    model, record = _model(ema_momentum=0.9), _Record()
    history = fit(model, _data(), _data(), epochs=2, checkpoint_dir=tmp_path, monitor=None, callbacks=[record])
    average = record.steps[0]
    for weights in record.steps[1:]:
        average = [0.9 * a + 0.1 * w for a, w in zip(average, weights)]
    assert len(record.steps) == 2 * STEPS
    for found, expected, last in zip(_weights(model), average, record.steps[-1]):
        np.testing.assert_allclose(found, expected, atol=1e-6)
        assert np.abs(found - last).max() > 1e-4
    found = model.evaluate(_data(), return_dict=True, verbose=0)
    assert found["logloss"] == pytest.approx(history.history["val_logloss"][-1], abs=1e-6)


@pytest.mark.parametrize("save_every_steps", [None, 2])
def test_a_resumed_run_averages_on(tmp_path, save_every_steps):
    def run(folder, **options):
        model = _model(ema_momentum=0.9)
        fit(model, _data(), _data(), epochs=3, checkpoint_dir=tmp_path / folder, patience=9, **options)
        return model

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("killed", callbacks=[_Kill(STEPS + 5)], save_every_steps=save_every_steps)
    resumed = run("killed", save_every_steps=save_every_steps)
    for a, b in zip(_weights(whole), _weights(resumed)):
        # A step that is seen again moves the average by a part of what it moves the weights.
        np.testing.assert_allclose(a, b, atol=1e-6 if save_every_steps is None else 0.02)
