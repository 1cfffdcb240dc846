"""A log that is not on a local disk, by a Beam file system of the test's own."""

import gzip
import os

import pyarrow as pa
import pytest
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem
from pyarrow import parquet

from components.example_gen.files import expand, fingerprint
from components.example_gen.readers import read_rows
from models.spec.errors import UserError
from tests.unit.test_readers import make_spec

SCHEME = "ctrltest"


class _Bucket(LocalFileSystem):
    """`ctrltest:///path` is the local `/path`."""

    @classmethod
    def scheme(cls):
        return SCHEME

    def open(self, path, *arguments, **options):
        return super().open(_local(path), *arguments, **options)

    def _list(self, folder):
        for found in super()._list(_local(folder)):
            yield FileMetadata(f"{SCHEME}://{found.path}", found.size_in_bytes, found.last_updated_in_seconds)

    def exists(self, path):
        return super().exists(_local(path))

    def metadata(self, path):
        found = super().metadata(_local(path))
        return FileMetadata(path, found.size_in_bytes, found.last_updated_in_seconds)


def _local(path):
    return path.removeprefix(f"{SCHEME}://")


def uri(path) -> str:
    return f"{SCHEME}://{path}"


def test_a_pattern_is_looked_up(tmp_path):
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).write_text("x")
    assert expand(uri(tmp_path / "*.csv")) == [uri(tmp_path / "a.csv"), uri(tmp_path / "b.csv")]


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_csv_is_read(tmp_path, name):
    data = b"user,title,clicked\nu1,A,1\n"
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    (row,) = read_rows(make_spec("x"), uri(tmp_path / name))
    assert row.values == {"clicked": "1", "user": "u1", "title": "A"} and row.file == uri(tmp_path / name)


def test_parquet_is_read(tmp_path):
    parquet.write_table(pa.table({"user": ["u1"], "title": ["A"], "clicked": [1]}), tmp_path / "log.parquet")
    (row,) = read_rows(make_spec("x", format="parquet"), uri(tmp_path / "log.parquet"))
    assert row.values == {"clicked": 1, "user": "u1", "title": "A"}


def test_the_fingerprint_changes_with_the_file(tmp_path):
    (tmp_path / "log.csv").write_text("one")
    files = [uri(tmp_path / "log.csv")]
    before = fingerprint(files)
    assert fingerprint(files) == before
    os.utime(tmp_path / "log.csv", (1, 1))
    assert fingerprint(files) != before


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "empty.csv").touch()
    for pattern, message in ((uri(tmp_path / "*.txt"), r"no file matches .*\*.txt"),
                             (uri(tmp_path / "empty.csv"), "empty.csv: is empty"),
                             ("nosuch://bucket/log.csv", "nosuch://bucket/log.csv: cannot be looked up: .*nosuch")):
        with pytest.raises(UserError, match=message):
            expand(pattern)
    with pytest.raises(UserError, match="gone.csv: cannot be read"):
        list(read_rows(make_spec("x"), uri(tmp_path / "gone.csv")))
