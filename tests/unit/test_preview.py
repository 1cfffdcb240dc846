"""`ctrl preview`: what becomes of a log's rows, and the problems found."""

import csv
import subprocess
import sys

import numpy as np
import pytest

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from pipeline.log_checks import single_feature_auc
from pipeline.preview import preview, render

SPEC = """
name: films
description: An invented log
source: {format: csv, path: log.csv}
label: {column: stars, threshold: 3, drop: [3]}
split: {by: time, time: t, fractions: {train: 0.6, validation: 0.2, test: 0.2}}
openings: {item: This is a film}
features:
  - {name: user_id, side: user, kind: categorical}
  - name: gender
    side: user
    kind: categorical
    text: {phrase: "gender is {}", values: {F: female, M: male}}
  - {name: age, side: user, kind: numeric}
  - name: liked
    side: user
    kind: history
    of: film_id
    derive: {user: user_id, time: t}
    text: {phrase: "who liked {}", feature: title}
  - {name: film_id, side: item, kind: categorical}
  - {name: title, side: item, kind: categorical, model: false}
slices: [gender]
"""
HEADER = ["user_id", "gender", "age", "film_id", "title", "stars", "t"]
# user, film, stars, time
CLICKS = [("a", 1, 5, 10), ("a", 2, 4, 20), ("b", 1, 1, 20), ("a", 3, 2, 20), ("b", 2, 3, 30),
          ("a", 1, 1, 30), ("b", 3, 5, 40), ("c", 2, 5, 50), ("a", 2, 1, 60), ("b", 1, 4, 70),
          ("c", 3, 1, 80)]


def row(user, film, stars, time):
    return [user, {"a": "F", "b": "M", "c": ""}[user], "31", f"f{film}", f"Film {film}", stars, time]


