import csv

from benchmarks.hidden_log import is_hidden, write_hidden_log
from models.spec.dataset_spec import DatasetSpec

SPEC = """
name: films
source: {format: csv, path: films.csv}
label: {column: click}
split: {by: time, time: at}
features:
  - {name: user, side: user, kind: categorical}
  - {name: film, side: item, kind: categorical, column: film_id}
  - {name: genres, side: item, kind: set}
slices: [user]
"""


def test_hidden_entries_are_in_the_newest_tenth_only(tmp_path):
    rows = [["at", "film_id", "user", "genres", "click", "other"]]
    rows += [[1000 - i, f"f{i % 50}", f"u{i % 7}", "a|b", i % 2, "-"] for i in range(1000)]
    with open(tmp_path / "films.csv", "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    (tmp_path / "films.yaml").write_text(SPEC, encoding="utf-8")
    target = tmp_path / "out"
    target.mkdir()
    spec = write_hidden_log(DatasetSpec.load(tmp_path / "films.yaml"), target, "film", share=0.3)

    with open(target / "log.csv", encoding="utf-8", newline="") as file:
        log = list(csv.DictReader(file))
    hidden = {f"f{i}" for i in range(50) if is_hidden(f"f{i}", 0.3)}
    assert 5 <= len(hidden) <= 25
    assert spec.split.test_from == 901
    test = [row for row in log if float(row["at"]) >= 901]
    assert len(test) == 100 and hidden <= {row["film_id"] for row in test}
    early = [row for row in log if float(row["at"]) < 901]
    assert len(early) == 900 * (50 - len(hidden)) / 50
    assert not hidden & {row["film_id"] for row in early}
    assert log[0] == {"at": "1", "film_id": log[0]["film_id"], "user": log[0]["user"], "genres": "a|b",
                      "click": log[0]["click"]}
    assert DatasetSpec.load(target / "spec.yaml").features == spec.features


def test_about_the_share_is_hidden():
    assert abs(sum(is_hidden(str(i), 0.1) for i in range(10_000)) / 10_000 - 0.1) < 0.01
    assert not any(is_hidden(str(i), 0.0) for i in range(100)) and all(is_hidden(str(i), 1.0) for i in range(100))
