"""AdamW by rows: against Keras's where it is the same, by hand where it is not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.ctr_model import CTRModel
from models.field import Field
from models.row_adamw import RowAdamW
from models.training import compile_ctr, fit

ROWS, DIM = 6, 3
OPTIONS = {"learning_rate": 0.1, "weight_decay": 0.5}


def table(seed=0):
    return keras.Variable(np.random.default_rng(seed).normal(size=(ROWS, DIM)).astype("float32"), name="table")


def gradient(indices, seed):
    values = np.random.default_rng(seed).normal(size=(len(indices), DIM)).astype("float32")
    return tf.IndexedSlices(tf.constant(values), tf.constant(indices, tf.int64), tf.constant([ROWS, DIM]))


def test_a_batch_that_reads_all_rows_is_keras_adamw():
    ours, theirs = table(), table()
    one = RowAdamW(large=ROWS, use_ema=True, ema_momentum=0.7, **OPTIONS)
    two = keras.optimizers.AdamW(use_ema=True, ema_momentum=0.7, **OPTIONS)
    for step in range(4):
        # Row 2 twice: its parts are summed before they are squared.
        slices = gradient([0, 1, 2, 3, 4, 5, 2], step)
        one.apply([slices], [ours])
        two.apply([tf.convert_to_tensor(slices)], [theirs])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    one.finalize_variable_values([ours])
    two.finalize_variable_values([theirs])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_rows_that_are_not_read_stay_and_the_others_are_updated_by_hand():
    variable = table()
    before = np.array(variable)
    optimizer = RowAdamW(large=ROWS, **OPTIONS)
    g = [gradient([4], 1), gradient([1], 2), gradient([4], 3)]
    for slices in g:
        optimizer.apply([slices], [variable])
    after = np.array(variable)
    np.testing.assert_array_equal(np.delete(after, [1, 4], axis=0), np.delete(before, [1, 4], axis=0))
    row, m, v = before[4].astype("float64"), 0.0, 0.0
    for step, slices in ((1, g[0]), (3, g[2])):
        values = slices.values.numpy()[0].astype("float64")
        m, v = 0.9 * m + 0.1 * values, 0.999 * v + 0.001 * values**2
        row = row * (1 - 0.1 * 0.5)
        row = row - 0.1 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step) * m / (np.sqrt(v) + 1e-7)
    np.testing.assert_allclose(after[4], row, atol=1e-5)


@pytest.mark.parametrize("reads", [[[4], [1], [4], [0, 1]], [[1], [2], [3], [3], [3]]])
def test_the_average_is_that_of_all_steps(reads):
    variable = table()
    optimizer = RowAdamW(large=ROWS, use_ema=True, ema_momentum=0.6, **OPTIONS)
    average = None
    for step, rows in enumerate(reads):
        optimizer.apply([gradient(rows, step)], [variable])
        now = np.array(variable, "float64")
        average = now if average is None else 0.6 * average + 0.4 * now
        if step == 1:
            # In between, as before a validation: nothing changes by it.
            optimizer.settle()
            np.testing.assert_allclose(optimizer._model_variables_moving_average[0], average, atol=1e-6)
    optimizer.finalize_variable_values([variable])
    np.testing.assert_allclose(variable, average, atol=1e-6)


def test_a_dense_gradient_and_small_tables_are_keras_adamw():
    for large, slices in ((ROWS, tf.ones((ROWS, DIM))), (ROWS + 1, gradient([2], 1))):
        ours, theirs = table(), table()
        one = RowAdamW(large=large, use_ema=True, **OPTIONS)
        two = keras.optimizers.AdamW(use_ema=True, **OPTIONS)
        for _ in range(2):
            one.apply([slices], [ours])
            two.apply([slices], [theirs])
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
        one.finalize_variable_values([ours])
        two.finalize_variable_values([theirs])
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_settings_survive_saving():
    optimizer = keras.optimizers.deserialize(keras.optimizers.serialize(RowAdamW(large=7, use_ema=True)))
    assert isinstance(optimizer, RowAdamW) and optimizer.large == 7 and optimizer.use_ema


class _Kill(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.params["epochs"] == 3 and batch == 2 and self.model.optimizer.iterations.numpy() > 6:
            raise KeyboardInterrupt


def _train(folder, callbacks=()):
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 20, 80)
    data = tf.data.Dataset.from_tensor_slices(({"id": ids}, ids % 2)).batch(16)
    model = CTRModel([Field("id", "categorical", 100, "id")], embedding_dim=4, backbone="wide_deep",
                     backbone_options={"hidden_units": [4], "dropout": 0.0})
    compile_ctr(model, large_table=100, ema_momentum=0.8)
    assert isinstance(model.optimizer, RowAdamW)
    initial = np.array(model.embedding.tables["id"])
    history = fit(model, data, data, epochs=3, checkpoint_dir=folder, patience=9, callbacks=callbacks)
    return model, history.history, initial


def test_a_resumed_training_ends_alike_and_unread_rows_stay(tmp_path):
    model, history, initial = _train(tmp_path / "whole")
    tables = np.array(model.embedding.tables["id"])
    # But for the rounding of an average of equal numbers.
    np.testing.assert_allclose(tables[20:], initial[20:], atol=1e-8)
    assert np.abs(tables[1:20] - initial[1:20]).min(axis=1).max() > 0
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path / "killed", [_Kill()])
    resumed, found, _ = _train(tmp_path / "killed")
    np.testing.assert_allclose(found["val_logloss"], history["val_logloss"], atol=1e-5)
    np.testing.assert_allclose(np.array(resumed.embedding.tables["id"]), tables, atol=1e-5)
