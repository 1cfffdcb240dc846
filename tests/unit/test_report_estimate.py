import math

import numpy as np
import pytest

from pipeline.report import estimate
from pipeline.report.estimate import Estimate

LABELS = np.array([1, 1, 0, 0])
SCORES = np.array([0.9, 0.4, 0.5, 0.1])


def test_auc_and_its_error_by_hand():
    auc, of_positive, of_negative = estimate.auc_components(LABELS, SCORES)
    # 0.9 beats both negatives, 0.4 one of two; 0.5 is beaten by one positive of two, 0.1 by both.
    assert auc == 0.75
    assert of_positive.tolist() == [1, 0.5] and of_negative.tolist() == [0.5, 1]
    # Both variances are 0.125, each over two rows.
    assert estimate.auc_error(of_positive, of_negative) == pytest.approx(math.sqrt(0.125 / 2 + 0.125 / 2))


def test_ties_count_half():
    auc, of_positive, of_negative = estimate.auc_components(np.array([1, 0, 0]), np.array([0.3, 0.3, 0.1]))
    assert (auc, of_positive.tolist(), of_negative.tolist()) == (0.75, [0.75], [0.5, 1])
    assert estimate.auc_error(of_positive, of_negative) is None


def test_auc_equals_the_mean_over_all_pairs_on_random_rows():
    random = np.random.default_rng(3)
    labels, scores = random.integers(0, 2, 200), random.integers(0, 20, 200) / 20
    above, below = scores[labels == 1][:, None], scores[labels == 0][None]
    pairs = (above > below) + (above == below) / 2
    auc, of_positive, of_negative = estimate.auc_components(labels, scores)
    assert auc == pytest.approx(pairs.mean())
    np.testing.assert_allclose(of_positive, pairs.mean(1))
    np.testing.assert_allclose(of_negative, pairs.mean(0))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    random, covered = np.random.default_rng(1), 0
    # Two normal distributions one deviation apart: the AUC is Phi(1 / sqrt(2)).
    truth = 0.5 * (1 + math.erf(0.5))
    for _ in range(300):
        labels = np.repeat([1, 0], [60, 140])
        auc, *parts = estimate.auc_components(labels, random.normal(labels, 1.0))
        found = Estimate.normal(auc, estimate.auc_error(*parts))
        covered += found.low <= truth <= found.high
    assert 0.90 <= covered / 300 <= 0.99


def test_logloss_is_kept_finite():
    rows = estimate.logloss_rows(np.array([1, 0, 1]), np.array([0.5, 0.5, 0.0]))
    assert rows[:2] == pytest.approx([math.log(2)] * 2) and rows[2] == pytest.approx(-math.log(1e-7))


def test_calibration_error_by_hand():
    # Mean prediction 0.5, rate 0.5: residuals p - y are -0.5, 0.5, 0.5, -0.5, and their deviation 1 / sqrt(3).
    labels, scores = np.array([1, 0, 0, 1]), np.full(4, 0.5)
    assert estimate.calibration_error(labels, scores) == pytest.approx(math.sqrt(1 / 3) / 2 / 0.5)
    assert estimate.calibration_error(np.zeros(3), np.ones(3)) is None


def test_wilson_as_tables_have_it():
    found = estimate.wilson(5, 10)
    assert (found.value, round(found.low, 4), round(found.high, 4)) == (0.5, 0.2366, 0.7634)
    assert estimate.wilson(0, 10).low == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("error", "differs"), [(0.01, True), (0.1, False), (None, None)])
def test_what_differs_from_nothing(error, differs):
    assert Estimate.normal(0.05, error).differs is differs
