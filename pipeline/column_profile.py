"""What the values of one column look like."""

from __future__ import annotations

import collections
import datetime
import functools
import re
from collections.abc import Sequence

import numpy as np

from models.spec.iso_time import read_iso_time
from models.spec.label_rule import read_click
from pipeline.cell_forms import MAX_MALFORMED, has_decimal_commas, looks_like_date

SEPARATORS = ("|", ";", ", ")
# Up to so many different whole numbers are codes rather than amounts.
MAX_CODES = 32
# Whole numbers of such a name measure, when there are more than a few levels of them.
AMOUNT_WORDS = {"price", "cost", "amount", "revenue", "income", "salary", "distance", "duration", "weight", "height"}
MAX_LEVELS = 10
# Seconds since 1970: 2000 to 2040.
EPOCH_SECONDS = 946_684_800, 2_208_988_800


class ColumnProfile:
    """The facts of one column from which its part in a specification is guessed.

    Args:
        name: the column's name.
        values: its cells: text, or for Parquet any Python value, lists too.
        decimal: the log's decimal sign, `.` or `,`.

    Attributes:
        words: the name's words in lower case: `userAge` and `user_age` give
            `("user", "age")`.
        present: the cells that hold something, as text; entries joined for lists.
        missing: share of the cells that hold nothing, 0 to 1.
        counts: how often each of `present` occurs.
        decimal_comma: whether the cells are numbers with a decimal comma.
        separator: what divides the entries of a cell, when cells hold several;
            `""` for Parquet's own lists, None for a column of single values.

    Example:

    ```python
    ColumnProfile("genres", ["Drama|War", "Drama", "War"]).entries  # Counter(Drama=2, War=2)
    ```
    """

    def __init__(self, name: str, values: Sequence, decimal: str = "."):
        self.name = name
        self.words = tuple(w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name))
        cells = [v for v in values if not _is_missing(v)]
        self.missing = 1 - len(cells) / len(values)
        self._native_lists = any(isinstance(v, (list, tuple)) for v in cells)
        self._moments = bool(cells) and all(isinstance(v, (datetime.date, datetime.datetime)) for v in cells)
        self._lists = cells if self._native_lists else None
        self.present = ["|".join(map(_text, v)) if self._native_lists else _text(v) for v in cells]
        self.counts = collections.Counter(self.present)
        self.decimal_comma = decimal == "," and has_decimal_commas(self.present, least=0)
        self.separator = "" if self._native_lists else self._find_separator()

    @functools.cached_property
    def numbers(self) -> np.ndarray | None:
        """The different values as float64, ascending; None when more than a few cells hold no number."""
        found = {value: self._number(value) for value in self.counts}
        others = sum(self.counts[value] for value, number in found.items() if number is None)
        # Malformed cells are for ingestion to set aside; they do not make a category of a price.
        if others > MAX_MALFORMED * len(self.present):
            return None
        numbers = np.unique(np.array([n for n in found.values() if n is not None]))
        numbers = numbers[~np.isnan(numbers)]
        return numbers if len(numbers) and np.isfinite(numbers).all() else None

    @property
    def is_binary(self) -> bool:
        """Whether every value is a click's: 0 or 1, false or true, no or yes."""
        return bool(self.counts) and all(read_click(v) is not None for v in self.counts)

    @property
    def is_amount(self) -> bool:
        """Whether the values are numbers that measure rather than name something."""
        if self.numbers is None or self.separator is not None:
            return False
        if (self.numbers % 1).any():
            return True
        if AMOUNT_WORDS & set(self.words) and len(self.counts) > MAX_LEVELS:
            return True
        return len(self.counts) > max(2, min(MAX_CODES, len(self.present) // 10))

    @property
    def is_moment(self) -> bool:
        """Whether the values are dates, ISO 8601 text included."""
        if self._moments:
            return True
        if self.numbers is not None or not self.counts:
            return False
        return self.unread_moment is None

    @property
    def is_epoch(self) -> bool:
        """Whether the values can hardly be anything but seconds, or milliseconds, since 1970.

        Hashes and serial numbers, the other long numbers of logs, start below the year 2000.
        """
        if not self.is_amount:
            return False
        first, last = self.numbers[[0, -1]] / _units_of_a_second(self.numbers[-1])
        return EPOCH_SECONDS[0] <= first and last <= EPOCH_SECONDS[1]

    @functools.cached_property
    def unread_moment(self) -> str | None:
        """The first value that is no ISO 8601 time, or None."""
        for value in list(self.counts)[:200]:
            try:
                read_iso_time(value)
            except ValueError:
                return value
        return None

    @property
    def is_unread_moment(self) -> bool:
        """Whether the values look like dates, in a form that ingestion cannot read."""
        if self._moments or self.numbers is not None or not self.counts or self.unread_moment is None:
            return False
        sample = list(self.counts)[:200]
        return sum(map(looks_like_date, sample)) > 0.5 * len(sample)

    @property
    def is_code(self) -> bool:
        """Whether many different values hold few letters: numbers, hashes, postcodes."""
        sample = list(self.counts)[:1000]
        hashes = re.compile(r"[0-9a-fA-F-]{8,}")
        words = [v for v in sample if re.search(r"[^\W\d_]{3}", v) and not hashes.fullmatch(v)]
        return len(self.counts) > MAX_CODES and len(words) < 0.5 * len(sample)

    @functools.cached_property
    def entries(self) -> collections.Counter:
        """How often each entry occurs, for a column whose cells hold several."""
        entries = collections.Counter()
        if self._lists is not None:
            entries.update(t for v in self._lists for t in map(_text, v) if t)
        else:
            for cell, count in self.counts.items():
                for entry in _split(cell, self.separator):
                    entries[entry] += count
        return entries

    @functools.cached_property
    def longest(self) -> int:
        """The most entries in one cell."""
        if self._lists is not None:
            return max(map(len, self._lists), default=0)
        return max((len(_split(c, self.separator)) for c in self.counts), default=0)

    def describe(self, kind: str = "categorical") -> str:
        """The values in a few words: `7 values: 25 (35 %), 35 (21 %), ...; 1.2 % missing`.

        Args:
            kind: `numeric` tells the range; any other the most frequent values or entries.
        """
        if kind == "numeric":
            low, middle, high = np.quantile(self._all_numbers, (0, 0.5, 1), method="nearest")
            commas = " with a decimal comma:" if self.decimal_comma else ""
            text = f"numbers{commas} from {_text(float(low))} to {_text(float(high))}, median {_text(float(middle))}"
            others = sum(n for v, n in self.counts.items() if self._number(v) is None)
            text += f"; {others:,} malformed" if others else ""
        elif kind == "time":
            text = f"from {self._moment(min)} to {self._moment(max)}"
        else:
            counts, what, plural = self.counts, "value", "values"
            if self.separator is not None:
                counts, what, plural = self.entries, "entry", "different entries"
            total = max(1, len(self.present))
            most = counts.most_common(5 if len(counts) <= 5 else 3)
            shown = [f"{shorten(v)} ({share(n / total)})" for v, n in most]
            more = ", ..." if len(counts) > len(shown) else ""
            text = f"{len(counts):,} {what if len(counts) == 1 else plural}: {', '.join(shown)}{more}"
        return f"{text}; {share(self.missing)} missing" if self.missing else text

    @property
    def _all_numbers(self) -> np.ndarray:
        numbers = np.array([number for v in self.present if (number := self._number(v)) is not None])
        return numbers[~np.isnan(numbers)]

    def _moment(self, extreme) -> str:
        """The first (min) or last (max) time; the date of epoch seconds or milliseconds."""
        if self.numbers is None:
            return extreme(self.counts)
        value = float(extreme(self.numbers))
        seconds = value / _units_of_a_second(value)
        if not 1e8 < seconds < 1e11:
            return _text(value)
        return f"{datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc):%Y-%m-%d %H:%M:%S} UTC"

    def _number(self, text: str) -> float | None:
        try:
            return float(text.replace(",", ".") if self.decimal_comma else text)
        except ValueError:
            return None

    def _find_separator(self) -> str | None:
        """A separator that is there often, between entries that recur.

        Judged on the different cells: `Matrix, The` comes back with every click on it,
        yet its halves recur in no other title.
        """
        if not self.counts or self._moments or self.decimal_comma:
            return None
        for separator in SEPARATORS:
            lists = [_split(c, separator) for c in self.counts]
            several = sum(len(entries) > 1 for entries in lists)
            count = sum(map(len, lists))
            distinct = len({e for entries in lists for e in entries})
            recurrence = 1.2 if separator == "|" else 2  # prose holds the other two, hardly a bar
            if several >= 0.2 * len(lists) and count >= recurrence * distinct:
                return separator
        return None


def _units_of_a_second(time: float) -> int:
    """1 for a time in seconds since 1970, 1000 for one in milliseconds."""
    return 1000 if time > 1e11 else 1


def share(value: float) -> str:
    """A share for people: `35 %`, `1.2 %`."""
    percent = 100 * value
    if 0 < percent < 0.1:
        return "under 0.1 %"
    return f"{percent:.1f} %".replace(".0 %", " %") if percent < 10 else f"{percent:.0f} %"


def shorten(value: str, length: int = 30) -> str:
    """A value on one line, cut to `length` characters."""
    line = " ".join(value.split())
    return line if len(line) <= length else line[:length - 3] + "..."


def _split(cell: str, separator: str) -> list[str]:
    return [e for e in (e.strip() for e in cell.split(separator.strip() or separator)) if e]


def _is_missing(value) -> bool:
    if isinstance(value, (list, tuple)):
        return not value
    return value is None or value != value or not str(value).strip()


def _text(value) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
