"""Sentences."""

import pytest

from models.sentence_writer import SentenceWriter
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from models.spec.text_form import TEXT_FORMS

SPEC = """
name: films
source: {format: csv, path: a.csv}
label: {column: liked}
openings: {user: This is a user, item: This is a movie}
features:
  - {name: user_id, side: user, kind: categorical}
  - name: gender
    side: user
    kind: categorical
    text: {phrase: "gender is {}", values: {F: female, 1: male}}
  - {name: age, side: user, kind: numeric, text: {phrase: "age is {}", missing: age is unknown}}
  - name: seen
    side: user
    kind: history
    of: film_id
    derive: {user: user_id, time: t}
    text: {phrase: "who has recently watched {}", feature: title}
  - {name: film_id, side: item, kind: categorical}
  - {name: title, side: item, kind: categorical}
  - name: genres
    side: item
    kind: set
    text: {phrase: "genres are {}", separator: " and ", values: {Sci: science}}
  - {name: hour, side: context, kind: categorical, text: false}
"""
ROW = {"user_id": ["7"], "gender": ["F"], "age": [18.0], "seen": ["3", "4"], "seen_text": ["Titanic", "Avatar"],
       "film_id": ["9"], "title": ["The Terminator"], "genres": ["Sci", "Action"], "hour": ["9"]}


@pytest.fixture
def writer():
    return SentenceWriter(DatasetSpec.parse(SPEC, where="films.yaml"))


FORMS = {
    "prose": "This is a user, gender is female, age is 18, who has recently watched Titanic|Avatar. "
             "This is a movie, title is The Terminator, genres are science and Action.",
    "dash": "gender-female, age-18, seen-Titanic|Avatar. title-The Terminator, genres-science and Action.",
    "values": "female 18 Titanic|Avatar The Terminator science and Action",
    "masked_names": "Field-female, Field-18, Field-Titanic|Avatar. "
                    "Field-The Terminator, Field-science and Action.",
    "key_value": "gender: female, age: 18, seen: Titanic|Avatar. "
                 "title: The Terminator, genres: science and Action.",
    "field_value": "gender is female. age is 18. seen is Titanic|Avatar. "
                   "title is The Terminator. genres is science and Action.",
}


@pytest.mark.parametrize("form", TEXT_FORMS)
def test_the_forms(form):
    assert SentenceWriter(DatasetSpec.parse(SPEC, where="films.yaml"), form).row(ROW) == FORMS[form]


@pytest.mark.parametrize("form", TEXT_FORMS[1:])
def test_other_forms_leave_a_missing_value_out(form):
    writer = SentenceWriter(DatasetSpec.parse(SPEC, where="films.yaml"), form)
    assert writer.side("user", {"gender": [], "age": []}) == ""
    assert writer.side("user", {"gender": ["{F}"], "age": []}).count("{F}") == 1
    assert writer.row({"title": ["Up"]}) == writer.side("item", {"title": ["Up"]})


def test_an_unknown_form_is_refused():
    with pytest.raises(UserError, match="'poem' is unknown; there are: prose, dash"):
        SentenceWriter(DatasetSpec.parse(SPEC, where="films.yaml"), "poem")


def test_bytes_read_like_text(writer):
    assert writer.side("user", {"gender": [b"1"], "age": [30.5], "seen_text": [b"Caf\xc3\xa9"]}) == (
        "This is a user, gender is male, age is 30.5, who has recently watched Café.")


def test_missing_values_say_their_phrase_or_nothing(writer):
    assert writer.side("user", {"gender": [], "age": []}) == "This is a user, age is unknown."
    assert writer.side("item", {"title": [""]}) == "This is a movie."


def test_without_history(writer):
    row = {"gender": ["F"], "age": [18.0], "seen_text": ["Titanic"]}
    assert writer.side("user", row, with_history=False) == "This is a user, gender is female, age is 18."


def test_a_side_without_text_is_silent(writer):
    assert writer.side("context", {"hour": ["9"]}) == ""


@pytest.mark.parametrize("number, words", [
    (249.0, "249"), (1500000.0, "1500000"), (0.1, "0.1"), (12.989999771118164, "12.99"), (-3.0, "-3"),
])
def test_numbers_read_as_people_write_them(writer, number, words):
    assert writer.side("user", {"age": [number]}) == f"This is a user, age is {words}."


def test_a_phrase_may_hold_other_braces():
    spec = DatasetSpec.parse(SPEC.replace('"genres are {}"', '"genres {all} are {}"'), where="films.yaml")
    assert SentenceWriter(spec).side("item", {"genres": ["A"]}) == "This is a movie, genres {all} are A."
