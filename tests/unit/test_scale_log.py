import csv
import pathlib

import numpy as np

from benchmarks.scale.log import ITEMS, ScaleLog
from components.example_gen.row import Row
from components.example_gen.row_parser import Parsed, RowParser
from models.spec.dataset_spec import DatasetSpec

SPEC = pathlib.Path(__file__).parents[2] / "benchmarks" / "scale" / "dataset.yaml"


def rows(folder: pathlib.Path) -> list[dict]:
    found = []
    for path in sorted(folder.glob("*.csv")):
        with open(path, newline="") as file:
            found += csv.DictReader(file)
    return found


def test_it_has_the_rows_asked_for_in_the_order_of_time(tmp_path):
    files = list(ScaleLog(1003, rows_a_file=200).write(tmp_path))
    times = [int(row["timestamp"]) for row in rows(tmp_path)]
    assert [f.name for f in files] == [f"clicks-{i:05d}.csv" for i in range(6)]
    assert len(times) == 1003 and times == sorted(times)


def test_the_same_seed_gives_the_same_files_and_what_is_there_is_kept(tmp_path):
    for name in ("a", "b"):
        list(ScaleLog(400, seed=3).write(tmp_path / name))
    files = [[f.read_bytes() for f in sorted((tmp_path / name).iterdir())] for name in ("a", "b")]
    assert files[0] == files[1]
    first = tmp_path / "a" / "clicks-00000.csv"
    first.write_text("kept")
    (tmp_path / "a" / "clicks-00001.csv").unlink()
    list(ScaleLog(400, seed=3).write(tmp_path / "a"))
    assert first.read_text() == "kept"
    assert (tmp_path / "a" / "clicks-00001.csv").read_bytes() == files[0][1]


def test_ids_follow_zipf_s_law():
    """Of 20,000 items the first ten have the share H(10) / H(20,000) of the rows, which is 0.2796."""
    log = ScaleLog(200_000, rows_a_file=50_000)
    item = np.concatenate([log.table(number)["item_id"].to_numpy() for number in range(4)])
    counts = np.sort(np.unique(item, return_counts=True)[1])[::-1]
    share = sum(1 / k for k in range(1, 11)) / sum(1 / k for k in range(1, ITEMS + 1))
    assert abs(counts[:10].sum() / len(item) - share) < 0.005


def test_clicks_can_be_learnt_from_ids_and_attributes():
    """The click rate of an item in one half of the rows orders the other half better than chance."""
    log = ScaleLog(400_000, rows_a_file=200_000)
    halves = [log.table(number).to_pandas() for number in (0, 1)]
    for column in ("item_id", "category"):
        rate = halves[0].groupby(column)["clicked"].mean()
        scores = halves[1][column].map(rate).fillna(0.28)
        clicked = halves[1]["clicked"] == 1
        ranks = scores.rank()
        auc = (ranks[clicked].mean() - (clicked.sum() + 1) / 2) / (~clicked).sum()
        assert auc > 0.52, column


def test_the_specification_reads_every_row(tmp_path):
    list(ScaleLog(50).write(tmp_path))
    spec = DatasetSpec.load(SPEC)
    parser = RowParser(spec)
    parsed = [parser(Row({c: row[c] for c in spec.columns}, "log", 1)) for row in rows(tmp_path)]
    assert len(parsed) == 50 and all(isinstance(p, Parsed) for p in parsed)
    assert all(len(p.features["recent_items"]) == 5 for p in parsed)
