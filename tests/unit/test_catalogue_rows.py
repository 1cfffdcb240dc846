import numpy as np
import pytest

from models.catalogue_rows import CatalogueRows, read_summary
from models.spec.errors import UserError


@pytest.fixture(scope="module")
def told():
    """Vectors, and rows that are a linear image of them."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(60, 5))
    return vectors, vectors @ random.normal(size=(5, 3)) + 1


def test_rows_are_made_where_text_tells_them(told):
    vectors, rows = told
    catalogue = CatalogueRows()
    assert catalogue.fit("film", vectors[:50], rows[:50], np.full(50, 20))
    catalogue.add("film", ["a", "b\n", "c"], vectors[50:53])
    assert list(catalogue.rows["film"]) == ["a", "c"]
    np.testing.assert_allclose(catalogue.rows["film"]["c"], rows[52], atol=1e-2)
    assert catalogue.summary["film"]["rows"] == 2 and catalogue.summary["film"]["explained"] > 0.9


def test_a_row_that_is_there_stays(told):
    vectors, rows = told
    catalogue = CatalogueRows()
    catalogue.fit("film", vectors[:50], rows[:50], np.full(50, 20))
    catalogue.add("film", ["a"], vectors[50:51])
    before = catalogue.rows["film"]["a"].copy()
    catalogue.add("film", ["a", "b"], vectors[51:53])
    np.testing.assert_array_equal(catalogue.rows["film"]["a"], before)
    assert list(catalogue.rows["film"]) == ["a", "b"]


def test_without_a_map_of_use_no_rows_are_made(told):
    random, (vectors, _) = np.random.default_rng(1), told
    catalogue = CatalogueRows()
    # Each text twice, with opposite rows: what one tells of the other is wrong.
    twice = np.concatenate([vectors[:20], vectors[:20]])
    noise = random.normal(size=(20, 3))
    assert not catalogue.fit("film", twice, np.concatenate([noise, -noise]), np.full(40, 20))
    assert catalogue.mappings["film"].explained <= 0
    assert not catalogue.fit("rare", vectors, vectors, np.ones(60))
    assert not catalogue.can_add("rare") and not catalogue.can_add("other")
    assert list(catalogue.summary) == ["film"]


def test_it_goes_on_from_a_file(told, tmp_path):
    vectors, rows = told
    catalogue = CatalogueRows()
    catalogue.fit("film", vectors[:50], rows[:50], np.full(50, 20))
    catalogue.fit("none", vectors, -rows, np.full(60, 20))
    catalogue.add("film", ["näw", "b" * 100], vectors[50:52])
    catalogue.save(str(tmp_path))
    assert read_summary(str(tmp_path)) == catalogue.summary
    other = CatalogueRows.load(str(tmp_path))
    assert list(other.rows) == ["film", "none"] and other.rows["none"] == {}
    for value, row in catalogue.rows["film"].items():
        np.testing.assert_array_equal(other.rows["film"][value], row)
    for each in (catalogue, other):
        each.add("film", ["more"], vectors[55:56])
    np.testing.assert_array_equal(other.rows["film"]["more"], catalogue.rows["film"]["more"])
    assert other.mappings["film"].penalty == catalogue.mappings["film"].penalty


def test_a_folder_without_maps_says_so(tmp_path):
    with pytest.raises(UserError, match="no map"):
        CatalogueRows.load(str(tmp_path))
