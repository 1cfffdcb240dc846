"""Tests of the tensorflow-datasets builders, on invented files in the official formats."""

import gzip
import pathlib
import shutil
import tarfile
import zipfile

import pytest
import requests

from components.example_gen.builders.amazon_fashion_reviews import AmazonFashionReviews, amazon_rows
from components.example_gen.builders.movielens_ratings import MovielensRatings, movielens_rows
from components.example_gen.builders.prepare import prepare, shards
from components.example_gen.builders.taobao_display_ads import TaobaoDisplayAds, taobao_rows
from components.example_gen.readers import Rejected, Row, list_files, read_rows
from components.example_gen.tfds_reader import TfdsReader
from models.spec.errors import UserError
from pipeline import datasets

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def official(tmp_path):
    """Copies a fixture folder, so that a test may change it."""
    def copy(name):
        return pathlib.Path(shutil.copytree(FIXTURES / name, tmp_path / name))
    return copy


def movielens(folder, config):
    return list(movielens_rows(MovielensRatings.archive(config).find(str(folder)), config))


def amazon(folder):
    return list(amazon_rows(AmazonFashionReviews.archive(None).find(str(folder))))


def taobao(folder):
    return list(taobao_rows(TaobaoDisplayAds.archive(None).find(str(folder))))


def append(path, data: bytes):
    with open(path, "ab") as f:
        f.write(data)


def test_movielens_100k_joins_users_and_films():
    rows = movielens(FIXTURES / "ml-100k", "100k")
    assert rows[0] == Row({
        "user_id": "1", "age": "31", "gender": "F", "occupation": "baker", "zip_code": "10001",
        "movie_id": "1", "title": "Copper Moon", "year": "1991", "genres": "Action|Comedy",
        "rating": 5.0, "timestamp": 880000000,
    }, "u.data", 1)
    assert (rows[1].values["title"], rows[1].values["genres"]) == ("Le Café Bleu", "Drama")
    # A film without a year in its title.
    assert [rows[2].values[c] for c in ("title", "year", "genres")] == ["unknown", "", "unknown"]


def test_movielens_1m_keeps_the_codes():
    rows = movielens(FIXTURES / "ml-1m", "1m")
    assert rows[1] == Row({
        "user_id": "2", "gender": "M", "age": "56", "occupation": "16", "zip_code": "20002-1234",
        "movie_id": "2", "title": "Le Café Bleu", "year": "1989", "genres": "Drama",
        "rating": 2.0, "timestamp": 970000100,
    }, "ratings.dat", 2)


def test_movielens_rejects_malformed_lines_of_every_file(official):
    folder = official("ml-1m")
    append(folder / "ratings.dat", b"1::1::five::970000300\n1::1::5\n9::1::5::1\n1::9::5::1\n1::1::5::soon\n")
    append(folder / "users.dat", b"3::F::25\n")
    rejected = [r for r in movielens(folder, "1m") if isinstance(r, Rejected)]
    assert [(r.file, r.line, r.reason) for r in rejected] == [
        ("users.dat", 3, "has 3 fields, not 5"),
        ("ratings.dat", 4, "column 'rating' is 'five', not a number"),
        ("ratings.dat", 5, "has 3 fields, not 4"),
        ("ratings.dat", 6, "user '9' is not in users.dat"),
        ("ratings.dat", 7, "film '9' is not in movies.dat"),
        ("ratings.dat", 8, "column 'timestamp' is 'soon', not a number"),
    ]
    assert rejected[1].raw == "1::1::five::970000300"


def test_amazon_joins_articles():
    rows = amazon(FIXTURES / "amazon-fashion")
    assert rows[0] == Row({
        "reviewerID": "U1", "asin": "B01", "overall": 5.0, "unixReviewTime": 1413763200, "verified": "yes",
        "title": "Wool & Silk Scarf", "brand": "Tessaro", "price": 12.5,
        "feature": "Soft|Hand / machine wash",
    }, "AMAZON_FASHION.json", 1)
    # The middle of a price range.
    assert rows[1].values["price"] == pytest.approx(3.5)
    # What the crawl took for a title and a price is none.
    assert (rows[2].values["title"], rows[2].values["brand"], rows[2].values["price"]) == (None, None, None)
    # An article without metadata.
    assert (rows[3].values["asin"], rows[3].values["title"]) == ("B04", None)


