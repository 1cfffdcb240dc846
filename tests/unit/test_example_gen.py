import functools
import gzip
import json
import pathlib

import pytest
from tfx.types import standard_artifacts

from components.artifacts import IngestionReport
from components.example_gen import ingest as ingestion
from components.example_gen import readers
from components.example_gen.executor import Executor
from components.example_gen.file_ranges import file_ranges
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from tests.executor_case import artifact, beam_executor, read_examples

SPEC = """
name: toy
source: {{format: csv, path: toy.csv}}
label: {{column: stars, threshold: 3, drop: [3]}}
split: {split}
features:
- {{name: who, side: user, kind: categorical}}
- {{name: film, side: item, kind: categorical}}
- {{name: title, side: item, kind: categorical}}
- {{name: liked, side: user, kind: history, of: film, derive: {{user: who, time: when}}, max_length: 2,
   text: {{feature: title, phrase: "liked {{}}"}}}}
"""
HEADER = "who,film,title,stars,when\n"


def ingest(folder: pathlib.Path, text: str, split="{by: time, time: when}", max_rejected_share=0.01, histories=True):
    (folder / "toy.csv").write_text(text)
    spec = SPEC if histories else SPEC.partition("- {{name: liked")[0]
    (folder / "toy.yaml").write_text(spec.format(split=split))
    spec = DatasetSpec.load(folder / "toy.yaml")
    examples = artifact(standard_artifacts.Examples, folder / "examples")
    report = artifact(IngestionReport, folder / "report")
    beam_executor(Executor, folder).Do(
        {}, {"examples": [examples], "report": [report]},
        {"dataset_spec": spec.to_json(), "files": "\n".join(readers.list_files(spec)), "fingerprint": "",
         "max_rejected_share": max_rejected_share, "dead_letter_dir": str(folder / "kept")})
    rows = {s: read_examples(examples, s) for s in ("train", "validation", "test")}
    return rows, json.loads((folder / "report" / "summary.json").read_text()), folder / "report" / "rejected.jsonl"


def log(count=100):
    """Rows at times 0, 1, 2...; users a and b in turn; every fifth row is negative, every seventh a 3."""
    return [f"{'ab'[i % 2]},{i},t{i},{3 if i % 7 == 6 else 1 if i % 5 == 4 else 5},{i}\n" for i in range(count)]


def test_time_split_cuts_at_the_fractions_of_the_kept_rows(tmp_path):
    rows, summary, _ = ingest(tmp_path, HEADER + "".join(reversed(log())))
    kept = [i for i in range(100) if i % 7 != 6]
    assert summary["read"] == 100 and summary["dropped"] == 14 and summary["rejected"] == 0
    films = {s: sorted(int(r["film"][0]) for r in rows[s]) for s in rows}
    assert films["train"] + films["validation"] + films["test"] == kept
    assert summary["rows"] == {s: len(f) for s, f in films.items()}
    assert summary["rows"]["train"] == pytest.approx(0.8 * len(kept), abs=1)
    assert summary["rows"]["test"] == pytest.approx(0.1 * len(kept), abs=1)
    assert summary["positive"]["test"] == sum(r["label"][0] for r in rows["test"])


def test_history_holds_the_user_s_earlier_positive_rows_only(tmp_path):
    rows, _, _ = ingest(tmp_path, HEADER + "".join(log()))
    by_film = {int(r["film"][0]): r for part in rows.values() for r in part}
    for film, row in by_film.items():
        earlier = [i for i in range(film) if i % 2 == film % 2 and i % 5 != 4 and i % 7 != 6][-2:]
        assert [int(v) for v in row.get("liked", [])] == earlier
        assert row.get("liked_text", []) == [f"t{i}".encode() for i in earlier]


def test_user_time_split_cuts_each_user_s_rows(tmp_path):
    rows, _, _ = ingest(tmp_path, HEADER + "".join(log()), split="{by: user_time, time: when, user: who}")
    for user in (b"a", b"b"):
        films = {s: [int(r["film"][0]) for r in rows[s] if r["who"] == [user]] for s in rows}
        assert max(films["train"]) < min(films["validation"]) < max(films["validation"]) < min(films["test"])


