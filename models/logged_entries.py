"""Which items (or users) a log holds, how often, and with which text."""

from __future__ import annotations

import collections
from collections.abc import Sequence

import tensorflow as tf

from models.preprocessing import values_in_place
from models.spec.dataset_spec import DatasetSpec
from models.unthreaded import unthreaded

_BATCH = 8192


class LoggedEntries:
    """The values of a feature in a log, each with the key of its text.

    The same as `EntryTexts`, at the speed of the input pipeline: textualised examples hold
    the fingerprint of each side's text, so that no sentence is written again.

    Args:
        spec: the dataset specification.
        feature: a categorical feature of a side with text: its id, or a name.

    Attributes:
        counts: rows of training by value, 0 for a value that others only hold. A missing
            value is none.

    Example:

    ```python
    entries = LoggedEntries(spec, "movie_id")
    entries.add(glob.glob("textualised_examples/Split-train/*"), trained=True)
    entries.text_key("1193")  # what `TextTable.lookup` takes
    ```
    """

    def __init__(self, spec: DatasetSpec, feature: str):
        self._feature = spec.feature(feature)
        self._key = f"{self._feature.side}_text_key"
        self._rows = collections.Counter()
        self._text_keys: dict[str, tuple[int, int]] = {}
        self.counts = collections.Counter()

    def add(self, files: Sequence[str], trained: bool) -> None:
        """Takes rows in.

        Args:
            files: gzipped TFRecords of textualised examples, in frozen mode.
            trained: whether they are rows of the training split.
        """
        parsed = {self._feature.name: tf.io.VarLenFeature(tf.string), self._key: tf.io.FixedLenFeature([], tf.int64)}

        def read(rows):
            example = tf.io.parse_example(rows, parsed)
            return values_in_place(self._feature, example[self._feature.name]), example[self._key]

        rows = collections.Counter()
        batches = unthreaded(tf.data.TFRecordDataset(files, "GZIP").batch(_BATCH).map(read))
        for values, keys in batches.as_numpy_iterator():
            rows.update(zip(values.tolist(), keys.tolist()))
        for (value, key), count in rows.items():
            if value:
                self._add(value.decode("utf-8", "replace"), key, count, trained)

    def text_key(self, value: str) -> int:
        """The key of a value's most frequent text. Raises KeyError for one that was not taken in."""
        return self._text_keys[value][1]

    def _add(self, value: str, key: int, count: int, trained: bool) -> None:
        self.counts[value] += count if trained else 0
        self._rows[value, key] += count
        # Of equally frequent texts always the same, whatever the order of rows.
        best = (self._rows[value, key], key)
        self._text_keys[value] = max(self._text_keys.get(value, best), best)
