"""The split rule."""

import pydantic
import pytest

from models.spec.split_rule import SplitRule


@pytest.mark.parametrize("keys, message", [
    ({"by": "time"}, "by: time needs the key time, the column of the interaction's time"),
    ({"by": "user_time", "time": "t"}, "by: user_time needs the key user, the column of the user's id"),
    ({"test_from": 8}, "test_from goes with by: time; this split is by: hash"),
    ({"by": "time", "time": "t", "key": ["u"]}, "key goes with by: hash, by: day, or with test_from; this split is "
                                                "by: time"),
    ({"key": ["u", "u"]}, "has 'u' twice"),
    ({"fractions": {"train": 0.9, "test": 0.1}},
     "needs exactly the keys train, validation, test; it has train, test"),
    ({"fractions": {"train": 0.8, "validation": 0.1, "test": 0.2}},
     "needs three positive numbers that sum to 1, as 0.8, 0.1, 0.1; these sum to 1.1"),
    ({"fractions": {"train": 1, "validation": 0, "test": 0}},
     "needs three positive numbers that sum to 1, as 0.8, 0.1, 0.1; these sum to 1"),
    ({"by": "time", "time": "t", "test_from": "yesterday"},
     "is no time: use a number like those of the time column, or an ISO 8601 date as 2017-05-13"),
    ({"by": "time", "time": "t", "test_from": [8]},
     "is no time: use a number like those of the time column, or an ISO 8601 date as 2017-05-13"),
])
def test_what_does_not_go_together(keys, message):
    with pytest.raises(pydantic.ValidationError) as caught:
        SplitRule(**keys)
    assert [e["msg"] for e in caught.value.errors()] == [f"Value error, {message}"]


@pytest.mark.parametrize("start", [
    8, 1494604800.5, "2017-05-13", "2017-05-13T00:00:00Z", "1494604800", "2017-05-13 00:00:00 UTC",
])
def test_the_start_of_the_test(start):
    assert SplitRule(by="time", time="t", test_from=start).test_from == start


def test_a_date_without_quotes_in_yaml_stays_a_date():
    from models.spec.dataset_spec import DatasetSpec

    spec = DatasetSpec.parse(
        "name: x\nsource: {format: csv, path: a.csv}\nlabel: {column: y}\n"
        "features: [{name: a, side: user, kind: categorical}]\n"
        "split: {by: time, time: t, test_from: 2017-05-13}\n", where="x.yaml")
    assert spec.split.test_from == "2017-05-13"


def test_the_key_may_accompany_test_from():
    assert SplitRule(by="time", time="t", test_from=8, key=["u"]).key == ("u",)


def test_a_day_has_no_time_and_writes_no_test():
    rule = SplitRule(by="day", key=["u"])
    assert (rule.hashed, rule.written) == (True, ("train", "validation"))
    assert SplitRule(by="time", time="t").written == ("train", "validation", "test")
    assert not SplitRule(by="time", time="t").hashed and SplitRule(by="time", time="t", test_from=3).hashed
