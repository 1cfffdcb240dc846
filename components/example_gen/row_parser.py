"""From a log's row to the values of its features."""

from __future__ import annotations

import dataclasses
import datetime
import math

from components.example_gen.readers import Rejected, Row
from models.feature_values import feature_values
from models.spec.dataset_spec import DatasetSpec
from models.spec.iso_time import read_iso_time
from models.spec.value_text import value_text


@dataclasses.dataclass(frozen=True)
class Parsed:
    """A row that can be used.

    Attributes:
        features: feature name to the row's values, as raw examples hold them; derived
            histories are absent, since they need other rows.
        label: 1 or 0.
        time: the interaction's time as a number, when the split or a history asks.
        user: whose row it is, when the split or a history asks.
        split_key: what the hash split hashes, the split's key columns or all that are read;
            empty for other splits.
        entries: for each derived history, what this row adds to later ones: the
            entry and the word that stands for it in the sentence.
    """

    features: dict[str, list]
    label: int
    time: float | None
    user: str | None
    split_key: bytes
    entries: tuple[tuple[str, str], ...]


class RowParser:
    """Parses rows by a dataset specification.

    A row becomes `Parsed`, None when the label rule drops it, or `Rejected` with the
    reason when a value cannot be read.

    Args:
        spec: the dataset specification.

    Example:

    ```python
    parser = RowParser(spec)
    for row in read_rows(spec, file):
        parsed = parser(row)
    ```
    """

    def __init__(self, spec: DatasetSpec):
        self._label = spec.label
        self._decimal = spec.source.decimal
        self._features = tuple(f for f in spec.features if f.derive is None)
        derivation = spec.derivation
        self._time = spec.split.time or (derivation and derivation.time)
        self._user = spec.split.user or (derivation and derivation.user)
        self._split_columns = (spec.split.key or spec.columns) if spec.split.hashed else ()
        self._entries = tuple(
            (spec.feature(f.of).source_column,
             spec.feature(f.text.feature if f.history_text else f.of).source_column)
            for f in spec.features if f.derive
        )

    def __call__(self, row: Row) -> Parsed | Rejected | None:
        values = row.values
        try:
            label = self._label(self._pointed(values[self._label.column]))
            if label is None:
                return None
            features = {f.name: feature_values(f, values[f.source_column], self._decimal) for f in self._features}
            features["label"] = [label]
            return Parsed(
                features=features,
                label=label,
                time=parse_time(self._pointed(values[self._time]), self._time) if self._time else None,
                user=_required(values[self._user], self._user) if self._user else None,
                split_key="\x1f".join(value_text(values[c]) for c in self._split_columns).encode(),
                entries=tuple((value_text(values[of]), value_text(values[word])) for of, word in self._entries),
            )
        except ValueError as error:
            return Rejected(row.file, row.line, str(error), repr(values))

    def time_of(self, row: Row) -> float | None:
        """The time of a row, of which only label and time need be read; None for one that is dropped or malformed."""
        try:
            if self._label(self._pointed(row.values[self._label.column])) is None:
                return None
            return parse_time(self._pointed(row.values[self._time]), self._time)
        except ValueError:
            return None

    def _pointed(self, value):
        """A number's text with a decimal point, whatever sign the log has."""
        if self._decimal != "." and isinstance(value, str):
            return value.replace(self._decimal, ".")
        return value


def parse_time(value, column: str) -> float:
    """A time column's value as a number: the number it is, or an ISO 8601 date's epoch seconds.

    Raises:
        ValueError: naming the column and the value.
    """
    if isinstance(value, (int, float)):
        time = float(value)
    elif isinstance(value, datetime.datetime):
        time = value.replace(tzinfo=value.tzinfo or datetime.timezone.utc).timestamp()
    else:
        text = _required(value, column)
        try:
            time = float(text)
        except ValueError:
            try:
                time = read_iso_time(text).timestamp()
            except ValueError:
                raise ValueError(f"column '{column}' is {text!r}, neither a number nor an ISO 8601 date") from None
    if not math.isfinite(time):
        raise ValueError(f"column '{column}' is {value!r}, not a time")
    return time


def _required(value, column: str) -> str:
    text = value_text(value)
    if not text:
        raise ValueError(f"column '{column}' is missing")
    return text
