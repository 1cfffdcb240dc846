"""The components of daily operation, each on its own."""

import numpy as np
import pytest
from tfx.types import standard_artifacts

from components.artifacts import UserHistories, ValueCounts, Vocabularies
from components.beam_io import splits_of
from components.example_gen import past
from components.example_gen.executor import Executor as ExampleGenExecutor
from components.rolling_window.executor import Executor as RollingWindowExecutor
from components.user_histories.executor import Executor as UserHistoriesExecutor
from components.value_counts.executor import Executor as ValueCountsExecutor
from components.vocabulary_gen.executor import Executor as VocabularyGenExecutor
from models import warm_start
from models.rolling_vocabulary import RollingVocabulary
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from tests.executor_case import artifact, beam_executor, read_examples, write_examples

SPEC = """
name: toy
source: {format: csv, path: "day-{SPAN}.csv"}
label: {column: clicked}
split: {by: day, fractions: {train: 0.7, validation: 0.2, test: 0.1}}
features:
- {name: who, side: user, kind: categorical}
- {name: film, side: item, kind: categorical, min_count: 2}
- {name: tags, side: item, kind: set, max_length: 2, min_count: 1}
- {name: title, side: item, kind: categorical, model: false}
- {name: liked, side: user, kind: history, of: film, derive: {user: who, time: when}, max_length: 2,
   text: {feature: title, phrase: "liked {}"}}
"""


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "toy.yaml").write_text(SPEC)
    return DatasetSpec.load(tmp_path / "toy.yaml")


def write_day(folder, day, rows):
    lines = [f"{who},{film},T{film},x|y|z,{clicked},{when}\n" for who, film, clicked, when in rows]
    (folder / f"day-{day}.csv").write_text("who,film,title,tags,clicked,when\n" + "".join(lines))
    return str(folder / f"day-{day}.csv")


def histories(folder, spec, file):
    found = artifact(UserHistories, folder)
    beam_executor(UserHistoriesExecutor, folder).Do(
        {}, {"histories": [found]}, {"dataset_spec": spec.to_json(), "files": file, "fingerprint": ""})
    return found


def ingest(folder, spec, file, span, earlier=()):
    examples, report = artifact(standard_artifacts.Examples, folder / "examples"), artifact(
        standard_artifacts.Examples, folder / "report")
    beam_executor(ExampleGenExecutor, folder).Do(
        {key: [found] for key, found in zip(past.KEYS, earlier)}, {"examples": [examples], "report": [report]},
        {"dataset_spec": spec.to_json(), "files": file, "fingerprint": "", "max_rejected_share": 0.0, "span": span})
    return examples, [row for split in splits_of(examples) for row in read_examples(examples, split)]


def liked(rows):
    return {row["film"][0].decode(): [v.decode() for v in row.get("liked", [])] for row in rows}


def test_a_days_rows_see_the_clicks_of_the_days_before_without_their_logs(tmp_path, spec):
    one = write_day(tmp_path, 1, [("u", "a", 1, 1), ("u", "b", 0, 2), ("v", "c", 1, 3), ("u", "d", 1, 99)])
    two = write_day(tmp_path, 2, [("u", "e", 1, 101), ("v", "f", 0, 102), ("w", "g", 1, 103)])
    three = write_day(tmp_path, 3, [("u", "h", 1, 201), ("u", "i", 1, 202), ("v", "j", 0, 203), ("w", "k", 0, 204)])
    earlier = [histories(tmp_path / f"h{i}", spec, file) for i, file in enumerate((one, two))]
    # Whatever becomes of the earlier logs, they are not read again.
    (tmp_path / "day-1.csv").unlink()
    _, rows = ingest(tmp_path / "three", spec, three, 3, earlier)
    assert liked(rows) == {"h": ["d", "e"], "i": ["e", "h"], "j": ["c"], "k": ["g"]}
    assert {row["film"][0]: row.get("liked_text", []) for row in rows}[b"j"] == [b"Tc"]
    # Without the days before, only the day itself is seen.
    assert liked(ingest(tmp_path / "alone", spec, three, 3)[1]) == {"h": [], "i": ["h"], "j": [], "k": []}


def test_two_runs_write_a_day_in_the_same_order(tmp_path, spec):
    one = write_day(tmp_path, 1, [(f"u{i}", f"f{i}", 1, i) for i in range(50)])
    two = write_day(tmp_path, 2, [(f"u{i % 50}", f"g{i}", i % 2, 100 + i) for i in range(200)])
    earlier = [histories(tmp_path / "h", spec, one)]
    first, again = (ingest(tmp_path / name, spec, two, 2, earlier)[1] for name in ("first", "again"))
    assert len(first) == 200 and first == again


def test_histories_over_days_are_those_of_one_log(tmp_path, spec):
    random = np.random.default_rng(1)
    rows = [(f"u{random.integers(4)}", f"f{i}", int(random.integers(2)), i) for i in range(120)]
    files = [write_day(tmp_path, day, rows[40 * (day - 1):40 * day]) for day in (1, 2, 3)]
    whole = write_day(tmp_path, 9, rows)
    earlier = [histories(tmp_path / f"h{i}", spec, file) for i, file in enumerate(files[:2])]
    _, of_days = ingest(tmp_path / "days", spec, files[2], 3, earlier)
    _, of_log = ingest(tmp_path / "log", spec, whole, 9)
    assert len(of_days) == 40
    assert liked(of_days).items() <= liked(of_log).items()


