import pytest
import tensorflow as tf

from models import raw_example
from models.logged_entries import LoggedEntries
from models.spec.dataset_spec import DatasetSpec

SPEC = DatasetSpec.parse(
    """
name: toy
source: {format: csv, path: toy.csv}
label: {column: clicked}
features:
- {name: film_id, side: item, kind: categorical}
- {name: title, side: item, kind: categorical}
""", where="toy.yaml")


def written(path, rows):
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for film, key in rows:
            writer.write(raw_example.encode({"film_id": film, "item_text_key": [key], "label": [1]}))
    return [str(path)]


def test_counts_are_of_training_and_texts_of_all(tmp_path):
    entries = LoggedEntries(SPEC, "film_id")
    entries.add(written(tmp_path / "1.gz", [
        (["a"], 7), (["a"], -8), ([], 9), (["b"], 3), (["b"], 4), ([""], 9)]), trained=True)
    entries.add(written(tmp_path / "2.gz", [(["a"], -8), (["c"], 5), ([], 1)]), trained=False)
    assert dict(entries.counts) == {"a": 2, "b": 2, "c": 0}
    # Of two equally frequent texts the greater key.
    assert [entries.text_key(v) for v in "abc"] == [-8, 4, 5]
    with pytest.raises(KeyError):
        entries.text_key("")
