"""What is known of a feature's values from a log: their text, and how often they were seen."""

from __future__ import annotations

import collections

from models.sentence_writer import SentenceWriter, Values
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from models.spec.value_text import value_text


class EntryTexts:
    """The text of each item (or user) by its id, gathered from the rows of a log.

    A value's text is what its side says without histories, as a frozen language model
    reads it. Where it differs between rows (a price that changed, a missing cell), the
    most frequent is taken. This is what `TextToEmbedding` learns from.

    Args:
        spec: the dataset specification.
        key: a categorical feature of a side with text: its id, or a name.

    Attributes:
        counts: rows of training by value, 0 for a value that others only hold.

    Raises:
        UserError: the feature is no categorical, or its side has no text.

    Example:

    ```python
    entries = EntryTexts(spec, "movie_id")
    for row in training_rows:
        entries.add(raw_example.decode(row))
    entries.text("1193")  # 'This is a movie, title is ...'
    ```
    """

    def __init__(self, spec: DatasetSpec, key: str):
        categorical = [f.name for f in spec.features if f.kind == "categorical" and f.side in spec.text_sides]
        if key not in categorical:
            raise UserError(f"{key!r} is no categorical feature of a side with text; there are: "
                            f"{', '.join(categorical) or 'none'}")
        self._writer = SentenceWriter(spec)
        self._key, self._side = key, spec.feature(key).side
        self._texts = collections.defaultdict(collections.Counter)
        self.counts = collections.Counter()

    def add(self, values: Values, trained: bool = True) -> None:
        """Takes a row in.

        Args:
            values: feature name to the row's values, as `raw_example.decode` gives them.
            trained: whether it is a row of the training split.
        """
        words = values.get(self._key, ())
        value = words[0] if words else ""
        value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value_text(value)
        if value:
            self._texts[value][self._writer.side(self._side, values, with_history=False)] += 1
            self.counts[value] += int(trained)

    def text(self, value: str) -> str:
        """The text of a value that was taken in. Raises KeyError for any other."""
        if value not in self._texts:
            raise KeyError(value)
        # The first of its kind in the alphabet, so that the order of rows does not matter.
        return min(self._texts[value].items(), key=lambda item: (-item[1], item[0]))[0]
