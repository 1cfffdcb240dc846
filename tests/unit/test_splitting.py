import collections

import pytest

from components.example_gen.splitting import earlier_entries, hash_split, time_split, user_time_splits

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def test_hash_split_is_stable_and_keeps_proportions():
    splits = [hash_split(str(i).encode(), FRACTIONS) for i in range(20_000)]
    assert splits == [hash_split(str(i).encode(), FRACTIONS) for i in range(20_000)]
    counts = collections.Counter(splits)
    assert counts["train"] == pytest.approx(16_000, abs=250)
    assert counts["validation"] == pytest.approx(2_000, abs=200)


def test_hash_split_uses_proportions_of_the_splits_it_is_given():
    counts = collections.Counter(
        hash_split(str(i).encode(), {"train": 0.63, "validation": 0.07}) for i in range(20_000))
    assert set(counts) == {"train", "validation"}
    assert counts["validation"] == pytest.approx(2_000, abs=200)


def test_time_split_puts_a_cut_into_the_later_split():
    assert [time_split(t, (10, 20)) for t in (9.99, 10, 19, 20, 21)] == [
        "train", "validation", "validation", "test", "test"]


@pytest.mark.parametrize(("count", "sizes"), [(1, (1, 0, 0)), (9, (9, 0, 0)), (10, (8, 1, 1)), (25, (21, 2, 2))])
def test_user_time_splits_round_down_in_favour_of_training(count, sizes):
    splits = user_time_splits(count, FRACTIONS)
    assert tuple(splits.count(s) for s in ("train", "validation", "test")) == sizes
    assert splits == sorted(splits, key=["train", "validation", "test"].index)


def test_earlier_entries_never_see_the_same_time():
    a, b, c = ("1", "A"), ("2", "B"), ("3", "C")
    # Rows at times 1, 2, 2, 3: the two at 2 do not see each other.
    assert earlier_entries([1, 2, 2, 3], [a, b, c, None], 10) == [[], [a], [a], [a, b, c]]


def test_earlier_entries_keep_the_newest_and_skip_what_does_not_count():
    a, b, c = ("1", "A"), ("2", "B"), ("3", "C")
    assert earlier_entries([1, 2, 3, 4, 5], [a, None, b, c, None], 2) == [[], [a], [a], [a, b], [b, c]]
