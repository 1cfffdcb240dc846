import keras
import numpy as np
import pytest
import tensorflow as tf

from models import raw_example
from models.folds import Folds
from models.input_pipeline import make_dataset
from models.soft_labels import FEATURE_SPEC, write_soft_labels

ROWS, FOLDS = 60, 3
SPEC = {"x": tf.io.FixedLenFeature([2], tf.float32), "label": tf.io.FixedLenFeature([], tf.int64)}


class Teacher(keras.Model):
    """A logit that can be told from the features: x0 - 10 x1."""

    def call(self, inputs, training=False):
        assert not training
        return inputs["x"][:, 0] - 10 * inputs["x"][:, 1]


@pytest.fixture
def file(tmp_path):
    """Rows of which every third one is the same."""
    path = str(tmp_path / "rows.gz")
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for row in range(ROWS):
            values = [1.0, 2.0] if row % 3 == 0 else [float(row), 0.5]
            writer.write(raw_example.encode({"x": values, "label": [row % 2 if row % 3 else 1]}))
    return path


def rows(dataset):
    return [tuple(x) for features, _ in dataset for x in features["x"].numpy()]


def test_each_row_is_in_one_fold_and_equal_rows_share_it(file):
    folds = Folds(FOLDS)
    parts = [rows(make_dataset([file], SPEC, 7, keep=folds.only(fold))) for fold in range(FOLDS)]
    assert sorted(sum(parts, [])) == sorted(rows(make_dataset([file], SPEC, 7)))
    assert all(parts) and sum((1.0, 2.0) in part for part in parts) == 1
    for fold, part in enumerate(parts):
        others = rows(make_dataset([file], SPEC, 7, keep=folds.without(fold)))
        assert sorted(others + part) == sorted(sum(parts, []))
        assert not set(others) & set(part)


def test_rows_come_back_with_the_teachers_logit(file, tmp_path):
    keep = Folds(FOLDS).only(1)
    path = str(tmp_path / "soft" / "fold-1.gz")
    write_soft_labels(Teacher(), make_dataset([file], SPEC, 7, keep=keep, with_records=True), path)
    (features, label), = make_dataset([path], {**SPEC, **FEATURE_SPEC}, ROWS)
    (expected, clicks), = make_dataset([file], SPEC, ROWS, keep=keep)
    np.testing.assert_array_equal(features["x"], expected["x"])
    np.testing.assert_array_equal(label, clicks)
    np.testing.assert_allclose(features["teacher_logit"], expected["x"][:, 0] - 10 * expected["x"][:, 1])
    assert [f.name for f in (tmp_path / "soft").iterdir()] == ["fold-1.gz"]
