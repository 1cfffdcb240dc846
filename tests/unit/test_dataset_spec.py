"""The dataset specification: references, exact messages, and its documentation."""

import pathlib
import re

import pydantic
import pytest
import yaml

from models.sentence_writer import SentenceWriter
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from models.spec.feature import Derivation, Feature, TextRule
from models.spec.label_rule import LabelRule
from models.spec.source import Source
from models.spec.split_rule import SplitRule

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "dataset-specification.md"
SPEC = """name: shop
source: {format: csv, path: clicks.csv}
label: {column: clicked}
features:
  - {name: city, side: user, kind: categorical}
  - {name: item_id, side: item, kind: categorical}
"""


def parse(text):
    return DatasetSpec.parse(text, where="my.yaml")


def error(text):
    with pytest.raises(UserError) as caught:
        parse(text)
    return str(caught.value)


def test_defaults():
    spec = parse(SPEC)
    assert spec.split.by == "hash" and spec.split.fractions == {"train": 0.8, "validation": 0.1, "test": 0.1}
    assert spec.openings["item"] == "This is an item"
    assert spec.feature("city").text.phrase == "city is {}"
    assert spec.feature("item_id").text is None
    assert spec.columns == ("clicked", "city", "item_id")
    assert spec.text_sides == ("user",)


def test_json_gives_the_same_specification_back():
    spec = parse(documented_example())
    assert DatasetSpec.from_json(spec.to_json()) == spec


def test_load_resolves_the_path_against_the_files_folder(tmp_path):
    (tmp_path / "my.yaml").write_text(SPEC)
    assert DatasetSpec.load(tmp_path / "my.yaml").source.path == str(tmp_path / "clicks.csv")


def test_load_keeps_the_path_as_it_is_written(tmp_path):
    (tmp_path / "my.yaml").write_text(SPEC.replace("clicks.csv", "many/*.csv"))
    source = DatasetSpec.load(tmp_path / "my.yaml").source
    assert (source.path, source.written_path) == (str(tmp_path / "many/*.csv"), "many/*.csv")
    assert parse(SPEC).source.written_path == "clicks.csv"
    assert "written" not in source.model_dump_json()


def test_histories_are_encoded_only_where_the_item_side_has_text():
    history = "  - {name: recent, side: user, kind: history, of: item_id}\n"
    ids_only = parse(SPEC + history)
    assert [f.name for f in ids_only.text_histories] == ["recent"]
    assert ids_only.encoded_histories == ()
    titled = parse(SPEC + history + "  - {name: title, side: item, kind: categorical}\n")
    assert [f.name for f in titled.encoded_histories] == ["recent"]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"my\.yaml: cannot be read: No such file or directory$"):
        DatasetSpec.load(tmp_path / "my.yaml")


def test_a_file_in_another_encoding(tmp_path):
    (tmp_path / "my.yaml").write_bytes("name: café".encode("latin-1"))
    with pytest.raises(UserError, match=r"my\.yaml: is not valid UTF-8 \(byte 9\); save the file as UTF-8$"):
        DatasetSpec.load(tmp_path / "my.yaml")


FEATURE_KEYS = ", ".join(Feature.model_fields)


