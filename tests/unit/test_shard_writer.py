import pytest
import tensorflow as tf

from components import shard_writer
from components.shard_writer import ShardWriter, shard_names


def files(folder) -> dict[str, list[bytes]]:
    return {str(f.relative_to(folder)): list(tf.data.TFRecordDataset(str(f), "GZIP").as_numpy_iterator())
            for f in sorted(folder.rglob("*.gz"))}


def test_rows_are_dealt_out_to_the_files_of_each_split(tmp_path):
    with ShardWriter(str(tmp_path), ["a.gz", "b.gz"]) as writer:
        for row in (b"1", b"2", b"3"):
            writer.write("train", row)
        writer.write("test", b"4")
    shard_writer.finish(str(tmp_path), ("train", "test"))
    assert files(tmp_path) == {
        "Split-test/a.gz": [b"4"], "Split-train/a.gz": [b"1", b"3"], "Split-train/b.gz": [b"2"]}
    assert sorted(f.name for f in tmp_path.iterdir()) == ["Split-test", "Split-train"]


def test_a_unit_that_is_done_again_replaces_its_files(tmp_path):
    for _ in range(2):
        with ShardWriter(str(tmp_path), ["a.gz"]) as writer:
            writer.write("train", b"1")
    assert files(tmp_path / "Split-train") == {"a.gz": [b"1"]}


def test_one_that_fails_leaves_no_file_that_is_read(tmp_path):
    with pytest.raises(RuntimeError), ShardWriter(str(tmp_path), ["a.gz"]) as writer:
        writer.write("train", b"1")
        raise RuntimeError
    assert not list(tmp_path.glob("Split-*"))
    shard_writer.finish(str(tmp_path), ())
    assert not list(tmp_path.iterdir())


def test_a_split_without_rows_has_a_file_without_rows(tmp_path):
    with ShardWriter(str(tmp_path), ["a.gz"]) as writer:
        writer.write("train", b"1")
    shard_writer.finish(str(tmp_path), ("train", "validation"))
    found = files(tmp_path)
    assert found.pop("Split-train/a.gz") == [b"1"]
    assert [(name.split("/")[0], rows) for name, rows in found.items()] == [("Split-validation", [])]


def test_in_the_order_of_names_each_unit_comes_once_before_one_comes_again():
    names = sorted([*shard_names("00000-00000", 2), *shard_names("00000-00001", 2)])
    assert [n.split("-", 2)[1:] for n in names] == [
        ["00", "00000-00000.gz"], ["00", "00000-00001.gz"], ["01", "00000-00000.gz"], ["01", "00000-00001.gz"]]
