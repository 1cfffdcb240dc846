from components.example_gen import past


def test_a_record_keeps_what_it_was():
    day = [[(1.5, ("a", "A")), (2.0, ("b", "B"))], []]
    assert past.decode(past.encode("user é", day)) == ("user é", day)


def test_a_day_keeps_its_newest_entries_in_order_of_time():
    rows = [(3.0, ("c", "")), (1.0, ("a", "")), (2.0, None), (4.0, ("d", ""))]
    assert past.newest(rows, 2) == [(3.0, ("c", "")), (4.0, ("d", ""))]
    assert past.newest([(1.0, None)], 2) == []


def test_a_row_sees_earlier_days_and_the_earlier_rows_of_its_own():
    earlier = [(8.0, ("y", "")), (5.0, ("x", ""))]
    found = past.seen(earlier, times=[10.0, 11.0, 11.0, 12.0], entries=[("a", ""), None, ("b", ""), ("c", "")],
                      max_length=3)
    assert [[e for e, _ in row] for row in found] == [
        ["x", "y"], ["x", "y", "a"], ["x", "y", "a"], ["y", "a", "b"]]


def test_midnight_is_no_border_and_the_future_is_not_seen():
    # The day before's file holds rows of the very same moment, and later ones.
    earlier = [(9.0, ("before", "")), (10.0, ("same", "")), (11.0, ("later", ""))]
    found = past.seen(earlier, times=[10.0, 10.5, 12.0], entries=[None, None, None], max_length=9)
    assert [[e for e, _ in row] for row in found] == [
        ["before"], ["before", "same"], ["before", "same", "later"]]


def test_without_earlier_days_a_history_is_that_of_the_day():
    found = past.seen([], [1.0, 2.0], [("a", ""), ("b", "")], max_length=5)
    assert found == [[], [("a", "")]]
