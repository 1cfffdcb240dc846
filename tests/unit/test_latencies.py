import pytest

from benchmarks.latencies import median_round, percentile, slope, summary


def test_a_percentile_is_the_first_value_that_so_many_do_not_exceed():
    values = [float(v) for v in range(10, 0, -1)]
    assert [percentile(values, p) for p in (10, 11, 50, 90, 91, 99, 100)] == [1, 2, 5, 9, 10, 10, 10]
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7
    # Of two hundred values, two exceed the 99th percentile.
    assert percentile(range(1, 201), 99) == 198


def test_a_summary_is_in_milliseconds():
    assert summary([0.001] * 98 + [0.004, 0.5]) == {"count": 100, "p50": 1.0, "p90": 1.0, "p99": 4.0}


def test_of_rounds_the_median_counts_and_the_questions_add_up():
    rounds = [{"count": 10, "p50": 1.0, "per_second": 5.0}, {"count": 10, "p50": 9.0, "per_second": 7.0},
              {"count": 12, "p50": 2.0, "per_second": 6.0}]
    assert median_round(rounds) == {"count": 32, "p50": 2.0, "per_second": 6.0}


def test_the_slope_by_hand():
    assert slope([1, 2, 3], [10, 12, 14]) == 2
    # About their means: times -1.5, -0.5, 0.5, 1.5; values -0.5, -2.5, 0.5, 2.5: products of 6, squares of 5.
    assert slope([0, 1, 2, 3], [5, 3, 6, 8]) == pytest.approx(1.2)
    assert slope([2, 3, 4], [7, 7, 7]) == 0
    assert slope([5], [100]) is None and slope([], []) is None
