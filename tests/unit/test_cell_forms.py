"""Forms of cells."""

import pytest

from pipeline.cell_forms import has_decimal_commas, looks_like_date


@pytest.mark.parametrize("cells, least, found", [
    (["12,5", "3", "-0,25", ""], 0.5, True),
    (["12,5", "3", "4"], 0.5, False),
    (["12,5", "3", "4"], 0, True),
    (["3", "4"], 0, False),
    (["1,2", "1,2,3"], 0.5, False),
    (["1,5", "cheap"], 0.5, False),
    (["1,5"] * 99 + ["cheap"], 0.5, True),
    ([], 0, False),
])
def test_decimal_commas(cells, least, found):
    assert has_decimal_commas(cells, least) is found


@pytest.mark.parametrize("cell, found", [
    ("01/03/2023 10:00", True), ("1.3.23", True), ("2023/03/01", True), ("Mar 1, 2023", True), ("1 March 2023", True),
    ("Wed 1 March 2023", True), ("Wed Mar 01 10:00:00 2023", True), ("01-Mar-2023", True),
    ("morning", False), ("10:00", False), ("3", False), ("1/2", False),
])
def test_dates(cell, found):
    assert looks_like_date(cell) is found