@pytest.mark.parametrize("old, new, message", [
    ("format: csv", "format: cvs",
     "my.yaml, line 2: source.format: 'cvs': is none of csv, parquet, tfrecord, tfds (did you mean 'csv'?)"),
    ("source: {format: csv, path: clicks.csv}", "source: clicks.csv",
     "my.yaml, line 2: source: 'clicks.csv': needs keys of its own; for example source: "
     "{format: csv, path: clicks.csv}"),
    ("source: {format: csv, path: clicks.csv}\n", "",
     "my.yaml: source is missing: where the rows are; for example source: {format: csv, path: clicks.csv}"),
    ("{column: clicked}", "",
     "my.yaml, line 3: label is empty: how a row becomes positive or negative; for example label: {column: "
     "clicked}"),
    ("{column: clicked}", "{}",
     "my.yaml, line 3: label.column is missing: the column that holds the click (0 or 1) or the rating; "
     "for example column: clicked"),
    ("path: clicks.csv", "path: 3", 'my.yaml, line 2: source.path: 3: needs text; put it in quotes, as "3"'),
    ("path: clicks.csv", "path: a.csv, delimeter: ;",
     "my.yaml, line 2: source.delimeter is no known key (did you mean 'delimiter'?); the keys here are "
     "format, path, builder, tfds_split, delimiter, encoding, decimal, columns, compression"),
    ("path: clicks.csv", "path: a.csv, decimal: ;",
     "my.yaml, line 2: source.decimal: ';': is no decimal sign; use \".\" or \",\", in quotes"),
    ("format: csv, path: clicks.csv", "format: parquet, path: a.parquet, decimal: \",\"",
     "my.yaml, line 2: source: decimal is for format csv only; parquet files hold numbers as such"),
    ("path: clicks.csv", "path: a.csv, delimiter: tab",
     "my.yaml, line 2: source.delimiter: 'tab': needs one character, in quotes, as \"|\" or \"\\t\""),
    ("path: clicks.csv", "path: a.csv, encoding: utf8000",
     "my.yaml, line 2: source.encoding: 'utf8000': is no text encoding Python knows; for example utf-8 or "
     "latin-1"),
    (", path: clicks.csv", "",
     "my.yaml, line 2: source: format csv needs the key path, a glob of the log's files, as clicks/*.csv"),
    ("path: clicks.csv", "path: a, columns: [city, clicked]",
     "my.yaml: source.columns: has no 'item_id', which the specification reads; it has city, clicked"),
    ("{name: city, side", "{name: city, model: maybe, side",
     "my.yaml, line 5: features[city].model: 'maybe': needs true or false"),
    ("{name: city, side", "{name: city, knd: set, side",
     "my.yaml, line 5: features[city].knd is no known key (did you mean 'kind'?); the keys here "
     "are " + FEATURE_KEYS),
    ("{name: city, ", "{",
     "my.yaml, line 5: features[0].name is missing: its name in examples, models and requests: letters, "
     "digits, underscores; for example name: city"),
    ("name: city", "name: my city", "my.yaml, line 5: features[my city].name: 'my city': has a character "
                                    "that is not allowed: use letters, digits and underscores, a letter "
                                    "first"),
    ("name: city", "name: city_text", "my.yaml, line 5: features[city_text].name: 'city_text': is reserved, "
                                      "like label, token_ids, k and every name that ends in _sentence, "
                                      "_text_key, _text, _value; choose another, and name the column with "
                                      "the key column"),
    ("name: city", "name: item_id", "my.yaml: features: the name 'item_id' stands twice; give each feature a "
                                    "name of its own, and its column with the key column"),
    ("name: city", "name: clicked", "my.yaml: features[clicked].column: 'clicked' is the label's column; a "
                                    "feature must not be the label"),
    ("{name: city, side: user, kind: categorical}", "{name: city, side: user, kind: numeric, max_length: 3}",
     "my.yaml, line 5: features[city]: max_length is for kind: set or history; this feature is numeric"),
    ("{name: city, side: user, kind: categorical}", "{name: city, side: user, kind: set, max_length: 0}",
     "my.yaml, line 5: features[city].max_length: 0: needs to be at least 1"),
    ("{name: city, side: user, kind: categorical}", "{name: city, side: user, kind: set, text: a city}",
     "my.yaml, line 5: features[city].text: 'a city': needs {} once, where the value goes, as \"age is {}\""),
    ("{name: city, side: user, kind: categorical}",
     "{name: city, side: user, kind: set, text: {phrase: \"{}\", values: {no: never}}}",
     "my.yaml, line 5: features[city].text.values: YAML reads an entry as False; put yes, no, on, off, true, "
     "false and null in quotes, as \"no\": never"),
    ("{name: city, side: user, kind: categorical}", "{name: city, side: user, kind: history, of: item}",
     "my.yaml: features[city].of: 'item' is no categorical item feature (did you mean 'item_id'?); use one "
     "of them: item_id"),
    ("{name: city, side: user, kind: categorical}", "{name: city, side: user, kind: history}",
     "my.yaml, line 5: features[city]: a history needs the key of: the item feature its entries are values "
     "of"),
])
def test_an_error_says_where_what_and_what_would_be_right(old, new, message):
    assert SPEC.count(old) == 1
    assert error(SPEC.replace(old, new)) == message


@pytest.mark.parametrize("added, message", [
    ("slices: [town]", "my.yaml: slices: 'town' is no feature; those that can be sliced by are city, "
                       "item_id"),
    ("slices: city", "my.yaml, line 7: slices: 'city': needs a list, as [city]"),
    ("slices: [city, city]", "my.yaml: slices: 'city' stands twice"),
    ("openings: {users: Hello}",
     "my.yaml, line 7: openings: 'users' is no side (did you mean 'user'?); the sides are user, item, "
     "context"),
    ("split: {key: [clicked]}",
     "my.yaml: split.key: 'clicked' is the label's column; rows must not be divided by their label"),
    ("  - {name: age, side: user, kind: numeric}\nslices: [age]",
     "my.yaml: slices: 'age' is numeric; a slice needs a categorical or set"),
    ("  - {name: liked, side: user, kind: history, of: item_id, derive: {user: u, time: t}}\n"
     "split: {by: time, time: day}",
     "my.yaml: features[liked].derive.time: 't' differs from split.time, 'day'; a log has one time column"),
])
def test_an_error_in_what_refers_to_other_keys(added, message):
    assert error(SPEC + added) == message


