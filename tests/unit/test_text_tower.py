"""Frozen vectors: standardisation, lookups, means, round trips."""

import keras
import numpy as np
import pytest

from models.text_tower import TextTower


def table(rows, width, seed=0):
    values = np.random.default_rng(seed).normal(2.0, 3.0, size=(rows + 1, width)).astype("float32")
    values[0] = 0
    return values


def stored(tower, name="item"):
    return np.asarray(tower._tables[tower.names.index(name)])


def test_columns_are_standardised_over_real_rows_and_row_zero_stays_zero():
    values = table(50, 4)
    result = stored(TextTower({"item": values}))
    expected = (values[1:] - values[1:].mean(0)) / values[1:].std(0)
    np.testing.assert_allclose(result[1:], expected, atol=1e-4)
    np.testing.assert_array_equal(result[0], 0)


def test_constant_columns_do_not_blow_up():
    values = table(50, 3)
    values[1:, 1] = 0.25
    values[1:, 2] = 0.25 + 1e-7 * np.arange(50)
    result = stored(TextTower({"item": values}))
    assert np.abs(result[:, 1:]).max() < 1e-3
    assert result[1:, 0].std() == pytest.approx(1.0, abs=1e-3)


def test_single_text_and_no_text():
    np.testing.assert_array_equal(stored(TextTower({"item": table(1, 3)})), np.zeros((2, 3)))
    tower = TextTower({"item": np.zeros((1, 3), "float32")})
    np.testing.assert_array_equal(tower({"item_text_index": np.array([0, 0])}), np.zeros((2, 3)))


def test_sides_and_history_in_the_order_of_the_tables():
    tower = TextTower({"user": table(4, 2, 1), "item": table(5, 3, 2), "liked": table(5, 3, 3)})
    inputs = {
        "liked_text_index": np.array([[1, 2, 0, 0], [0, 0, 0, 0], [5, 5, 4, 1]]),
        "item_text_index": np.array([5, 0, 1]),
        "user_text_index": np.array([1, 4, 0]),
        "age": np.array([1.0, 2.0, 3.0]),
    }
    result = np.asarray(tower(inputs))
    user, item, liked = (stored(tower, name) for name in ("user", "item", "liked"))
    expected = np.concatenate([
        user[[1, 4, 0]],
        item[[5, 0, 1]],
        [(liked[1] + liked[2]) / 2, np.zeros(3), (2 * liked[5] + liked[4] + liked[1]) / 4],
    ], axis=1)
    np.testing.assert_allclose(result, expected, atol=1e-6)
    assert result.shape == (3, tower.output_dim) == (3, 8)


def test_text_keys_ignore_the_order_of_a_history():
    tower = TextTower({"item": table(5, 2), "liked": table(5, 2)})
    keys = np.asarray(tower.text_keys({
        "item_text_index": np.array([3, 3, 3, 4]),
        "liked_text_index": np.array([[1, 2, 0], [2, 1, 0], [2, 2, 0], [1, 2, 0]]),
    }))
    assert keys.dtype == np.int32
    np.testing.assert_array_equal(keys[0], keys[1])
    assert not np.array_equal(keys[0], keys[2]) and not np.array_equal(keys[0], keys[3])


def test_config_holds_shapes_only_and_weights_come_from_the_file(tmp_path):
    tower = TextTower({"user": table(4, 2, 1), "liked": table(5, 3, 2)}, storage_dtype="float16")
    inputs = {"user_text_index": np.array([1, 0]), "liked_text_index": np.array([[1, 2], [3, 0]])}
    model = keras.Sequential([tower])
    before = np.asarray(model(inputs))
    model.save_weights(tmp_path / "tower.weights.h5")
    config = tower.get_config()
    assert config["shapes"] == [["user", 5, 2], ["liked", 6, 3]]
    copy = keras.Sequential([TextTower.from_config(config)])
    assert not np.asarray(copy(inputs)).any()
    copy.load_weights(tmp_path / "tower.weights.h5")
    np.testing.assert_array_equal(np.asarray(copy(inputs)), before)


def test_float16_halves_the_memory_and_answers_in_float32():
    tower = TextTower({"item": table(9, 4)}, storage_dtype="float16")
    assert stored(tower).dtype == np.float16
    assert tower({"item_text_index": np.array([1])}).dtype == "float32"
    exact = TextTower({"item": table(9, 4)})({"item_text_index": np.array([1])})
    np.testing.assert_allclose(tower({"item_text_index": np.array([1])}), exact, atol=2e-3)


def test_nothing_is_trainable():
    assert TextTower({"item": table(3, 2)}).trainable_variables == []


def test_faulty_tables():
    with pytest.raises(ValueError, match="row 0 stands for a missing text"):
        TextTower({"item": np.ones((3, 2))})
    faulty = table(3, 2)
    faulty[2, 1] = np.nan
    with pytest.raises(ValueError, match="'item': row 2 holds a value that is not finite"):
        TextTower({"item": faulty})
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        TextTower({"item": np.zeros(3)})
    with pytest.raises(ValueError, match="either tables or shapes"):
        TextTower()
