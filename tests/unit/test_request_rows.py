"""Rows of a caller's file, and the Examples that are made of them."""

import pytest
import tensorflow as tf

from models import raw_example
from models.spec.errors import UserError
from serving.client import PredictClient
from serving.file_requests import predict_file
from serving.rows import read_rows, to_example
from tests.unit import served_model

SPEC = served_model.SPEC


def test_a_row_becomes_the_example_that_ingestion_writes():
    row = {
        "reader_id": 7.0,
        "age": " 31 ",
        "lately": ["b1", "", "b2", "b3"],
        "book": "ünï",
        "topics": "sea| war |air",
        "cover": "red",
        "clicked": 1,
        "when": "2020-01-01",
    }
    assert raw_example.decode(to_example(SPEC, row)) == {
        # Neither cover (the model does not read it) nor label and time.
        # The newest of the history, the first of the set.
        "reader": [b"7"],
        "age": [31.0],
        "lately": [b"b2", b"b3"],
        "book": ["ünï".encode()],
        "topics": [b"sea", b"war"],
    }


@pytest.mark.parametrize("row", [{}, {"age": None, "book": ""}, {"age": "nan", "topics": "||", "lately": []}])
def test_missing_values_have_no_value(row):
    assert not any(raw_example.decode(to_example(SPEC, row)).values())
    parsed = tf.io.parse_example([to_example(SPEC, row)], raw_example.feature_spec(SPEC))
    assert all(tensor.values.shape[0] == 0 for tensor in parsed.values())


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"age": "old"}, ["line 3", "'age'", "'old'", "not a number"]),
        ({"age": "inf"}, ["line 3", "'age'", "infinite"]),
        ({"age": {"years": 3}}, ["line 3", "'age'"]),
        ({"book": ["b1", "b2"]}, ["line 3", "'book'", "2 values"]),
        ({"reader": "7"}, ["line 3", "unknown column 'reader'", "reader_id"]),
        ({"book": "\ud800"}, ["line 3", "'book'", "Unicode"]),
        ({"foo": 1, "bar": 2}, ["line 3", "it has: foo, bar", "reads: reader_id, age, lately, book, topics"]),
        ({"book,cover": "b1,red"}, ["line 3", "it has: book,cover;"]),
        # The model reads neither the cover nor the label.
        ({"cover": "red", "clicked": 1}, ["line 3", "none of the columns"]),
    ],
)
def test_a_bad_row_names_row_and_column(row, words):
    with pytest.raises(UserError) as caught:
        to_example(SPEC, row, where="line 3")
    for word in words:
        assert word in str(caught.value)


def test_files_are_read_by_their_ending(tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text('\ufeffreader_id;book\n7;"a;b"\n\n8;c\n', encoding="utf-8")
    assert list(read_rows(table, SPEC)) == [
        (f"{table}, line 2", {"reader_id": "7", "book": "a;b"}),
        (f"{table}, line 4", {"reader_id": "8", "book": "c"}),
    ]
    lines = tmp_path / "rows.jsonl"
    lines.write_text('{"age": 3}\n\n{"age": null}\n', encoding="utf-8")
    assert list(read_rows(lines, SPEC)) == [
        (f"{lines}, line 1", {"age": 3}),
        (f"{lines}, line 3", {"age": None}),
    ]


def test_a_log_without_a_header_line(tmp_path):
    source = SPEC.source.model_copy(update={"columns": ("reader_id", "book", "clicked", "spare")})
    spec = SPEC.model_copy(update={"source": source})
    table = tmp_path / "rows.csv"
    for text in ("7;b1;1;x\n", "book;reader_id\nb1;7\n"):
        table.write_text(text, encoding="utf-8")
        ((_, row),) = read_rows(table, spec)
        assert raw_example.decode(to_example(spec, row))["reader"] == [b"7"]
        assert raw_example.decode(to_example(spec, row))["book"] == [b"b1"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.txt", b"", [".csv or .jsonl"]),
        ("absent.csv", None, ["cannot be read"]),
        ("rows.csv", b"age;book\n3\n", ["line 2", "1 columns instead of 2"]),
        ("rows.csv", b'age;book\n3;"x\n', ["line 2", "no valid CSV"]),
        ("rows.csv", b"age;book\n3;\xff\n", ["utf-8"]),
        ("rows.jsonl", b'{"age": 3}\n{"age": \n', ["line 2", "no valid JSON"]),
        ("rows.jsonl", b"[3]\n", ["line 1", "JSON object"]),
        ("rows.csv", b"age;book\n", ["no rows"]),
    ],
)
def test_a_bad_file_names_file_and_line(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with PredictClient("127.0.0.1:1") as client, pytest.raises(UserError) as caught:
        predict_file(client, tmp_path / name, SPEC)
    for word in (name, *words):
        assert word in str(caught.value)


def test_numbers_have_the_logs_decimal_sign():
    spec = SPEC.model_copy(update={"source": SPEC.source.model_copy(update={"decimal": ","})})
    assert raw_example.decode(to_example(spec, {"age": "3,5"}))["age"] == [3.5]
