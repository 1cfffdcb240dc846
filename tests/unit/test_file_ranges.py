import csv
import io
import random

import pyarrow as pa
import pytest
from pyarrow import parquet

from components.example_gen import readers
from components.example_gen.file_range import FileRange
from components.example_gen.file_ranges import file_ranges
from models.spec.dataset_spec import DatasetSpec
from models.spec.source import Source

CSV = Source(format="csv", path="x")
SPEC = """
name: toy
source: {{format: {format}, path: log.{format}}}
label: {{column: clicked}}
features:
- {{name: user, side: user, kind: categorical}}
- {{name: words, side: item, kind: categorical}}
"""


def specification(folder, format="csv") -> DatasetSpec:
    (folder / "toy.yaml").write_text(SPEC.format(format=format))
    return DatasetSpec.load(folder / "toy.yaml")


def cut(path, size, window, source=CSV):
    return list(file_ranges(source, str(path), size, window))


def write(path, rows, terminator="\n"):
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=terminator)
    writer.writerows([("user", "words", "clicked"), *rows])
    path.write_bytes(out.getvalue().encode())


def read(spec, parts):
    """Values and lines, counted from the file's start."""
    values, before = [], 0
    for part in parts:
        rows = readers.read_range(spec, part)
        while True:
            try:
                row = next(rows)
            except StopIteration as end:
                before += end.value
                break
            values.append((getattr(row, "values", None) or row.reason, row.line + before))
    return values


def test_a_small_file_is_one_range(tmp_path):
    write(tmp_path / "log.csv", [("a", "b", 1)])
    assert list(file_ranges(CSV, str(tmp_path / "log.csv"))) == [FileRange(str(tmp_path / "log.csv"))]


def test_ranges_begin_after_a_window_of_whole_lines(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"user,words,clicked\n" + b"u,w,1\n" * 20)
    # Line ends at 19 + 6 n. After 50 the first is 55 (n = 6), and ten bytes of lines later 67.
    assert [(p.start, p.stop) for p in cut(path, 50, 10)] == [(0, 67), (67, 115), (115, None)]


@pytest.mark.parametrize("terminator", ["\n", "\r\n"])
def test_every_row_is_read_once_with_its_line(tmp_path, terminator):
    path = tmp_path / "log.csv"
    write(path, [(f"u{i}", "w" * (i % 7), i % 2) for i in range(500)], terminator)
    path.write_bytes(path.read_bytes().replace(b"u77,", b"u77,,,"))
    parts = cut(path, 500, 100)
    assert len(parts) > 5
    spec = specification(tmp_path)
    assert read(spec, parts) == read(spec, [FileRange(str(path))])


def test_a_line_break_in_quotes_is_no_cut(tmp_path):
    """Rows of one to nine lines, at random: no cut is inside one."""
    path, rng = tmp_path / "log.csv", random.Random(1)
    rows = [(f"u{i}", "\n".join("word" for _ in range(rng.choice([1] * 40 + [9]))), 1) for i in range(3000)]
    write(path, rows)
    parts = cut(path, 2000, 150)
    assert len(parts) > 10
    spec = specification(tmp_path)
    whole = read(spec, [FileRange(str(path))])
    assert read(spec, parts) == whole
    assert [values["words"] for values, _ in whole] == [words for _, words, _ in rows]


def test_where_every_row_has_a_line_break_nothing_is_cut(tmp_path):
    path = tmp_path / "log.csv"
    write(path, [(f"u{i}", "two\nlines", 1) for i in range(1000)])
    assert cut(path, 1000, 100) == [FileRange(str(path))]


def test_a_quote_that_is_not_closed_does_not_stop_the_cutting(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,words,clicked\n" + 'u,"w,1\n' + "u,w,1\n" * 200)
    parts = cut(path, 300, 50)
    assert len(parts) >= 4
    spec = specification(tmp_path)
    assert read(spec, parts) == read(spec, [FileRange(str(path))])


@pytest.mark.parametrize(("name", "source"), [
    ("log.csv.gz", CSV), ("log.csv", Source(format="csv", path="x", encoding="utf-16")),
    ("log.tfrecord", Source(format="tfrecord", path="x"))])
def test_what_cannot_be_cut_is_one_range(tmp_path, name, source):
    (tmp_path / name).write_bytes(b"a\n" * 5000)
    assert cut(tmp_path / name, 1000, 10, source) == [FileRange(str(tmp_path / name))]


def test_files_without_a_header_line(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("".join(f"u{i},w,1\n" for i in range(200)))
    spec = specification(tmp_path)
    source = spec.source.model_copy(update={"columns": ("user", "words", "clicked")})
    spec = spec.model_copy(update={"source": source})
    parts = cut(path, 300, 50, source)
    assert len(parts) > 3
    assert read(spec, parts) == read(spec, [FileRange(str(path))])


def test_parquet_is_cut_by_row_groups(tmp_path):
    path = tmp_path / "log.parquet"
    table = pa.table({"user": [f"u{i}" for i in range(100)], "words": ["w"] * 100, "clicked": [1] * 100})
    parquet.write_table(table, path, row_group_size=10)
    source = Source(format="parquet", path="x")
    assert [(p.start, p.stop) for p in cut(path, 1, 0, source)] == [*((i, i + 1) for i in range(9)), (9, None)]
    assert cut(path, 1 << 20, 0, source) == [FileRange(str(path))]
    spec = specification(tmp_path, "parquet")
    assert read(spec, cut(path, 300, 0, source)) == read(spec, [FileRange(str(path))])