def test_test_from_and_hash_divide_the_rest(tmp_path):
    rows, summary, _ = ingest(
        tmp_path, HEADER + "".join(log(400)),
        split="{by: time, time: when, test_from: 300, fractions: {train: .6, validation: .3, test: .1}}")
    assert min(int(r["film"][0]) for r in rows["test"]) == 301  # 300 is a dropped 3
    assert max(int(r["film"][0]) for r in rows["train"]) < 300
    assert summary["rows"]["train"] > summary["rows"]["validation"] > 40


def test_malformed_rows_are_kept_aside_with_line_and_reason(tmp_path):
    bad = ["a,1,t\n", "a,1,t,soso,5\n", "a,1,t,,5\n"]
    rows, summary, rejected = ingest(
        tmp_path, HEADER + "".join(bad) + "".join(log(400)), max_rejected_share=0.01)
    assert summary["rejected"] == 3 and sum(summary["rows"].values()) == 400 - 57
    lines = sorted((json.loads(line) for line in rejected.read_text().splitlines()), key=lambda r: r["line"])
    assert [r["line"] for r in lines] == [2, 3, 4]
    assert all(r["file"].endswith("toy.csv") for r in lines)
    assert "columns" in lines[0]["reason"]
    assert lines[1]["reason"] == "label column 'stars' is 'soso', not a number"
    assert lines[2]["reason"] == "label column 'stars' is missing"


def test_too_many_malformed_rows_stop_the_run_and_are_not_lost(tmp_path):
    with pytest.raises(UserError) as error:
        ingest(tmp_path, HEADER + "a,1,t,soso,5\n" * 5 + "".join(log()))
    assert "5 of 105 rows are malformed" in str(error.value)
    assert "toy.csv:2: label column 'stars' is 'soso', not a number" in str(error.value)
    assert len((tmp_path / "kept" / "rejected.jsonl").read_text().splitlines()) == 5


def test_a_split_of_one_class_stops_the_run(tmp_path):
    with pytest.raises(UserError, match="one class only"):
        ingest(tmp_path, HEADER + "".join(f"a,{i},t,5,{i}\n" for i in range(50)))


def test_a_log_of_which_nothing_is_left_says_so(tmp_path):
    with pytest.raises(UserError, match="No row is left: 20 read, 20 dropped by the label rule, 0 rejected"):
        ingest(tmp_path, HEADER + "".join(f"a,{i},t,3,{i}\n" for i in range(20)))


def test_the_result_does_not_depend_on_the_order_of_the_log(tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir(), second.mkdir()
    a, _, _ = ingest(first, HEADER + "".join(log()))
    b, _, _ = ingest(second, HEADER + "".join(reversed(log())))
    for split in a:
        assert sorted(str(sorted(r.items())) for r in a[split]) == sorted(str(sorted(r.items())) for r in b[split])


@pytest.mark.parametrize("split", ["{by: time, time: when}", "{by: user_time, time: when, user: who}"])
def test_two_ingestions_write_the_same_rows_in_the_same_order(tmp_path, split):
    written = []
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
        ingest(tmp_path / name, HEADER + "".join(log()), split=split)
        files = sorted((tmp_path / name / "examples").rglob("*.gz"))
        written.append([(f.relative_to(tmp_path / name), gzip.decompress(f.read_bytes())) for f in files])
    assert written[0] == written[1]
    assert len(written[0]) > 3


def test_a_log_that_is_cut_gives_the_same_rows_and_the_lines_of_the_file(tmp_path, monkeypatch):
    text = HEADER + "".join(log(150)) + "a,1,t,soso,5\n" + "".join(log(150))
    results = []
    for name, size in (("whole", 1 << 20), ("cut", 400)):
        monkeypatch.setattr(ingestion, "file_ranges", functools.partial(file_ranges, size=size, window=50))
        (tmp_path / name).mkdir()
        rows, summary, rejected = ingest(
            tmp_path / name, text, split="{by: hash}", max_rejected_share=0.1, histories=False)
        (row,) = map(json.loads, rejected.read_text().splitlines())
        results.append(({s: sorted(str(sorted(r.items())) for r in rows[s]) for s in rows}, summary, row["line"]))
        names = [f.name for f in (tmp_path / name / "examples" / "Split-train").iterdir()]
        # In the order of the names, every part of the log comes once before one comes again.
        parts = {n.split("-", 2)[2] for n in names}
        assert len(parts) == (1 if name == "whole" else 12)
    assert results[0] == results[1]
    assert results[0][2] == 152
