import numpy as np
import pytest

from pipeline.report import estimate
from pipeline.report.scores import OVERALL, ScoredRows

LABELS = [1, 1, 0, 0]
STUDENT, PLAIN = [0.9, 0.4, 0.5, 0.1], [0.9, 0.6, 0.5, 0.1]


@pytest.fixture
def rows():
    return ScoredRows(LABELS, {"student": STUDENT, "plain": PLAIN},
                      {"device": [["phone"], ["phone"], ["phone"], []], "tags": [["a", "b", "a"], ["b"], [], ["<b>"]]},
                      {"item": [0, 5, 7, 4000]})


def test_slices_are_named_as_tfma_names_them(rows):
    assert {n: r.tolist() for n, r in rows.slices.items()} == {
        "": [0, 1, 2, 3], "device = phone": [0, 1, 2], "tags = a": [0], "tags = b": [0, 1], "tags = <b>": [3]}


def test_figures_without_an_evaluation_are_the_rows_own(rows):
    found = rows.figures(OVERALL, "student", others={"plain": {}})
    assert found.rows == 4 and found.figures["auc"].value == 0.75
    assert found.figures["calibration"].value == pytest.approx(1.9 / 2)
    assert found.figures["logloss"].value == pytest.approx(estimate.logloss_rows(
        np.array(LABELS), np.array(STUDENT)).mean())
    assert found.against["plain"]["auc"].value == -0.25


def test_intervals_are_put_around_the_evaluators_figures(rows):
    own = rows.figures(OVERALL, "student").figures["auc"]
    found = rows.figures(OVERALL, "student", {"auc": 0.8, "logloss": 0.5}, {"plain": {"auc": 0.9, "logloss": 0.4}})
    assert found.figures["auc"].value == 0.8
    assert found.figures["auc"].high - found.figures["auc"].low == pytest.approx(own.high - own.low)
    assert found.against["plain"]["auc"].value == pytest.approx(-0.1)
    assert found.against["plain"]["logloss"].value == pytest.approx(0.1)


def test_a_difference_is_paired(rows):
    """Two models that say the same of every row differ by nothing, whatever the rows."""
    same = ScoredRows(LABELS, {"student": STUDENT, "plain": STUDENT}).figures(OVERALL, "student", others={"plain": {}})
    assert (same.against["plain"]["auc"].low, same.against["plain"]["auc"].high) == (0, 0)
    # By hand: only the second positive gains a negative, so the components differ by 0, -.5 and -.5, 0.
    found = rows.figures(OVERALL, "student", others={"plain": {}}).against["plain"]["auc"]
    assert found.high - found.value == pytest.approx(1.959964 * np.sqrt(0.125 / 2 + 0.125 / 2))


def test_a_slice_of_one_class_has_no_auc(rows):
    assert set(rows.figures("tags = b", "student").figures) == {"logloss", "calibration"}
    assert set(rows.figures("tags = <b>", "student").figures) == {"logloss"}


def test_curves_by_hand(rows):
    assert rows.roc("student") == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    assert rows.precision_recall("student") == [(0.5, 1), (0.5, 0.5), (1, 0.66667), (1, 0.5)]


def test_rows_of_one_score_are_one_point():
    assert ScoredRows([1, 0], {"student": [0.5, 0.5]}).roc("student") == [(0, 0), (1, 1)]


def _drawn(seed):
    """Rows whose labels are drawn with the very probabilities that the student says."""
    random = np.random.default_rng(seed)
    scores = random.uniform(size=1000)
    return ScoredRows((random.uniform(size=1000) < scores).astype(int), {"student": scores})


def test_reliability_and_histogram_hold_every_row():
    rows = _drawn(5)
    bins = rows.reliability("student")
    assert [n for _, _, n in bins] == [100] * 10
    assert sum(rate.value * n for _, rate, n in bins) == pytest.approx(rows.labels.sum())
    for label in (0, 1):
        assert sum(share for _, _, of, share in rows.histogram("student") if of == label) == pytest.approx(1)


def test_a_calibrated_model_lies_on_the_diagonal_as_often_as_the_intervals_say():
    bins = [part for seed in range(50) for part in _drawn(seed).reliability("student")]
    inside = [rate.low <= mean <= rate.high for mean, rate, _ in bins]
    assert 0.91 <= np.mean(inside) <= 0.98


def test_gain_by_frequency():
    labels = np.tile([1, 0], 60)
    counts = np.repeat([0, 2, 5, 50_000], [40, 40, 39, 1])
    # The student is right where the item was never seen, and says nothing of the others.
    student = np.where(counts == 0, labels, 0.5)
    rows = ScoredRows(labels, {"student": student, "plain": np.full(120, 0.5)}, train_rows={"item": counts})
    found = {name: (n, gain.value) for name, n, gain in rows.by_frequency("item", "student", "plain")}
    # The last bucket has too few rows of either class.
    assert found == {"0": (40, 0.5), "1–2": (40, 0), "3–9": (39, 0)}


def test_large_curves_are_thinned_and_keep_their_ends():
    random = np.random.default_rng(2)
    rows = ScoredRows(random.integers(0, 2, 5000), {"student": random.uniform(size=5000)})
    curve = rows.roc("student")
    assert len(curve) <= 160 and (curve[0], curve[-1]) == ((0, 0), (1, 1))
