import tensorflow_data_validation as tfdv
from tfx.types import standard_artifacts

from components.beam_io import splits_of
from components.textualiser.executor import Executor, fingerprint
from models.spec.dataset_spec import DatasetSpec
from tests.executor_case import artifact, beam_executor, read_examples, write_examples

SPEC = DatasetSpec.parse(
    """
name: toy
source: {format: csv, path: toy.csv}
label: {column: clicked}
openings: {item: This is a film}
features:
- {name: gender, side: user, kind: categorical, text: {phrase: "gender is {}", values: {F: female}}}
- {name: film, side: item, kind: categorical, text: false}
- {name: title, side: item, kind: categorical}
- {name: liked, side: user, kind: history, of: film, derive: {user: gender, time: t},
   text: {feature: title, phrase: "who liked {}"}}
""", where="toy.yaml")
ROWS = {
    "train": [
        {"gender": ["F"], "film": ["1"], "title": ["Up"], "liked": [], "liked_text": [], "label": [1]},
        {"gender": ["F"], "film": ["2"], "title": ["Jaws"], "liked": ["1"], "liked_text": ["Up"], "label": [0]},
    ],
    "test": [{"gender": [], "film": ["3"], "title": ["Heat"], "liked": ["1", "2"],
              "liked_text": ["Up", "Jaws"], "label": [1]}],
}


def textualise(folder, mode, spec=SPEC, gather_texts=0, **properties):
    source = write_examples(folder / "in", ROWS)
    target = artifact(standard_artifacts.Examples, folder / "out")
    texts = artifact(standard_artifacts.Examples, folder / "texts")
    schema = artifact(standard_artifacts.Schema, folder / "schema")
    (folder / "schema" / "schema.pbtxt").write_text('feature { name: "title" type: BYTES }')
    extended = artifact(standard_artifacts.Schema, folder / "extended")
    beam_executor(Executor, folder).Do(
        {"examples": [source], "schema": [schema]},
        {"textualised_examples": [target], "texts": [texts], "textualised_schema": [extended]},
        {"dataset_spec": spec.to_json(), "text_mode": mode, "gather_texts": gather_texts, **properties})
    return target, texts


def test_rows_get_the_paper_s_sentences(tmp_path):
    target, texts = textualise(tmp_path, "finetune")
    assert splits_of(texts) == []
    rows = {r["film"][0]: r for s in ROWS for r in read_examples(target, s)}
    assert rows[b"1"]["user_sentence"] == [b"This is a user, gender is female."]
    assert rows[b"2"]["user_sentence"] == [b"This is a user, gender is female, who liked Up."]
    assert rows[b"2"]["item_sentence"] == [b"This is a film, title is Jaws."]
    assert rows[b"3"]["user_sentence"] == [b"This is a user, who liked Up|Jaws."]
    assert rows[b"2"]["label"] == [0] and "user_text_key" not in rows[b"2"]


def test_distinct_texts_stand_once_and_rows_point_to_them(tmp_path):
    target, texts = textualise(tmp_path, "frozen")
    assert splits_of(texts) == ["user", "item", "liked"]
    tables = {s: {r["key"][0]: r["text"][0] for r in read_examples(texts, s)} for s in splits_of(texts)}
    # Two of three rows share the user's text, since the history is not in it.
    assert sorted(tables["user"].values()) == [b"This is a user, gender is female.", b"This is a user."]
    assert len(read_examples(texts, "item")) == len(read_examples(texts, "liked")) == 3
    rows = {r["film"][0]: r for s in ROWS for r in read_examples(target, s)}
    row = rows[b"3"]
    assert tables["item"][row["item_text_key"][0]] == b"This is a film, title is Heat."
    assert [tables["liked"][k] for k in row["liked_text_key"]] == [
        b"This is a film, title is Up.", b"This is a film, title is Jaws."]


def test_another_form_changes_the_texts_and_not_what_points_to_them(tmp_path):
    target, texts = textualise(tmp_path, "frozen", text_form="values")
    rows = {r["film"][0]: r for s in ROWS for r in read_examples(target, s)}
    assert rows[b"2"]["user_sentence"] == [b"female Up"] and rows[b"3"]["user_sentence"] == [b"Up|Jaws"]
    assert rows[b"2"]["user_text_key"] == [fingerprint("This is a user, gender is female.")]
    for split, expected in (
            ("user", {"This is a user.": b"", "This is a user, gender is female.": b"female"}),
            ("item", {f"This is a film, title is {t}.": t.encode() for t in ("Up", "Jaws", "Heat")})):
        found = {r["key"][0]: r["text"][0] for r in read_examples(texts, split)}
        assert found == {fingerprint(prose): text for prose, text in expected.items()}


def test_texts_can_be_gathered_without_pointing_to_them(tmp_path):
    target, texts = textualise(tmp_path / "finetune", "finetune", gather_texts=1)
    _, frozen = textualise(tmp_path / "frozen", "frozen")
    assert splits_of(texts) == ["user", "item", "liked"]
    for split in splits_of(texts):
        expected = sorted(r["text"] for r in read_examples(frozen, split))
        assert sorted(r["text"] for r in read_examples(texts, split)) == expected
    rows = [r for s in ROWS for r in read_examples(target, s)]
    assert not any(name.endswith("_text_key") for r in rows for name in r)
    schema = tfdv.load_schema_text(str(tmp_path / "finetune" / "extended" / "schema.pbtxt"))
    assert [f.name for f in schema.feature] == ["title", "user_sentence", "item_sentence"]


def test_a_history_of_items_without_words_points_to_none(tmp_path):
    silent = DatasetSpec.model_validate(
        {**SPEC.model_dump(), "features": [
            {**f.model_dump(), "text": f.text.model_dump() if f.text and f.side == "user" else False}
            for f in SPEC.features]})
    target, texts = textualise(tmp_path, "frozen", silent)
    assert splits_of(texts) == ["user"]
    rows = {r["film"][0]: r for s in ROWS for r in read_examples(target, s)}
    assert "liked_text_key" not in rows[b"3"] and "item_sentence" not in rows[b"3"]
    # The sentence still says what was liked.
    assert rows[b"3"]["user_sentence"] == [b"This is a user, who liked Up|Jaws."]


def test_the_schema_gains_the_features_that_are_added(tmp_path):
    textualise(tmp_path, "frozen")
    schema = tfdv.load_schema_text(str(tmp_path / "extended" / "schema.pbtxt"))
    assert [f.name for f in schema.feature] == [
        "title", "user_sentence", "item_sentence", "user_text_key", "item_text_key", "liked_text_key"]


def test_fingerprint_is_stable():
    assert fingerprint("This is a user.") == fingerprint(b"This is a user.") == 1690890548628125145
