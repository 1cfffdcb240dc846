import pytest

from models.entry_texts import EntryTexts
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError

SPEC = DatasetSpec.parse(
    """
name: films
source: {format: csv, path: films.csv}
label: {column: click}
openings: {item: This is a film}
features:
  - {name: user_id, side: user, kind: categorical}
  - {name: film_id, side: item, kind: categorical}
  - {name: title, side: item, kind: categorical}
  - {name: price, side: item, kind: numeric, text: "costs {}"}
""",
    where="films.yaml",
)


def test_the_most_frequent_text_and_training_rows_only_are_counted():
    entries = EntryTexts(SPEC, "film_id")
    for price in ([2.0], [], [2.0], [3.0]):
        entries.add({"film_id": [b"7"], "title": ["Näh".encode()], "price": price})
    entries.add({"film_id": [b"8"], "title": [b"Yes"]}, trained=False)
    entries.add({"film_id": [], "title": [b"No"]})
    assert entries.text("7") == "This is a film, title is Näh, costs 2."
    assert entries.text("8") == "This is a film, title is Yes."
    assert dict(entries.counts) == {"7": 4, "8": 0}
    with pytest.raises(KeyError):
        entries.text("9")


def test_ties_do_not_depend_on_the_order_of_rows():
    texts = set()
    for order in ((b"A", b"B"), (b"B", b"A")):
        entries = EntryTexts(SPEC, "film_id")
        for title in order:
            entries.add({"film_id": [b"7"], "title": [title]})
        texts.add(entries.text("7"))
    assert texts == {"This is a film, title is A."}


@pytest.mark.parametrize("key", ["price", "user_id", "other"])
def test_a_feature_without_a_text_of_its_side_is_refused(key):
    with pytest.raises(UserError, match="there are: film_id, title"):
        EntryTexts(SPEC, key)
