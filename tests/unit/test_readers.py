"""Tests of the readers: what a row is, what is rejected and why, what stops the run."""

import gzip
import itertools
import os

import pyarrow as pa
import pytest
from pyarrow import parquet

from components.example_gen.readers import Rejected, Row, fingerprint, list_files, read_rows
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError


def make_spec(path, **source):
    """A specification that reads the columns clicked, user and title."""
    return DatasetSpec.model_validate({
        "name": "toy",
        "source": {"format": "csv", "path": str(path), **source},
        "label": {"column": "clicked"},
        "features": [
            {"name": "user", "side": "user", "kind": "categorical"},
            {"name": "title", "side": "item", "kind": "categorical"},
        ],
    })


def read_csv(tmp_path, data: bytes, name="log.csv", **source):
    path = tmp_path / name
    path.write_bytes(data)
    return list(read_rows(make_spec(path, **source), str(path)))


def values(rows):
    return [tuple(r.values.values()) if isinstance(r, Row) else r.reason for r in rows]


def test_csv_yields_the_wanted_columns_as_they_stand(tmp_path):
    rows = read_csv(tmp_path, b"user,noise,title,clicked\nu1,x, A ,1\n\nu2,x,,0\n")
    assert rows == [
        Row({"clicked": "1", "user": "u1", "title": " A "}, str(tmp_path / "log.csv"), 2),
        Row({"clicked": "0", "user": "u2", "title": ""}, str(tmp_path / "log.csv"), 4),
    ]


def test_csv_wrong_column_count_is_rejected_and_reading_goes_on(tmp_path):
    rows = read_csv(tmp_path, b"user,title,clicked\nu1,A\nu2,B,0,more\nu3,C,1\n")
    assert rows[0] == Rejected(str(tmp_path / "log.csv"), 2, "has 2 columns, the header has 3", "u1,A")
    assert rows[1].reason == "has 4 columns, the header has 3"
    assert rows[2].values["user"] == "u3" and rows[2].line == 4


def test_csv_undecodable_line_is_rejected_and_reading_goes_on(tmp_path):
    rows = read_csv(tmp_path, b"user,title,clicked\nu1,ab\xff,1\nu2,caf\xc3\xa9,0\n")
    assert rows[0].reason == "column 'title' is not valid utf-8 (byte 0xff at character 3)"
    assert rows[0].raw == "u1,ab\\xff,1"
    assert rows[1].values["title"] == "café"


def test_csv_lines_count_newlines_in_quotes(tmp_path):
    rows = read_csv(tmp_path, b'user,title,clicked\r\nu1,"two\r\nlines",1\r\nu2,B,0\r\n')
    assert [(r.line, r.values["title"]) for r in rows] == [(2, "two\r\nlines"), (4, "B")]


def test_csv_unclosed_quote_costs_its_own_line_only(tmp_path):
    rows = read_csv(tmp_path, b'user,title,clicked\nu1,"A,1\nu2,B,0\nu3,"C",1\nu4,D,0\n')
    assert [(r.line, type(r)) for r in rows] == [(2, Rejected), (3, Row), (4, Row), (5, Row)]
    assert rows[0].raw == 'u1,"A,1' and "not closed" in rows[0].reason


def test_csv_unclosed_quote_on_the_last_line_is_rejected(tmp_path):
    rows = read_csv(tmp_path, b'user,title,clicked\nu1,A,1\nu2,"B,0')
    assert isinstance(rows[0], Row) and isinstance(rows[1], Rejected)
    assert rows[1].line == 3


def test_csv_value_longer_than_the_parser_allows_is_rejected(tmp_path):
    rows = read_csv(tmp_path, b"user,title,clicked\nu1," + b"x" * 200_000 + b",1\nu2,B,0\n")
    assert "field larger than field limit" in rows[0].reason
    assert rows[1].values["user"] == "u2" and rows[1].line == 3


@pytest.mark.parametrize("encoding,data", [
    ("utf-8", "\ufeffuser,title,clicked\nu1,é,1\n".encode()),
    ("latin-1", "user,title,clicked\nu1,é,1\n".encode("latin-1")),
    ("utf-16", "user,title,clicked\nu1,é,1\n".encode("utf-16")),
])
def test_csv_encodings_and_byte_order_mark(tmp_path, encoding, data):
    assert values(read_csv(tmp_path, data, encoding=encoding)) == [("1", "u1", "é")]


