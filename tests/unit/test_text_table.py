import numpy as np
import pytest
import tensorflow as tf

from models import raw_example
from models.spec.errors import UserError
from models.text_table import TextTable


def write(folder, rows):
    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "data_tfrecord-00000-of-00001.gz"), "GZIP") as writer:
        for key, vector in rows:
            writer.write(raw_example.encode({"key": [key], "vector": vector}))


def test_reads_every_split_and_finds_vectors_by_key(tmp_path):
    write(tmp_path / "Split-item", [(7, [1.0, 2.0]), (-3, [3.0, 4.0]), (7, [9.0, 9.0])])
    write(tmp_path / "Split-context", [])
    tables = TextTable.load(str(tmp_path))

    item = tables["item"]
    assert item.keys.tolist() == [-3, 7]
    assert item.vectors.tolist() == [[0, 0], [3, 4], [1, 2]]
    assert item.lookup(tf.constant([[7, 0], [-3, 5]], tf.int64)).numpy().tolist() == [[2, 0], [1, 0]]
    assert item.lookup(tf.constant([7], tf.int64)).dtype == tf.int32
    assert tables["context"].vectors.tolist() == [[0, 0]]
    assert tables["context"].lookup(tf.constant([0, 7], tf.int64)).numpy().tolist() == [0, 0]
    assert item.width == tables["context"].width == 2


def test_errors_name_the_folder(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}.*no text vectors"):
        TextTable.load(str(tmp_path))
    write(tmp_path / "Split-user", [(1, [1.0, 2.0])])
    write(tmp_path / "Split-item", [(1, [1.0, 2.0, 3.0])])
    with pytest.raises(UserError, match=r"\[2, 3\] wide"):
        TextTable.load(str(tmp_path))


def test_vectors_without_a_padding_row_are_refused():
    with pytest.raises(ValueError, match="one vector more"):
        TextTable(keys=np.array([1, 2]), vectors=np.zeros((2, 4), np.float32))
