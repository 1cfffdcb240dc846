"""A few rows of the log, of which the exported model's warm-up requests are made."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from components import beam_io
from models import raw_example

# As many as the largest request needs, so that none repeats an item where the log has enough.
MAX_ROWS = 512


def read_rows(files: Sequence[str]) -> list[dict[str, list]]:
    """The first rows of a split, decoded; the same at every call.

    Args:
        files: gzipped TFRecords of raw examples, or of examples that hold the raw features
            too; they are read in the order of their names.

    Example:

    ```python
    read_rows(stage.files("train"))[0]  # {"user_id": [b"7"], "movie_id": [b"1"], ...}
    ```
    """
    rows = tf.data.TFRecordDataset(sorted(files), "GZIP").take(MAX_ROWS)
    return [raw_example.decode(row) for row in rows.as_numpy_iterator()]


def of_raw_examples(uri: str) -> list[dict[str, list]]:
    """The first rows of the training split of raw examples; see `read_rows`.

    Args:
        uri: of the artifact.
    """
    return read_rows(tf.io.gfile.glob(f"{beam_io.split_dir(uri, 'train')}/*"))
