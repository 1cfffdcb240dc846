"""A teacher's predictions, kept beside the rows that they are of."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models import raw_example
from models.input_pipeline import RECORD

TEACHER_LOGIT = "teacher_logit"
# What is added to a row's feature specification to read them.
FEATURE_SPEC = {TEACHER_LOGIT: tf.io.FixedLenFeature([], tf.float32)}


def write_soft_labels(teacher, rows: tf.data.Dataset, path: str) -> None:
    """Writes rows with the teacher's logit as one more feature, `teacher_logit`, float32.

    Predicted once, they cost the student's training nothing, however many epochs it takes.
    The file appears when it is whole.

    Args:
        teacher: Keras model of the features that returns logits `[batch]`.
        rows: batches from `make_dataset`, with `with_records`.
        path: the file, gzipped TFRecords.

    Example:

    ```python
    write_soft_labels(teacher, make_dataset(files, spec, 4096, with_records=True), "/tmp/soft_labels.gz")
    student_rows = make_dataset(["/tmp/soft_labels.gz"], {**spec, **FEATURE_SPEC}, 4096)
    ```
    """
    predict = tf.function(lambda features: teacher(features, training=False), reduce_retracing=True)
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.TFRecordWriter(f"{path}.tmp", "GZIP") as writer:
        for features, _ in rows:
            records = features.pop(RECORD).numpy()
            logits = np.reshape(predict(features), -1)
            for record, logit in zip(records, logits, strict=True):
                # Serialized messages laid end to end are one message with the fields of both.
                writer.write(record + raw_example.encode({TEACHER_LOGIT: [float(logit)]}))
    tf.io.gfile.rename(f"{path}.tmp", path, overwrite=True)