def write(folder, rows, spec=SPEC, header=HEADER):
    with open(folder / "log.csv", "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    (folder / "films.yaml").write_text(spec)
    return DatasetSpec.load(folder / "films.yaml")


def problems(result, level=None):
    return [p.text for p in result.problems if level in (None, p.level)]


@pytest.fixture
def result(tmp_path):
    return preview(write(tmp_path, [row(*c) for c in CLICKS]), rows=10)


def test_counts_label_and_time_split(result):
    assert (result.read, result.dropped, result.rejected, result.files) == (11, 1, 0, 1)
    # Ten rows are left; the cuts at 0.6 and 0.8 of their nine steps are the sixth and eighth: 40 and 60.
    # (rows, positive): 10, 20, 20, 20, 30 | 40, 50 | 60, 70, 80.
    assert result.splits == {"train": (5, 2), "validation": (2, 2), "test": (3, 1)}


def test_histories_see_strictly_earlier_positive_rows(result):
    users = [r.sentences["user"] for r in result.rows]
    assert users == [
        "This is a user, gender is female, age is 31.",
        "This is a user, gender is female, age is 31, who liked Film 1.",
        "This is a user, gender is male, age is 31.",
        "This is a user, gender is female, age is 31, who liked Film 1.",  # not Film 2 of the same moment
        "This is a user, gender is female, age is 31, who liked Film 1|Film 2.",
        "This is a user, gender is male, age is 31.",
        "This is a user, age is 31.",
        "This is a user, gender is female, age is 31, who liked Film 1|Film 2.",
        "This is a user, gender is male, age is 31, who liked Film 3.",
        "This is a user, age is 31, who liked Film 2.",
    ]
    shown = [(r.split, r.label) for r in result.rows[4:7]]
    assert shown == [("train", 0), ("validation", 1), ("validation", 1)]
    assert result.rows[0].sentences["item"] == "This is a film, title is Film 1."


def test_feature_summaries(result):
    found = {s.feature.name: (s.distinct, round(s.missing, 2), s.frequent) for s in result.features}
    assert found["gender"] == (2, 0.2, "F (62 %), M (38 %)")
    assert found["age"] == (1, 0, "31 to 31, median 31")
    assert found["liked"] == (3, 0.4, "f1 (67 %), f2 (50 %), f3 (17 %)")


def test_cold_start_and_one_class_are_told(result):
    assert problems(result, "note") == [
        "33 % of the test rows have a user_id that never occurs in train (1 different): cold start"]
    assert problems(result, "error") == [
        "split: validation has one class only, so it has no AUC; give it a larger share in split.fractions"]


def test_rendering_is_plain_text_of_100_columns(result):
    text = render(result)
    assert "\x1b" not in text and max(map(len, text.splitlines())) <= 100
    lines = text.splitlines()
    assert lines[0] == "films: An invented log"
    assert lines[1] == "11 rows read (1 file), 1 dropped by the label rule, 0 rejected"
    assert [line.split() for line in lines[3:8]] == [
        ["split", "rows", "share", "positive"],
        ["train", "5", "50", "%", "40", "%"],
        ["validation", "2", "20", "%", "100", "%"],
        ["test", "3", "30", "%", "33", "%"],
        ["all", "10", "100", "%", "50", "%"],
    ]
    assert "user   This is a user, gender is female, age is 31, who liked Film 1." in lines


def test_another_text_form_is_shown_and_named(tmp_path, result):
    other = preview(write(tmp_path, [row(*c) for c in CLICKS]), rows=10, text_form="key_value")
    assert other.rows[1].sentences == {
        "user": "gender: female, age: 31, liked: Film 1.", "item": "title: Film 2."}
    assert "text form key_value" in render(other).splitlines() and "text form" not in render(result)


def test_user_time_split_cuts_each_user(tmp_path):
    spec = SPEC.replace("by: time, time: t", "by: user_time, time: t, user: user_id")
    result = preview(write(tmp_path, [row(*c) for c in CLICKS], spec))
    # a has 5 rows (3, 1, 1), b 3 and c 2 (all in train).
    assert {s: n for s, (n, _) in result.splits.items()} == {"train": 8, "validation": 1, "test": 1}


def test_from_a_date_on_is_the_test(tmp_path):
    spec = SPEC.replace("time: t,", "time: t, test_from: 50,", 1)
    result = preview(write(tmp_path, [row(*c) for c in CLICKS], spec))
    assert result.splits["test"] == (4, 2)


def test_hash_split_is_that_of_a_run(tmp_path):
    from components.example_gen.splitting import hash_split

    spec = SPEC.replace("{by: time, time: t, ", "{key: [user_id], ")
    result = preview(write(tmp_path, [row(*c) for c in CLICKS], spec), rows=10)
    fractions = {"train": 0.6, "validation": 0.2, "test": 0.2}
    users = [c[0] for c in CLICKS if c[2] != 3]
    assert [r.split for r in result.rows] == [hash_split(u.encode(), fractions) for u in users]


def test_rejected_rows_are_listed_with_their_place(tmp_path):
    rows = [row(*c) for c in CLICKS]
    rows[2][2] = "old"
    rows[4] = rows[4][:5]
    rows[5][5] = ""
    result = preview(write(tmp_path, rows))
    file = tmp_path / "log.csv"
    assert result.rejected == 3
    assert result.first_rejected == (
        f"{file}:4: column 'age' is 'old', not a number",
        f"{file}:6: has 5 columns, the header has 7",
        f"{file}:7: label column 'stars' is missing",
    )
    assert problems(result, "error")[0] == (
        "3 rows (27 %) are rejected; a run stops above 1 % (ingestion.max_rejected_share)")
    assert problems(result, "warning") == [
        "column 'age' is no number in 1 of them, as 'old'; leave such cells empty, or use kind: categorical"]
    # Lines are broken where the file's path leaves room.
    assert "".join(f"{file}:6: has 5 columns".split()) in "".join(render(result).split())


def test_a_missing_column_is_a_problem(tmp_path):
    result = preview(write(tmp_path, [row(*c) for c in CLICKS], header=[*HEADER[:-1], "time"]))
    assert len(problems(result)) == 1 and "there is no column 't'" in problems(result, "error")[0]
    assert "there is no column 't'" in " ".join(render(result).split())


def test_the_limit_is_told(tmp_path):
    result = preview(write(tmp_path, [row(*c) for c in CLICKS]), limit=8)
    assert result.read == 8
    assert problems(result, "note")[0] == (
        "only the first 8 rows were read; shares, splits and derived histories are of these (--limit reads "
        "more)")


def test_a_missing_file_is_an_error(tmp_path):
    spec = write(tmp_path, [])
    (tmp_path / "log.csv").unlink()
    with pytest.raises(UserError, match="no file matches"):
        preview(spec)


def test_one_class_only(tmp_path):
    result = preview(write(tmp_path, [row(u, f, 5, t) for u, f, _, t in CLICKS]))
    assert problems(result, "error") == [
        "label.column: every row of 'stars' is positive, so there is nothing to learn; check label.column, "
        "label.threshold and label.drop"]


def test_an_empty_split(tmp_path):
    result = preview(write(tmp_path, [row(u, f, s, 1) for u, f, s, _ in CLICKS]))
    assert problems(result, "error")[:2] == [
        "split: train is empty; change split.fractions or split.by, or give more rows",
        "split: validation is empty; change split.fractions or split.by, or give more rows"]


WIDE = """
name: wide
source: {format: csv, path: log.csv}
label: {column: y}
features:
  - {name: user_id, side: user, kind: categorical}
  - {name: mood, side: user, kind: categorical, text: {phrase: "mood is {}", values: {g: good, x: odd}}}
  - {name: seen, side: user, kind: history, of: title}
  - {name: title, side: item, kind: categorical}
  - {name: tags, side: item, kind: set}
  - {name: blank, side: item, kind: categorical}
  - {name: same, side: context, kind: categorical}
  - {name: unique, side: context, kind: categorical}
  - {name: leak, side: context, kind: numeric}
slices: [title]
"""


def test_problems_of_features(tmp_path):
    header = ["user_id", "mood", "seen", "title", "tags", "blank", "same", "unique", "leak", "y"]
    rows = [[f"u{i % 7}", "g", f"T{i % 6}|Z" if i % 5 else "", f"T{i % 120}", f"a,{i % 3}", "", "k", f"q{i}",
             (i * 7919 % 13) + 100 * (i % 11 % 2), i % 11 % 2] for i in range(600)]
    result = preview(write(tmp_path, rows, WIDE, header))
    assert problems(result, "error") == []
    assert set(problems(result, "warning")) == {
        "slices: title has 120 values, each of them a slice; choose features with few values",
        "features[mood] is 'g' in every row; it tells nothing, leave it out",
        "features[mood].text.values: 'x' never occurs in the rows read, which hold 'g'",
        "features[seen]: 50 % of the entries, as 'Z', are no values of the item feature 'title'; check of "
        "and separator, now '|'",
        "features[tags] never holds more than one entry (as 'a,0'); check its separator, now '|', or use "
        "kind: categorical",
        "features[blank] is missing in every row; leave it out, or check its column",
        "features[same] is 'k' in every row; it tells nothing, leave it out",
        "features[unique] has a different value in every row (as 'q0'), so none can be learnt; leave it out, "
        "or use kind: numeric for an amount",
        "features[leak] alone tells the label (AUC 1.000): it leaks what a request cannot know yet; leave it "
        "out unless it is known before the click",
    }


def test_a_log_without_any_text_is_an_error(tmp_path):
    spec = """
name: ids
source: {format: csv, path: log.csv}
label: {column: y}
features:
  - {name: user_id, side: user, kind: categorical}
  - {name: item_id, side: item, kind: categorical}
"""
    rows = [[f"u{i % 7}", f"i{i % 5}", i % 11 % 2] for i in range(300)]
    header = ["user_id", "item_id", "y"]
    found = preview(write(tmp_path, rows, spec, header))
    assert problems(found, "error") == ["features: nothing to align: give at least one feature a text"]
    assert not [p for p in problems(found, "warning") if "side has text" in p]
    one = spec.replace("side: item, kind: categorical", "side: item, kind: categorical, text: true")
    found = preview(write(tmp_path, rows, one, header))
    assert problems(found, "error") == [] and "no feature of the user side has text" in problems(found, "warning")[0]


def test_single_feature_auc_by_hand():
    # Rows 0, 2, 4, 6 give a: (2 + 1/2) / 3 and b: (0 + 1/2) / 3; rows 1, 3, 5, 7 are ranked by these:
    # positives a, b and negatives b, b: a wins 2 of 2, b ties 2 of 2, so (2 + 2 / 2) / 4.
    values = [["a"], ["a"], ["a"], ["b"], ["b"], ["b"], ["b"], ["b"]]
    labels = [1, 1, 1, 1, 0, 0, 0, 0]
    learn = np.array([True, False] * 4)
    assert single_feature_auc(values, labels, learn, numeric=False) == pytest.approx(0.75)
    assert single_feature_auc(values, [1, 0] * 4, learn, numeric=False) is None


def test_many_values_with_one_row_each_are_no_leak():
    labels = [i // 2 % 2 for i in range(400)]
    values = [[f"v{i}"] for i in range(400)]
    learn = np.arange(400) < 200
    assert single_feature_auc(values, labels, learn, numeric=False) == pytest.approx(0.5)


def test_no_tensorflow_and_no_beam_are_imported():
    code = ("import sys, pipeline.preview, pipeline.infer_spec; "
            "print([m for m in ('tensorflow', 'tfx', 'apache_beam', 'keras') if m in sys.modules])")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"


def test_of_daily_logs_the_newest_is_the_test(tmp_path):
    spec = SPEC.replace("log.csv", '"log-{SPAN}.csv"').replace(
        "{by: time, time: t, fractions: {train: 0.6, validation: 0.2, test: 0.2}}", "{by: day}")
    for day in (1, 2):
        with open(tmp_path / f"log-{day}.csv", "w", newline="") as file:
            csv.writer(file).writerows([HEADER, *(row(*click) for click in CLICKS[:4 * day])])
    write(tmp_path, [], spec)
    result = preview(DatasetSpec.load(tmp_path / "films.yaml"))
    # Threes are dropped, of which the second day has one.
    assert result.splits["test"][0] == 7
    assert result.splits["train"][0] + result.splits["validation"][0] == 4