def test_amazon_rejects_malformed_lines_of_both_files(official):
    folder = official("amazon-fashion")
    append(folder / "AMAZON_FASHION.json",
           b'{"asin": "B01", "overall"\n'
           b'{"asin": "B01", "reviewerID": "U1", "unixReviewTime": 1}\n'
           b'{"asin": "B01", "reviewerID": "U1", "overall": "many", "unixReviewTime": 1}\n'
           b'{"asin": "\xff"}\n'
           b'[1]\n')
    append(folder / "meta_AMAZON_FASHION.json", b'{"title": "no id"}\n')
    rejected = [r for r in amazon(folder) if isinstance(r, Rejected)]
    assert [(r.file, r.line, r.reason) for r in rejected] == [
        ("meta_AMAZON_FASHION.json", 5, "column 'asin' is missing"),
        ("AMAZON_FASHION.json", 5, "is not valid JSON: Expecting ':' delimiter at character 26"),
        ("AMAZON_FASHION.json", 6, "column 'overall' is missing"),
        ("AMAZON_FASHION.json", 7, "column 'overall' is 'many', not a number"),
        ("AMAZON_FASHION.json", 8, "is not valid utf-8 (byte 0xff at byte 11)"),
        ("AMAZON_FASHION.json", 9, "is list, not a JSON object"),
    ]


def test_taobao_joins_users_and_ads():
    rows = taobao(FIXTURES / "taobao-ads")
    assert rows[0] == Row({
        "user": "501", "time_stamp": 1494000000, "adgroup_id": "11", "pid": "430548_1007", "clk": 0,
        "cate_id": "6406", "campaign_id": "83237", "customer": "1", "brand": "95471", "price": 170.0,
        "cms_segid": "0", "cms_group_id": "5", "final_gender_code": "2", "age_level": "5",
        "pvalue_level": None, "shopping_level": "3", "occupation": "0", "new_user_class_level": "3",
    }, "raw_sample.csv", 2)
    assert rows[1].values["brand"] is None and rows[1].values["new_user_class_level"] is None
    # A user without a profile, an ad without attributes.
    assert rows[2].values["final_gender_code"] is None and rows[2].values["cate_id"] == "6406"
    assert rows[3].values["cate_id"] is None and rows[3].values["final_gender_code"] == "2"


def test_taobao_rejects_malformed_lines_of_every_file(official):
    folder = official("taobao-ads")
    append(folder / "raw_sample.csv",
           b"501,late,11,430548_1007,1,0\n501,1494000000,11\n,1494000000,11,430548_1007,1,0\n")
    append(folder / "ad_feature.csv", b"14,1,1,1,1,cheap\n")
    append(folder / "user_profile.csv", b"504,1\n")
    rejected = [r for r in taobao(folder) if isinstance(r, Rejected)]
    assert [(r.file, r.line, r.reason) for r in rejected] == [
        ("ad_feature.csv", 4, "column 'price' is 'cheap', not a number"),
        ("user_profile.csv", 4, "has 2 columns, the header has 9"),
        ("raw_sample.csv", 6, "column 'time_stamp' is 'late', not a number"),
        ("raw_sample.csv", 7, "has 3 columns, the header has 6"),
        ("raw_sample.csv", 8, "column 'user' is missing"),
    ]


