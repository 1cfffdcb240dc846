import math

import pytest

from components.example_gen.rejected import Rejected
from components.example_gen.row import Row
from components.example_gen.row_parser import RowParser, parse_time
from models.spec.dataset_spec import DatasetSpec

SPEC = DatasetSpec.parse(
    """
name: toy
source: {format: csv, path: toy.csv}
label: {column: stars, threshold: 3, drop: [3]}
split: {by: time, time: when}
features:
- {name: who, side: user, kind: categorical}
- {name: film, side: item, kind: categorical}
- {name: title, side: item, kind: categorical}
- {name: price, side: item, kind: numeric}
- {name: genres, side: item, kind: set, max_length: 2}
- {name: seen, side: user, kind: history, of: film, max_length: 2}
- {name: liked, side: user, kind: history, of: film, derive: {user: who, time: when},
   text: {feature: title, phrase: "liked {}"}}
""", where="toy.yaml")


def parse(**values):
    row = {"who": "u", "film": "7", "title": "T", "price": "2.5", "genres": "a|b|c", "seen": "1|2|3",
           "stars": "5", "when": "100", **values}
    return RowParser(SPEC)(Row(row, "toy.csv", 9))


def test_values_are_read_by_kind():
    parsed = parse()
    assert parsed.features == {
        "who": ["u"], "film": ["7"], "title": ["T"], "price": [2.5], "genres": ["a", "b"], "seen": ["2", "3"],
        "label": [1]}
    assert (parsed.label, parsed.time, parsed.user) == (1, 100.0, "u")
    assert parsed.entries == (("7", "T"),)


@pytest.mark.parametrize("missing", ["", None, math.nan])
def test_missing_values_are_empty_lists(missing):
    features = parse(price=missing, genres=missing, title=missing).features
    assert features["price"] == features["genres"] == features["title"] == []


def test_values_of_parquet_are_read_like_those_of_csv():
    parsed = parse(film=7.0, genres=["a", "b", "c"], seen=["1", None, "3"], price=2, stars=1, who=12)
    assert parsed.features["film"] == ["7"]
    assert parsed.features["who"] == ["12"]
    assert parsed.features["genres"] == ["a", "b"]
    assert parsed.features["seen"] == ["1", "3"]
    assert parsed.label == 0


def test_a_dropped_rating_is_none():
    assert parse(stars="3") is None
    assert parse(stars="3.0") is None


@pytest.mark.parametrize(("values", "reason"), [
    ({"price": "cheap"}, "column 'price' is 'cheap', not a number"),
    ({"price": "inf"}, "column 'price' is infinite, not a number"),
    ({"stars": ""}, "label column 'stars' is missing"),
    ({"stars": "good"}, "label column 'stars' is 'good', not a number"),
    ({"when": "soon"}, "column 'when' is 'soon', neither a number nor an ISO 8601 date"),
    ({"who": ""}, "column 'who' is missing"),
    ({"title": ["a", "b"]}, "column 'title' holds 2 values; a categorical feature has one"),
])
def test_a_malformed_row_is_rejected_with_its_place_and_reason(values, reason):
    rejected = parse(**values)
    assert isinstance(rejected, Rejected)
    assert (rejected.file, rejected.line, rejected.reason) == ("toy.csv", 9, reason)


def test_iso_dates_are_epoch_seconds():
    assert parse_time("1970-01-02T00:00:00Z", "when") == 86_400
    assert parse_time("1970-01-01T01:00:00+01:00", "when") == 0
    assert parse_time("1970-01-02", "when") == 86_400


@pytest.mark.parametrize("text, seconds", [
    ("1970-01-01 00:00:10.5", 10.5), ("1970-01-01T00:00:10.1234567Z", 10.123456), ("1970-01-01 00:00:10 UTC", 10),
    ("1970-01-01 00:00:10.25 UTC", 10.25), ("1970-01-01 01:00:10+0100", 10), ("1970-01-01 00:00:10 +0000", 10),
    ("1970-01-01 00:00:10 +00:00", 10), ("1970-01-01 00:00:10 Z", 10), ("10.5", 10.5),
])
def test_forms_of_times(text, seconds):
    assert parse_time(text, "when") == seconds


@pytest.mark.parametrize("text", ["01/03/2023 10:00", "UTC", "2023-13-01", "2023-03-01 10:00 PST", "zé"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="^column 'when' is '.*', neither a number nor an ISO 8601 date$"):
        parse_time(text, "when")


def test_decimal_commas_in_numbers_ratings_and_times():
    source = SPEC.source.model_copy(update={"decimal": ","})
    parser = RowParser(SPEC.model_copy(update={"source": source}))
    row = {"who": "1,5", "film": "7", "title": "A,B", "price": "2,5", "genres": "a|b", "seen": "1", "stars": "3,5",
           "when": "100,25"}
    parsed = parser(Row(row, "toy.csv", 9))
    assert (parsed.features["price"], parsed.label, parsed.time) == ([2.5], 1, 100.25)
    assert parsed.features["who"] == ["1,5"] and parsed.features["title"] == ["A,B"]
    assert parser(Row({**row, "stars": "3,0"}, "toy.csv", 9)) is None
    assert parser(Row({**row, "price": "1.234,5"}, "toy.csv", 9)).reason == "column 'price' is '1.234,5', not a number"
    assert parse(price="2,5").reason == "column 'price' is '2,5', not a number"
