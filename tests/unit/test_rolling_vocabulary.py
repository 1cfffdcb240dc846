import numpy as np

from models.rolling_vocabulary import RollingVocabulary


def test_an_id_keeps_its_row_on_the_days_after():
    one = RollingVocabulary().next_day({b"a": 5, b"b": 9, b"c": 5, b"rare": 1}, min_count=2, span=1)
    two = one.next_day({b"d": 3, b"c": 7, b"a": 1, b"rare": 1}, min_count=2, span=2)
    three = two.next_day({b"e": 2, b"f": 4, b"b": 2, b"rare": 2}, min_count=2, span=3)
    assert one.values == (b"b", b"a", b"c")  # by count, then by value
    assert two.values == (*one.values, b"d")
    assert three.values == (*two.values, b"f", b"e", b"rare")
    assert three.last_seen.tolist() == [3, 2, 2, 2, 3, 3, 3]


def test_of_the_departed_those_seen_last_stay():
    one = RollingVocabulary((b"a", b"b", b"c", b"d"), np.array([3, 1, 2, 5]))
    next_day = one.next_day({b"d": 1, b"new": 4}, min_count=2, span=6, keep_departed=2)
    assert next_day.values == (b"a", b"c", b"d", b"new")
    assert next_day.last_seen.tolist() == [3, 2, 6, 6]
    assert one.next_day({}, 2, span=6, keep_departed=0).values == ()


def test_no_more_values_than_allowed_have_a_row_and_the_frequent_ones_have():
    one = RollingVocabulary().next_day({b"a": 5, b"b": 9, b"c": 3}, min_count=1, span=1, max_values=2)
    assert one.values == (b"b", b"a")
    # `a` is rarer than `c` now; of `b` and `d`, as frequent, `b` has a row already.
    two = one.next_day({b"b": 4, b"a": 1, b"c": 6, b"d": 4}, min_count=1, span=2, max_values=2)
    assert two.values == (b"b", b"c") and two.last_seen.tolist() == [2, 2]
    # A value that left the window goes first.
    assert two.next_day({b"c": 1, b"e": 1}, min_count=1, span=3, max_values=2).values == (b"c", b"e")


def test_it_is_read_as_it_was_written(tmp_path):
    vocabulary = RollingVocabulary((b"a b", "é".encode(), b"c"), np.array([1, 2, 3]))
    vocabulary.save(str(tmp_path), "city")
    read = RollingVocabulary.load(str(tmp_path), "city")
    assert read.values == vocabulary.values and read.last_seen.tolist() == [1, 2, 3]
    assert (tmp_path / "city_vocabulary").read_text() == "a b\né\nc\n"
    assert RollingVocabulary.load(str(tmp_path), "town") is None


def test_an_empty_one_is_read_as_empty(tmp_path):
    RollingVocabulary().save(str(tmp_path), "city")
    assert RollingVocabulary.load(str(tmp_path), "city").values == ()