def test_csv_delimiter_gzip_and_file_without_header(tmp_path):
    data = gzip.compress(b"u1;A;1\nu2;B;0\n", mtime=0)
    rows = read_csv(tmp_path, data, "log.csv.gz", delimiter=";", columns=["user", "title", "clicked"])
    assert values(rows) == [("1", "u1", "A"), ("0", "u2", "B")]
    assert [r.line for r in rows] == [1, 2]


@pytest.mark.parametrize("name,data,message", [
    ("log.csv", b"user,titel,clicked\nu,A,1\n",
     "no column 'title'; did you mean 'titel'\\? Its columns: user, titel"),
    ("log.csv", b"user,title,title,clicked\nu,A,A,1\n", "the column 'title' stands 2 times"),
    ("log.csv", b"user,title,clicked\xff\nu,A,1\n", "the header line column 'clicked.*is not valid utf-8"),
    ("log.csv", b"\n\n", "has no header line"),
    ("log.csv.gz", gzip.compress(b"user,title,clicked\nu,A,1\n" * 99, mtime=0)[:-9], "is damaged gzip data"),
    ("log.csv.gz", b"user,title,clicked\nu,A,1\n", "is damaged gzip data"),
])
def test_csv_that_cannot_be_read_names_the_file(tmp_path, name, data, message):
    with pytest.raises(UserError, match=f"{name}.*{message}"):
        read_csv(tmp_path, data, name)


def test_csv_is_streamed(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"user,title,clicked\nu1,A,1\n" + b"u2,B\n" * 100_000)
    rows = read_rows(make_spec(path), str(path))
    assert next(rows).values["user"] == "u1"
    # A pipe that is never closed would hang a reader that waits for the end.
    os.mkfifo(tmp_path / "pipe.csv")
    writer = os.open(tmp_path / "pipe.csv", os.O_RDWR)
    os.write(writer, b"user,title,clicked\n" + b"u1,A,1\n" * 3000)
    rows = read_rows(make_spec(path), str(tmp_path / "pipe.csv"))
    assert len(list(itertools.islice(rows, 5))) == 5
    os.close(writer)


def test_parquet_keeps_types_and_nulls(tmp_path):
    path = tmp_path / "log.parquet"
    table = pa.table(
        {"noise": [1, 2], "user": [7, None], "title": [["a", "b"], []], "clicked": [True, False]})
    parquet.write_table(table, path)
    rows = list(read_rows(make_spec(path, format="parquet"), str(path)))
    assert rows == [
        Row({"clicked": True, "user": 7, "title": ["a", "b"]}, str(path), 1),
        Row({"clicked": False, "user": None, "title": []}, str(path), 2),
    ]


def test_parquet_errors_name_the_file(tmp_path):
    path = tmp_path / "log.parquet"
    path.write_bytes(b"no parquet at all")
    with pytest.raises(UserError, match="log.parquet: cannot be read as Parquet"):
        list(read_rows(make_spec(path, format="parquet"), str(path)))
    parquet.write_table(pa.table({"usr": ["x"], "title": ["A"], "clicked": [1]}), path)
    with pytest.raises(UserError, match="no column 'user'; did you mean 'usr'"):
        list(read_rows(make_spec(path, format="parquet"), str(path)))


def _example(**features):
    import tensorflow as tf

    example = tf.train.Example()
    for name, entries in features.items():
        feature = example.features.feature[name]
        for entry in entries:
            lists = {bytes: feature.bytes_list, float: feature.float_list, int: feature.int64_list}
            lists[type(entry)].value.append(entry)
    return example.SerializeToString()


def _write_records(path, records, compression=None):
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)


@pytest.mark.parametrize("name,compression", [("log.tfrecord", None), ("log.tfrecord.gz", "GZIP")])
def test_tfrecord_decodes_values(tmp_path, name, compression):
    path = tmp_path / name
    _write_records(path, [
        _example(user=["é".encode()], title=[b"a", b"b"], clicked=[1], noise=[0.5]),
        b"\xff no example",
        _example(user=[], clicked=[0]),
        _example(user=[b"\xff"], clicked=[0]),
    ], compression)
    rows = list(read_rows(make_spec(path, format="tfrecord"), str(path)))
    assert values(rows) == [(1, "é", ["a", "b"]), "is no tf.train.Example", (0, None, None),
                            "is not valid utf-8 (byte 0xff)"]
    assert [r.line for r in rows] == [1, 2, 3, 4]