def test_archives_are_read_as_downloaded(tmp_path):
    with zipfile.ZipFile(tmp_path / "ml-1m.zip", "w") as archive:
        for file in (FIXTURES / "ml-1m").iterdir():
            archive.write(file, f"ml-1m/{file.name}")
    assert movielens(tmp_path, "1m") == movielens(FIXTURES / "ml-1m", "1m")
    for file in (FIXTURES / "amazon-fashion").iterdir():
        (tmp_path / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    assert amazon(tmp_path) == amazon(FIXTURES / "amazon-fashion")
    for file in (FIXTURES / "taobao-ads").iterdir():
        with tarfile.open(tmp_path / f"{file.name}.tar.gz", "w:gz") as archive:
            archive.add(file, file.name)
    assert taobao(tmp_path) == taobao(FIXTURES / "taobao-ads")


def test_folder_of_the_archive_may_be_one_level_down(official):
    folder = official("ml-100k")
    assert movielens(folder.parent, "100k") == movielens(folder, "100k")


def test_missing_files_are_named_with_their_source(official):
    folder = official("ml-1m")
    (folder / "users.dat").unlink()
    with pytest.raises(UserError, match="lacks users.dat; .*files.grouplens.org/.*ml-1m.zip.*--data-dir"):
        prepare("movielens_ratings/1m", str(folder), str(folder / "cache"))


def test_damaged_archive_is_named(official, tmp_path):
    folder = official("amazon-fashion")
    path = folder / "AMAZON_FASHION.json"
    path.with_name("AMAZON_FASHION.json.gz").write_bytes(gzip.compress(path.read_bytes())[:-20])
    path.unlink()
    with pytest.raises(UserError, match="AMAZON_FASHION.json.gz: is damaged"):
        prepare("amazon_fashion_reviews", str(folder), str(tmp_path / "cache"))


def test_without_internet_the_error_says_what_to_get(tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise requests.ConnectionError("no route")
    monkeypatch.setattr(requests, "head", offline)
    with pytest.raises(UserError, match="1M cannot be downloaded.*ratings.dat.*ml-1m.zip.*--data-dir"):
        prepare("movielens_ratings/1m", cache_dir=str(tmp_path))
    with pytest.raises(UserError, match="an account is needed.*tianchi.*--data-dir"):
        prepare("taobao_display_ads", cache_dir=str(tmp_path))


@pytest.mark.parametrize("name,message", [
    ("movielens_ratingz", "did you mean 'movielens_ratings'"),
    ("movielens_ratings/5m", "no config '5m'; there are: 100k, 1m"),
])
def test_unknown_builder_names_a_similar_one(tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        prepare(name, cache_dir=str(tmp_path))


@pytest.mark.parametrize("dataset,folder,rows", [
    ("movielens-100k", "ml-100k", 4), ("movielens-1m", "ml-1m", 3),
    ("amazon-fashion", "amazon-fashion", 4), ("taobao-ads", "taobao-ads", 4),
])
def test_built_in_specification_reads_what_its_builder_prepares(tmp_path, dataset, folder, rows, capfd):
    spec = datasets.load(dataset)
    files = list_files(spec, str(FIXTURES / folder), str(tmp_path))
    read = [row for file in files for row in read_rows(spec, file)]
    assert len(read) == rows and all(isinstance(row, Row) for row in read)
    assert all(tuple(row.values) == spec.columns for row in read)
    assert capfd.readouterr().out == ""


def test_prepared_rows_keep_missing_values_place_and_rejections(official, tmp_path):
    folder = official("taobao-ads")
    append(folder / "raw_sample.csv", b"501,late,11,430548_1007,1,0\n")
    spec = datasets.load("taobao-ads")
    [file] = list_files(spec, str(folder), str(tmp_path / "cache"))
    read = sorted(read_rows(spec, file), key=lambda row: row.line)
    assert [(type(r), r.file, r.line) for r in read] == [
        *((Row, "raw_sample.csv", line) for line in (2, 3, 4, 5)), (Rejected, "raw_sample.csv", 6)]
    assert read[0].values["price"] == 170.0 and read[0].values["clk"] == 0
    assert read[0].values["pvalue_level"] is None and read[3].values["price"] is None
    assert read[4].reason == "column 'time_stamp' is 'late', not a number"
    assert read[4].raw == "501,late,11,430548_1007,0"


def test_prepared_once_and_again_when_the_official_files_change(official, tmp_path):
    folder, cache = official("ml-1m"), str(tmp_path / "cache")
    first = prepare("movielens_ratings/1m", str(folder), cache)
    [shard] = shards(first, "train")
    written = pathlib.Path(shard).stat().st_mtime_ns
    assert shards(prepare("movielens_ratings/1m", str(folder), cache), "train") == [shard]
    assert pathlib.Path(shard).stat().st_mtime_ns == written
    append(folder / "ratings.dat", b"1::2::1::970000400\n")
    assert prepare("movielens_ratings/1m", str(folder), cache).info.splits["train"].num_examples == 4
    with pytest.raises(UserError, match="has no split 'test'; there are: train"):
        shards(first, "test")


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_any_other_builder_is_read_alike(tmp_path, file_format):
    import numpy as np
    import tensorflow_datasets as tfds

    class ToyClicks(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({
                "user": {"id": tfds.features.Text(), "member": np.bool_},
                "kind": tfds.features.ClassLabel(names=["shoe", "hat"]),
                "tags": tfds.features.Sequence(tfds.features.ClassLabel(names=["new", "sale"])),
                "price": np.float32,
                "photo": tfds.features.Image(shape=(None, None, 3)),
            }))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            photo = np.zeros((1, 1, 3), np.uint8)
            yield 0, {"user": {"id": "u1", "member": True}, "kind": "hat", "tags": ["sale", "new"],
                      "price": 2.5, "photo": photo}
            yield 1, {"user": {"id": "u2", "member": False}, "kind": "shoe", "tags": [],
                      "price": 1.0, "photo": photo}

    tfds.disable_progress_bar()
    builder = ToyClicks(data_dir=str(tmp_path), file_format=file_format)
    builder.download_and_prepare()
    # The class is not registered: what counts is what was prepared.
    [file] = shards(prepare("toy_clicks", cache_dir=str(tmp_path)), "train")
    rows = list(TfdsReader(["user/id", "user/member", "kind", "tags", "price"]).read(file))
    assert sorted(tuple(r.values.values()) for r in rows) == [
        ("u1", True, "hat", ["sale", "new"], 2.5), ("u2", False, "shoe", [], 1.0)]
    assert [(r.file, r.line) for r in rows] == [(file, 1), (file, 2)]
    with pytest.raises(UserError, match="no column 'photo'. Its columns: kind, price, tags, user/id, "):
        list(TfdsReader(["photo"]).read(file))


def test_damaged_shard_is_named(tmp_path):
    spec = datasets.load("movielens-1m")
    [file] = list_files(spec, str(FIXTURES / "ml-1m"), str(tmp_path))
    path = pathlib.Path(file)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="movielens_ratings-train.*damaged"):
        list(read_rows(spec, file))
