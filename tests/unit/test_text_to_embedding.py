import numpy as np
import pytest

from models import text_to_embedding
from models.spec.errors import UserError
from models.text_to_embedding import TextToEmbedding


def _entries(n=300, width=24, dim=4, noise=0.3, seed=0):
    """Texts whose vectors tell the rows linearly, up to noise that falls with the count."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(n, width)) * random.uniform(0.1, 3, width) + 2
    true = vectors @ random.normal(size=(width, dim)) / np.sqrt(width) + 1.5
    counts = random.integers(1, 200, n)
    rows = true + noise * random.normal(size=true.shape) * np.sqrt(10 / counts)[:, None]
    return vectors, true, rows, counts


def test_it_recovers_what_the_text_tells():
    vectors, true, rows, counts = _entries()
    cold = np.arange(len(vectors)) % 5 == 0
    mapping = TextToEmbedding().fit(vectors[~cold], rows[~cold], counts[~cold])
    made = mapping.predict(vectors[cold])
    assert made.dtype == np.float32 and made.shape == (60, 4)
    mean = np.square(true[cold] - mapping.mean_row).mean()
    assert np.square(true[cold] - made).mean() < 0.05 * mean
    assert mapping.explained > 0.8


def test_where_text_tells_nothing_rows_are_close_to_the_mean():
    random = np.random.default_rng(1)
    rows = random.normal(size=(200, 3)) + [1.0, -2.0, 3.0]
    mapping = TextToEmbedding().fit(random.normal(size=(200, 50)), rows, np.full(200, 50))
    made = mapping.predict(random.normal(size=(100, 50)))
    np.testing.assert_allclose(made.mean(axis=0), rows.mean(axis=0), atol=0.1)
    assert made.std(axis=0).max() < 0.25
    assert abs(mapping.explained) < 0.05


@pytest.mark.parametrize("width", [3, 40])
def test_penalty_and_share_explained_are_those_of_leaving_out_each_entry(width):
    """Against as many fits as entries and penalties, done the long way."""
    vectors, _, rows, counts = _entries(n=20, width=width, noise=2.0, seed=2)
    penalties = (0.01, 0.1, 1.0, 10.0)
    mapping = TextToEmbedding(min_count=1, penalties=penalties).fit(vectors, rows, counts)
    w = counts / (counts + 10)
    centre = (w @ vectors) / w.sum()
    x = (vectors - centre) / np.sqrt(w @ (vectors - centre) ** 2 / w.sum())
    scale = np.linalg.eigvalsh(x.T @ (w[:, None] * x)).mean()
    design = np.concatenate([np.ones((20, 1)), x], axis=1)

    def solve(keep, penalty):
        a, b = design[keep], w[keep, None]
        ridge = penalty * scale * np.eye(width + 1)
        ridge[0, 0] = 0
        return np.linalg.solve(a.T @ (b * a) + ridge, a.T @ (b * rows[keep]))

    errors = [
        sum(w[i] * np.square(rows[i] - design[i] @ solve(np.arange(20) != i, p)).sum() for i in range(20))
        for p in penalties]
    assert mapping.penalty == penalties[int(np.argmin(errors))]
    spread = sum(
        w[i] * np.square(rows[i] - np.average(np.delete(rows, i, 0), axis=0, weights=np.delete(w, i))).sum()
        for i in range(20))
    assert mapping.explained == pytest.approx(1 - min(errors) / spread)
    expected = design @ solve(np.arange(20) >= 0, mapping.penalty)
    np.testing.assert_allclose(mapping.predict(vectors), expected, rtol=1e-5)


def test_two_entries_by_hand():
    """Weights 1/2, vectors -1 and 1, rows 0 and 2: slope 1 / (1 + penalty) around 1."""
    mapping = TextToEmbedding(min_count=1, prior_count=7, penalties=[3.0])
    mapping.fit(np.array([[-1.0], [1.0]]), np.array([[0.0], [2.0]]), np.array([7, 7]))
    np.testing.assert_allclose(mapping.predict(np.array([[-1.0], [1.0], [4.0]])), [[0.75], [1.25], [2.0]])


def test_cold_entries_are_not_learnt_from_and_rare_ones_less():
    vectors = np.array([[0.0], [1.0], [2.0], [3.0]])
    rows = np.array([[0.0], [1.0], [2.0], [99.0]])
    with_cold = TextToEmbedding(min_count=2).fit(vectors, rows, np.array([5, 5, 5, 1]))
    without = TextToEmbedding(min_count=2).fit(vectors[:3], rows[:3], np.array([5, 5, 5]))
    np.testing.assert_array_equal(with_cold.predict(vectors), without.predict(vectors))
    seldom = TextToEmbedding(min_count=1, penalties=[1e-3]).fit(vectors, rows, np.array([500, 500, 500, 1]))
    often = TextToEmbedding(min_count=1, penalties=[1e-3]).fit(vectors, rows, np.array([500, 500, 500, 500]))
    assert seldom.mean_row < often.mean_row
    assert abs(seldom.predict(vectors[:1])[0, 0]) < abs(often.predict(vectors[:1])[0, 0])


def test_the_catalogue_holds_those_seen_seldom():
    vectors, _, rows, counts = _entries(n=6)
    mapping = TextToEmbedding(min_count=5).fit(vectors, rows, np.full(6, 9))
    catalogue = mapping.catalogue(list("abcdef"), vectors, np.array([0, 5, 4, 9, 0, 6]))
    assert list(catalogue) == ["a", "c", "e"]
    np.testing.assert_array_equal(catalogue["c"], mapping.predict(vectors[2:3])[0])
    assert mapping.catalogue([], np.zeros((0, 24)), np.zeros(0)) == {}


def test_a_column_that_does_not_vary_is_harmless():
    vectors, _, rows, counts = _entries(n=50, width=5)
    constant = np.full((50, 1), 0.1)
    mapping = TextToEmbedding().fit(np.concatenate([vectors, constant], axis=1), rows, counts)
    made = mapping.predict(np.concatenate([vectors, constant], axis=1))
    moved = mapping.predict(np.concatenate([vectors, constant + 100], axis=1))
    np.testing.assert_array_equal(moved, made)
    assert made.std(axis=0).min() > 0.1
    same = TextToEmbedding().fit(np.ones((50, 2)), rows, counts)
    np.testing.assert_allclose(same.predict(np.zeros((1, 2)))[0], same.mean_row, rtol=1e-6)


def test_blocks_change_nothing(monkeypatch):
    vectors, _, rows, counts = _entries(n=50)
    whole = TextToEmbedding().fit(vectors, rows, counts)
    monkeypatch.setattr(text_to_embedding, "_BLOCK", 7)
    parts = TextToEmbedding().fit(vectors, rows, counts)
    np.testing.assert_allclose(parts.predict(vectors), whole.predict(vectors), rtol=1e-5)
    assert parts.penalty == whole.penalty and parts.explained == pytest.approx(whole.explained)


def test_wrong_use_is_refused():
    vectors, rows = np.ones((3, 2)), np.ones((3, 4))
    with pytest.raises(UserError, match="2 counts"):
        TextToEmbedding().fit(vectors, rows, np.ones(2))
    with pytest.raises(UserError, match="1 of 3 entries"):
        TextToEmbedding(min_count=5).fit(vectors, rows, np.array([1, 4, 5]))
    with pytest.raises(UserError, match="not finite"):
        TextToEmbedding().fit(vectors, rows * np.nan, np.full(3, 9))
    for options in ({"min_count": 0}, {"prior_count": -1}, {"penalties": []}, {"penalties": [0.0]}):
        with pytest.raises(UserError):
            TextToEmbedding(**options)