def test_every_error_is_told_at_once():
    text = SPEC.replace("name: shop", "name: my shop").replace("side: item", "side: itm")
    text = text.replace("format: csv, ", "")
    lines = error(text).splitlines()
    assert [line.split(": ")[1].split(" is")[0] for line in lines] == [
        "name", "source.format", "features[item_id].side"]


@pytest.mark.parametrize("text, message", [
    ("", "my.yaml: holds nothing, not the keys of a dataset specification (name, source, label, features, "
         "...)"),
    ("- name", "my.yaml: holds a list, not the keys of a dataset specification (name, source, label, "
               "features, ...)"),
    ("name: shop\n\tsource: x", "my.yaml, line 2, column 1: is no valid YAML: found character '\\t' that "
                                "cannot start any token; indent with blanks, and put text that holds {} : # "
                                "or | in quotes"),
    ("name: shop\nlabel: {}\nname: store",
     "my.yaml, line 3: the key 'name' stands twice, first in line 1; leave one of them out"),
])
def test_no_mapping_or_no_yaml(text, message):
    assert error(text) == message


def documented_example():
    return re.search(r"<!-- example -->\n```yaml\n(.*?)```", DOCS.read_text(), re.S)[1]


def test_the_documented_example_gives_the_documented_sentence():
    spec = parse(documented_example())
    sentence = re.search(r"<!-- sentence -->\n```\n(.*?)\n```", DOCS.read_text(), re.S)[1]
    assert SentenceWriter(spec).row({
        "gender": ["1"], "age": ["3"], "bought_text": ["Brass Lamp"], "title": ["Oak Desk"], "price": [249.0],
        "tags": ["wood", "office"], "hour": ["21"]}) == sentence


def documented_keys():
    """Section to {key: default as YAML text}."""
    tables, section = {}, None
    for line in DOCS.read_text().splitlines():
        if line.startswith("#"):
            section = line.strip("# `")
        elif line.startswith("| `"):
            key, _, default, _ = (c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1])
            tables.setdefault(section, {})[key.strip("`")] = default.strip("`").replace("\\|", "|")
    return tables


@pytest.mark.parametrize("section, model", [
    ("The specification", DatasetSpec), ("source", Source), ("label", LabelRule), ("split", SplitRule),
    ("features[]", Feature), ("features[].text", TextRule), ("features[].derive", Derivation),
])
def test_the_table_of_keys_is_complete_and_has_the_right_defaults(section, model):
    # These defaults are made when the file is read.
    made = {
        (DatasetSpec, "openings"): parse(SPEC).openings,
        (DatasetSpec, "split"): {"by": parse(SPEC).split.by},
        (Feature, "text"): "<name> is {}",
    }
    expected = {}
    for key, field in model.model_fields.items():
        default = made.get((model, key), field.default)
        if field.is_required():
            expected[key] = "*required*"
        else:
            expected[key] = "*absent*" if default is None else default
    documented = documented_keys()[section]
    assert list(documented) == list(expected)
    for key, text in documented.items():
        value = text if text.startswith("*") else yaml.safe_load(text)
        assert value == (list(expected[key]) if isinstance(expected[key], tuple) else expected[key]), key


def test_every_key_is_explained_where_an_error_needs_it():
    for model in (DatasetSpec, Source, LabelRule, SplitRule, Feature, TextRule, Derivation):
        for key, field in model.model_fields.items():
            assert f"    {key}: " in model.__doc__
            assert not field.is_required() or field.examples, f"{model.__name__}.{key} has no example"


def test_the_id_of_a_side_is_named_or_found_by_its_name():
    text = """
name: shop
source: {format: csv, path: shop.csv}
label: {column: clicked}
features:
- {name: segmentID, side: user, kind: categorical, model: false}
- {name: userID, side: user, kind: categorical}
- {name: city_id, side: user, kind: categorical}
- {name: product, side: item, kind: categorical}
- {name: title, side: item, kind: categorical}
- {name: page_id, side: context, kind: categorical}
"""
    spec = parse(text)
    assert [spec.entity_ids(side) for side in ("user", "item", "context")] == [("userID",), (), ()]
    spec = parse(text + "ids: {item: [product, title], user: []}\n")
    assert DatasetSpec.from_json(spec.to_json()).entity_ids("item") == ("product", "title")
    assert spec.entity_ids("user") == ()
    assert parse(text + "ids: {item: product}\n").entity_ids("item") == ("product",)
    for ids, message in (
        ("{item: titel}", r"ids.item: 'titel' is no categorical item feature .*did you mean 'title'.*product, title"),
        ("{user: segmentID}", "'segmentID' is no categorical user feature that the ID model reads"),
        ("{context: page_id}", "'context' is no side; the sides are user, item"),
    ):
        with pytest.raises(UserError, match=message):
            parse(text + f"ids: {ids}\n")


def test_parts_cannot_be_changed():
    with pytest.raises(pydantic.ValidationError):
        parse(SPEC).name = "other"
