import keras
import numpy as np
import pytest

from models.ctr_model import CTRModel
from models.embedding_rows import rows_of, with_more_rows
from models.field import Field
from models.spec.errors import UserError

FIELDS = [
    Field("movie", "categorical", 4, "movie"),
    Field("liked", "history", 4, "movie", max_length=2),
    Field("age", "numeric", 3, "age"),
]


@pytest.fixture(params=["autoint", "deepfm"])
def model(request):
    keras.utils.set_random_seed(5)
    return CTRModel(FIELDS, backbone=request.param, embedding_dim=4, backbone_options={"hidden_units": [8]})


def _inputs(movie, liked):
    return {"movie": np.array(movie), "liked": np.array(liked), "age": np.ones(len(movie), int),
            "age_value": np.zeros(len(movie), "float32")}


def test_rows_are_the_vector_and_the_weight(model):
    rows = rows_of(model, "movie")
    assert rows.shape == (4, 4 if model.first_order is None else 5)
    np.testing.assert_array_equal(rows[:, :4], model.embedding.tables["movie"])
    if model.first_order is not None:
        np.testing.assert_array_equal(rows[:, 4:], model.first_order.tables["movie"])


def test_a_copied_row_scores_like_its_original_and_the_rest_as_before(model):
    rows = rows_of(model, "movie")
    larger = with_more_rows(model, {"movie": np.stack([rows[2], rows[1]])})
    before = np.asarray(model(_inputs([1, 2, 3, 1], [[1, 0], [2, 3], [0, 0], [2, 1]])))
    np.testing.assert_allclose(larger(_inputs([1, 2, 3, 1], [[1, 0], [2, 3], [0, 0], [2, 1]])), before, atol=1e-6)
    np.testing.assert_allclose(larger(_inputs([5, 4, 3, 5], [[5, 0], [4, 3], [0, 0], [4, 5]])), before, atol=1e-6)
    assert len(set(before.tolist())) == 4
    assert rows_of(larger, "movie").shape[0] == 6 and rows_of(model, "movie").shape[0] == 4
    assert rows_of(larger, "age").shape[0] == 3
    other = with_more_rows(model, {"movie": rows[[2]] + 1})
    changed = np.asarray(other(_inputs([1, 4], [[1, 0], [2, 3]])))
    assert changed[0] == pytest.approx(before[0], abs=1e-6) and abs(changed[1] - before[1]) > 1e-4


def test_wrong_rows_are_refused(model):
    width = rows_of(model, "movie").shape[1]
    with pytest.raises(UserError, match="'liked'.*movie, age"):
        rows_of(model, "liked")
    with pytest.raises(UserError, match=rf"\(2, 9\).*{width}"):
        with_more_rows(model, {"movie": np.zeros((2, 9))})
    bad = np.zeros((2, width))
    bad[1, 0] = np.inf
    with pytest.raises(UserError, match="row 1"):
        with_more_rows(model, {"movie": bad})
