"""The label rule."""

import decimal

import pytest

from models.spec.label_rule import LabelRule


@pytest.mark.parametrize("value, label", [
    ("1", 1), ("0", 0), (1, 1), (0, 0), (1.0, 1), ("1.0", 1), (True, 1), (False, 0), (" Yes ", 1), ("no", 0),
    ("1.00", 1), (b"1", 1), (b"0", 0), (b"true", 1), ("00", 0), (decimal.Decimal("1.00"), 1),
])
def test_a_click(value, label):
    assert LabelRule(column="clicked")(value) == label


@pytest.mark.parametrize("value", ["2", "maybe", -1, "1,0", b"2", "nan", 0.5])
def test_what_is_no_click(value):
    with pytest.raises(ValueError, match="^label column 'clicked' is .*; a click is 0 or 1$"):
        LabelRule(column="clicked")(value)


@pytest.mark.parametrize("rule", [LabelRule(column="stars"), LabelRule(column="stars", threshold=3)])
@pytest.mark.parametrize("value", [None, "", "  ", float("nan")])
def test_a_missing_label(rule, value):
    with pytest.raises(ValueError, match="^label column 'stars' is missing$"):
        rule(value)


@pytest.mark.parametrize("value, label", [
    ("4", 1), (3.5, 1), ("2", 0), ("1.0", 0), (3, None), ("3.0", None), (b"4", 1), (b"3", None),
])
def test_a_rating_with_a_value_dropped(value, label):
    assert LabelRule(column="stars", threshold=3, drop=[3])(value) is label


def test_without_drop_the_threshold_itself_is_negative():
    assert LabelRule(column="stars", threshold=3)("3") == 0


@pytest.mark.parametrize("value", ["good", "nan", "inf", [4]])
def test_a_rating_that_is_no_number(value):
    with pytest.raises(ValueError, match="^label column 'stars' is .*, not a number$"):
        LabelRule(column="stars", threshold=3)(value)
