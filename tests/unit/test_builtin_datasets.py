"""Tests of the built-in specifications and of the generated sample."""

import csv
import hashlib
import io
import itertools
import operator
import os
import subprocess
import sys

import pytest

from components.example_gen.readers import Row, list_files, read_rows
from models.sentence_writer import SentenceWriter
from models.spec.errors import UserError
from pipeline import datasets
from pipeline.datasets.sample_log import COLUMNS, sample_csv, write_sample

NAMES = ["sample", "amazon-fashion", "movielens-100k", "movielens-1m", "taobao-ads"]
SHA256 = "b7369aa988445cf8c45705c5d6f57d6017b451c1088b826d5fc34d221bbfadab"


@pytest.fixture(scope="module")
def log():
    return list(csv.DictReader(io.StringIO(sample_csv())))


def test_names():
    assert datasets.names() == NAMES


def test_specifications_are_found_without_tensorflow():
    code = "import sys; from pipeline import datasets; [datasets.load(n) for n in datasets.names()]; " \
           "sys.exit(any(m in sys.modules for m in ('tensorflow', 'numpy', 'tfx')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_specification_loads_and_is_named_like_its_file(name):
    spec = datasets.load(name)
    assert spec.name == name and spec.description
    assert spec.split.by == "time" and spec.text_sides


@pytest.mark.parametrize("name", ["movielens-100k", "movielens-1m"])
def test_movielens_follows_the_protocol(name):
    spec = datasets.load(name)
    assert [spec.label(r) for r in (1.0, 2.0, 3.0, 4.0, 5.0)] == [0, 0, None, 1, 1]
    liked = spec.feature("liked")
    assert liked.derive.where == "positive" and liked.history_text == "liked_text" and liked.of == "movie_id"


def test_amazon_and_taobao_follow_the_protocol():
    amazon = datasets.load("amazon-fashion")
    assert [amazon.label(r) for r in (1.0, 3.0, 4.0)] == [0, 0, 1]
    taobao = datasets.load("taobao-ads")
    # 13 May 2017 00:00 in Shanghai.
    assert taobao.split.test_from == 1494604800
    assert taobao.split.fractions["train"] / taobao.split.fractions["validation"] == pytest.approx(9)


def test_sentences_read_like_the_papers():
    writer = SentenceWriter(datasets.load("movielens-1m"))
    row = {"gender": ["F"], "age": ["1"], "occupation": ["6"], "user_id": ["1"],
           "liked": ["1721", "9"], "liked_text": ["Titanic", "Avatar"],
           "title": ["The Terminator"], "year": ["1984"], "genres": ["Action", "Sci-Fi"]}
    assert writer.row(row) == (
        "This is a user, gender is female, age is under 18, occupation is doctor or health care worker, "
        "who has recently liked Titanic|Avatar. "
        "This is a movie, title is The Terminator, year is 1984, genre is Action|Sci-Fi.")


def test_unknown_name_lists_the_names():
    with pytest.raises(UserError, match="sample, amazon-fashion.*Did you mean 'movielens-1m'"):
        datasets.load("movielens1m")


def test_own_file_is_loaded_and_looked_up_in_data_dir(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nsource: {format: csv, path: logs/*.csv}\nlabel: {column: y}\n"
                    "features: [{name: u, side: user, kind: categorical}]\n")
    (tmp_path / "data/logs").mkdir(parents=True)
    (tmp_path / "data/logs/a.csv").write_text("u,y\n")
    spec = datasets.load(path)
    assert spec.source.path == str(tmp_path / "logs/*.csv")
    assert list_files(spec, str(tmp_path / "data")) == [str(tmp_path / "data/logs/a.csv")]
    with pytest.raises(UserError, match="absent.yaml: cannot be read"):
        datasets.load(tmp_path / "absent.yaml")


def test_materialise_writes_the_sample_once(tmp_path):
    spec = datasets.materialise(datasets.load("sample"), tmp_path / "root")
    assert spec.source.path == str(tmp_path / "root/sample.csv")
    os.utime(spec.source.path, (1, 1))
    datasets.materialise(datasets.load("sample"), tmp_path / "root")
    assert os.stat(spec.source.path).st_mtime == 1
    assert os.listdir(tmp_path / "root") == ["sample.csv"]
    rows = list(read_rows(spec, list_files(spec)[0]))
    assert len(rows) == 20_000 and all(isinstance(row, Row) for row in rows)


def test_materialise_leaves_other_datasets_alone(tmp_path):
    spec = datasets.load("movielens-1m")
    assert datasets.materialise(spec, tmp_path) is spec
    assert not list(tmp_path.iterdir())


def test_sample_is_the_same_everywhere(tmp_path):
    write_sample(tmp_path / "sample.csv")
    assert hashlib.sha256((tmp_path / "sample.csv").read_bytes()).hexdigest() == SHA256


def test_sample_has_the_promised_shape(log):
    assert len(log) == 20_000 and tuple(log[0]) == COLUMNS
    assert 0.25 <= sum(row["clicked"] == "1" for row in log) / len(log) <= 0.30
    assert len({row["user_id"] for row in log}) == 600
    assert len({row["item_id"] for row in log}) == len({row["title"] for row in log}) == 400
    for column in ("city", "price"):
        assert 0.015 < sum(row[column] == "" for row in log) / len(log) < 0.025
    times = [int(row["timestamp"]) for row in log]
    assert times == sorted(times) and 13 < (times[-1] - times[0]) / 86_400 <= 14


def test_sample_history_holds_earlier_clicks_only(log):
    user_id = operator.itemgetter("user_id")
    for user, rows in itertools.groupby(sorted(log, key=user_id), key=user_id):
        clicked = []
        for row in rows:
            assert row["recent_titles"] == "|".join(clicked[-10:]), user
            clicked += [row["title"]] if row["clicked"] == "1" else []


def test_sample_has_few_texts_to_encode_and_new_items_at_the_end(log):
    spec = datasets.load("sample")
    writer = SentenceWriter(spec)
    values = [{f.name: [row[f.column or f.name]] if row[f.column or f.name] else [] for f in spec.features
               if f.kind != "history"} for row in log]
    texts = {side: {writer.side(side, v, with_history=False) for v in values} for side in spec.text_sides}
    assert len(texts["user"]) <= 200 and len(texts["context"]) < 60
    late = int(log[-1]["timestamp"]) - 3 * 86_400 - 3600
    early = {row["item_id"] for row in log if int(row["timestamp"]) < late}
    assert 1 <= len({row["item_id"] for row in log} - early) <= 10
