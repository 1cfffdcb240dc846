"""Rows that share their columns are checked once, and say the same when they are wrong."""

import difflib

import pytest

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from serving.row_reader import RowReader

SPEC = DatasetSpec.parse(
    """
name: books
source: {format: csv, path: books.csv}
label: {column: clicked}
features:
  - {name: reader, side: user, kind: categorical}
  - {name: book, side: item, kind: categorical}
  - {name: year, side: item, kind: numeric}
""",
    where="books.yaml",
)
ITEMS = [f for f in SPEC.features if f.side == "item"]


def test_reads_the_given_features_only():
    row = {"reader": "r1", "book": "ü1", "year": "1984", "shelf": "7"}
    assert RowReader(SPEC, ITEMS).values(row) == {"book": ["ü1".encode()], "year": [1984.0]}
    assert RowReader(SPEC).values(row) == {"reader": [b"r1"], "book": ["ü1".encode()], "year": [1984.0]}
    assert RowReader(SPEC, ITEMS).values({}) == {"book": [], "year": []}


def test_columns_are_checked_once_for_all_rows_that_have_them(monkeypatch):
    looked = []
    monkeypatch.setattr(difflib, "get_close_matches", lambda column, *_: looked.append(column) or [])
    reader = RowReader(SPEC, ITEMS)
    for number in range(5):
        assert reader.values({"book": f"b{number}", "shelf": "7"})["book"] == [f"b{number}".encode()]
    assert looked == ["shelf"]
    reader.values({"book": "b", "shelf": "7", "price": "3"})
    assert looked == ["shelf", "shelf", "price"]


def test_the_first_wrong_row_is_named():
    reader = RowReader(SPEC, ITEMS)
    for number in range(3):
        reader.values({"book": "b1"}, f"line {number}")
    for row, words in [
        ({"boook": "b1", "year": 1}, "line 4: unknown column 'boook'; did you mean book\\?"),
        ({"shelf": "7"}, "line 4: has none of the columns that the model reads; it has: shelf;"),
        ({"reader": "r1"}, "line 4: has none of the columns that the model reads; it has: reader;"),
        ({"book": ["b1", "b2"]}, "line 4: column 'book' holds 2 values"),
    ]:
        for _ in range(2):
            # A row that was refused is refused again.
            with pytest.raises(UserError, match=words):
                reader.values(row, "line 4")