def test_a_day_is_divided_between_train_and_validation_and_knows_its_span(tmp_path, spec):
    file = write_day(tmp_path, 5, [(f"u{i}", f"f{i}", i % 2, i) for i in range(900)])
    examples, _ = ingest(tmp_path / "five", spec, file, 5)
    assert splits_of(examples) == ["train", "validation"]
    assert examples.get_int_custom_property("span") == 5
    train, validation = (len(read_examples(examples, split)) for split in splits_of(examples))
    assert train + validation == 900
    assert train / 900 == pytest.approx(7 / 9, abs=0.04)


def test_a_day_whose_rows_are_all_in_training_has_an_empty_validation(tmp_path, spec):
    spec = spec.model_copy(update={"split": spec.split.model_copy(update={"fractions": {
        "train": 1 - 2e-9, "validation": 1e-9, "test": 1e-9}})})
    examples, rows = ingest(tmp_path / "five", spec, write_day(tmp_path, 5, [("u", "a", 1, 1), ("v", "b", 0, 2)]), 5)
    assert len(rows) == 2 and splits_of(examples) == ["train", "validation"]
    # What reads it looks for files.
    assert len(list((tmp_path / "five" / "examples" / "Split-validation").iterdir())) == 1


def test_a_day_of_one_class_stops_the_run(tmp_path, spec):
    file = write_day(tmp_path, 5, [("u", f"f{i}", 0, i) for i in range(9)])
    with pytest.raises(UserError, match="one class only .0 of 9 rows are positive.*rolling.exclude"):
        ingest(tmp_path / "five", spec, file, 5)


def counted(folder, spec, rows):
    examples = write_examples(folder / "examples", {"train": rows, "validation": [{"film": ["unseen"]}]})
    counts = artifact(ValueCounts, folder / "counts")
    beam_executor(ValueCountsExecutor, folder).Do(
        {"examples": [examples]}, {"counts": [counts]}, {"dataset_spec": spec.to_json()})
    return counts


def vocabularies(folder, spec, span, days, base=None):
    made = artifact(Vocabularies, folder)
    VocabularyGenExecutor().Do(
        {**{f"counts_{i:02d}": [day] for i, day in enumerate(days)}, **({"base_model": [base]} if base else {})},
        {"vocabularies": [made]}, {"dataset_spec": spec.to_json(), "span": span, "keep_departed": 10})
    return {name: RollingVocabulary.load(str(folder), name) for name in ("who", "film", "tags")}


def test_the_row_of_an_id_is_the_same_on_day_1_2_and_3(tmp_path, spec):
    def film(name, count):
        return [{"film": [name] if name else [], "tags": ["x", "", "cut"]}] * count

    days = [counted(tmp_path / str(i), spec, rows) for i, rows in enumerate((
        film("a", 3) + film("b", 1) + film("", 2), film("b", 1) + film("c", 5), film("c", 1) + film("d", 9)))]
    # A window of two days.
    one = vocabularies(tmp_path / "v1", spec, 1, days[:1])
    assert one["film"].values == (b"a", b"<missing>")
    assert one["tags"].values == (b"<missing>", b"x")
    # A table has a row at least.
    assert one["who"].values == (b"<missing>",)
    found = [one]
    for span, window in ((2, days[:2]), (3, days[1:])):
        base = artifact(standard_artifacts.Model, tmp_path / f"model{span}")
        warm_start.copy_vocabularies(str(tmp_path / f"v{span - 1}"), base.uri)
        found.append(vocabularies(tmp_path / f"v{span}", spec, span, window, base))
    assert found[1]["film"].values == (b"a", b"<missing>", b"c", b"b")
    # `a` left the window, and keeps its row.
    assert found[2]["film"].values == (b"a", b"<missing>", b"c", b"b", b"d")
    assert found[2]["film"].last_seen.tolist() == [2, 2, 3, 3, 3]


def test_a_window_holds_the_days_rows_and_each_text_once(tmp_path, spec):
    days = [write_examples(tmp_path / f"d{i}", {"train": [{"film": [f"{i}{j}"]} for j in range(2)],
                                               "validation": [{"film": [f"v{i}"]}]}) for i in range(2)]
    texts = [
        write_examples(tmp_path / f"t{i}", {
            "item": [{"key": [1], "text": ["same"]}, {"key": [2 + i], "text": [text]}],
            "liked": [{"key": [7], "text": [text]}]})
        for i, text in enumerate(("p", "q"))]
    examples, merged = (artifact(standard_artifacts.Examples, tmp_path / name) for name in ("examples", "merged"))
    beam_executor(RollingWindowExecutor, tmp_path).Do(
        {f"{name}_{i:02d}": [found] for name, all_days in (("examples", days), ("texts", texts))
         for i, found in enumerate(all_days)},
        {"examples": [examples], "texts": [merged]}, {})
    assert splits_of(examples) == ["train", "validation"] and splits_of(merged) == ["item", "liked"]
    assert sorted(r["film"][0] for r in read_examples(examples, "train")) == [b"00", b"01", b"10", b"11"]
    names = sorted(file.name for file in (tmp_path / "examples" / "Split-train").iterdir())
    assert [name[-9:] for name in names] == ["day_00.gz", "day_01.gz"]
    assert sorted(r["film"][0] for r in read_examples(examples, "validation")) == [b"v0", b"v1"]
    found = {(r["key"][0], r["text"][0]) for r in read_examples(merged, "item")}
    assert found == {(1, b"same"), (2, b"p"), (3, b"q")} and len(read_examples(merged, "item")) == 3
    # Of an item whose text changed one is kept, as within a day.
    assert [(r["key"][0], r["text"][0]) for r in read_examples(merged, "liked")] == [(7, b"q")]