def test_tfrecord_errors_name_the_file(tmp_path):
    path = tmp_path / "log.tfrecord"
    _write_records(path, [_example(usr=[b"x"], title=[b"A"], clicked=[1])])
    with pytest.raises(UserError, match="log.tfrecord: there is no column 'user'; did you mean 'usr'"):
        list(read_rows(make_spec(path, format="tfrecord"), str(path)))
    path.write_bytes(b"this is no record file, whatever its name says")
    with pytest.raises(UserError, match="log.tfrecord: is no TFRecord file"):
        list(read_rows(make_spec(path, format="tfrecord"), str(path)))


def test_list_files_sorts_matches_and_looks_in_data_dir(tmp_path):
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).write_text("x\n")
    (tmp_path / "d.csv").mkdir()
    expected = [str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]
    assert list_files(make_spec(tmp_path / "*.csv")) == expected
    assert list_files(make_spec("/elsewhere/*.csv"), data_dir=str(tmp_path)) == expected
    assert list_files(make_spec("*.csv"), data_dir=str(tmp_path)) == expected


@pytest.mark.parametrize("written, file", [
    ("many/*.csv", "many/a.csv"), ("*.csv", "a.csv"), ("../logs/*.csv", "a.csv"), ("/logs/*.csv", "a.csv"),
    ("many/../*.csv", "a.csv"), ("./many/a.csv", "many/a.csv"),
])
def test_a_loaded_path_is_relative_to_the_data_dir(tmp_path, written, file):
    (tmp_path / "data/many").mkdir(parents=True)
    for name in ("a.csv", "many/a.csv"):
        (tmp_path / "data" / name).write_text("x\n")
    (tmp_path / "specs").mkdir()
    # The same files beside the specification must not be taken.
    (tmp_path / "specs/many").mkdir()
    (tmp_path / "specs/many/a.csv").write_text("x\n")
    (tmp_path / "specs/my.yaml").write_text(
        f"name: my\nsource: {{format: csv, path: \"{written}\"}}\nlabel: {{column: y}}\n"
        "features: [{name: u, side: user, kind: categorical}]\n")
    spec = DatasetSpec.load(tmp_path / "specs/my.yaml")
    assert list_files(spec, data_dir=str(tmp_path / "data")) == [str(tmp_path / "data" / file)]


def test_an_absolute_path_inside_the_data_dir_stays(tmp_path):
    (tmp_path / "many").mkdir()
    (tmp_path / "many/a.csv").write_text("x\n")
    spec = make_spec(tmp_path / "many/*.csv")
    assert list_files(spec, data_dir=str(tmp_path)) == [str(tmp_path / "many/a.csv")]


def test_list_files_takes_an_existing_path_as_it_stands(tmp_path):
    path = tmp_path / "log[1].csv"
    path.write_text("x\n")
    assert list_files(make_spec(path)) == [str(path)]


@pytest.mark.parametrize("pattern,message", [
    ("*.tsv", "no file matches .*there are: empty.csv, log.csv"),
    ("nowhere/*.csv", "there is no folder"),
    ("empty.csv", "empty.csv: is empty"),
    (".", "is a folder; name its files"),
])
def test_list_files_says_what_is_wrong(tmp_path, pattern, message):
    (tmp_path / "log.csv").write_text("x\n")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(UserError, match=message):
        list_files(make_spec(tmp_path / pattern))


def test_list_files_names_a_data_dir_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="--data-dir .*nowhere: is no folder"):
        list_files(make_spec("*.csv"), data_dir=str(tmp_path / "nowhere"))


def test_fingerprint_changes_with_size_time_and_name(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("x\n")
    os.utime(path, (1, 1))
    first = fingerprint([str(path)])
    assert fingerprint([str(path)]) == first
    os.utime(path, (2, 2))
    touched = fingerprint([str(path)])
    path.write_text("xy\n")
    os.utime(path, (2, 2))
    assert len({first, touched, fingerprint([str(path)]), fingerprint([str(path)] * 2)}) == 4
