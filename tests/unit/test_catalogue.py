import numpy as np
import pytest

from models.catalogue_rows import CatalogueRows
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from pipeline.catalogue import Catalogue

YAML = """
name: shop
source: {format: csv, path: shop.csv, delimiter: ";"}
label: {column: clicked}
ids: {item: [product_id, title]}
features:
- {name: who, side: user, kind: categorical}
- {name: product_id, column: pid, side: item, kind: categorical}
- {name: title, side: item, kind: categorical}
- {name: price, side: item, kind: numeric}
- {name: tags, side: item, kind: set}
- {name: shelf, side: item, kind: categorical, text: false}
"""
SPEC = DatasetSpec.parse(YAML, where="shop.yaml")


def read(folder, text, side="item"):
    path = folder / "items.csv"
    path.write_text(text, encoding="utf-8")
    return Catalogue.read(path, SPEC, side)


def test_rows_are_read_as_the_logs(tmp_path):
    catalogue = read(tmp_path, "other;pid;price;tags;title\nx; 7 ;2.50;new|sale;Lamp\n;8;;;\n")
    assert catalogue.entries == (
        {"product_id": ["7"], "title": ["Lamp"], "price": [2.5], "tags": ["new", "sale"]},
        {"product_id": ["8"], "title": [], "price": [], "tags": []})
    assert catalogue.rejected == ()


def test_a_row_that_cannot_be_used_is_told_with_line_and_column(tmp_path):
    catalogue = read(tmp_path, 'pid;title;price;tags\n7;Lamp;dear;\n;Oak;1;\n8;Oak;1;\n8;Ash;1;\n"9\n9";Ash;1;\n')
    path = tmp_path / "items.csv"
    assert [e["product_id"] for e in catalogue.entries] == [["8"]]
    assert catalogue.rejected == (
        f"{path}, line 2: column 'price' is 'dear', not a number",
        f"{path}, line 3: column 'pid' is empty; it is the item's id",
        f"{path}, line 5: column 'pid' is '8', which stands already in {path}, line 4",
        f"{path}, line 7: column 'pid' is '9\\n9'; an id must not span lines")


@pytest.mark.parametrize(("text", "message"), [
    ("pid;titel;price;tags\n7;Lamp;1;\n", "has no column 'title'.*pid, title, price, tags.*it has pid, titel"),
    ("pid;title;price;tags\n", "holds no row"),
    ("pid;title;price;tags\n7;Lamp\n", "line 2: has 2 columns instead of 4"),
    ("pid;title;price;tags\n;Lamp;1;\n;Oak;1;\n", "none of its 2 rows can be used.*\n.*line 2: column 'pid'"),
])
def test_a_file_that_is_no_catalogue_is_refused(tmp_path, text, message):
    with pytest.raises(UserError, match=f"items.csv.*{message}"):
        read(tmp_path, text)


def test_a_side_needs_an_id_and_a_text(tmp_path):
    with pytest.raises(UserError, match="'user' has no id.*key ids"):
        read(tmp_path, "who\nann\n", "user")
    bare = DatasetSpec.parse(YAML.replace("name: who,", "name: who_id,"), where="shop.yaml")
    with pytest.raises(UserError, match="'user' has no text"):
        Catalogue.read(tmp_path / "items.csv", bare, "user")


def test_unknown_are_the_entries_without_a_row(tmp_path):
    random = np.random.default_rng(0)
    rows = CatalogueRows()
    vectors = random.normal(size=(30, 2))
    rows.fit("product_id", vectors, vectors, np.full(30, 9))
    rows.add("product_id", ["8"], vectors[:1])
    catalogue = read(tmp_path, "pid;title;price;tags\n7;Lamp;;\n8;Oak;;\n9;Ash;;\n")
    known = {"product_id": {"7"}, "title": set()}
    assert [e["product_id"] for e in catalogue.unknown(SPEC, rows, known)] == [["9"]]
    # With a map for titles, an entry with a known id is still left alone; one with a made id gets its title's row.
    rows.fit("title", vectors, vectors, np.full(30, 9))
    assert [e["product_id"] for e in catalogue.unknown(SPEC, rows, known)] == [["8"], ["9"]]
    assert catalogue.unknown(SPEC, CatalogueRows(), known) == ()
