"""The first rows of a log as a run would see them, without TFX and Beam."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator

from components.example_gen import splitting
from components.example_gen.readers import Rejected, Row, list_files, read_rows
from components.example_gen.row_parser import Parsed, RowParser, parse_time
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from models.spec.split_rule import SPLITS


class PreviewedLog:
    """The first rows of a log: parsed, with their derived histories and splits.

    Derived histories and time cuts are those of the rows read, so they differ from a
    run's where `limit` cut the log.

    Args:
        spec: the dataset specification.
        data_dir: the folder of the log's files, as for a run.
        limit: rows that are read at most, dropped and rejected ones included.
        cache_dir: where tensorflow-datasets keeps what it prepares.

    Attributes:
        files: the log's files.
        read: rows read.
        dropped: rows that the label rule drops.
        rejected: the malformed rows.
        cut: whether the log goes on after `limit`.
        failure: why reading stopped before its time (a column that is not there), or None.
        rows: the rows that can be used, in the log's order, derived histories included.
        splits: the split of each of `rows`.

    Raises:
        UserError: no file is found, or one cannot be opened.

    Example:

    ```python
    log = PreviewedLog(DatasetSpec.load("my.yaml"), limit=1000)
    log.rows[0].features, log.splits[0]
    ```
    """

    def __init__(self, spec: DatasetSpec, data_dir: str | None = None, limit: int = 200_000,
                 cache_dir: str | None = None):
        self.spec = spec
        self.files = list_files(spec, data_dir, cache_dir)
        self.read = self.dropped = 0
        self.rejected: list[Rejected] = []
        self.rows: list[Parsed] = []
        self.cut = False
        self.failure: str | None = None
        self._read(limit)
        self._see_past()
        self.splits = self._split()

    @property
    def labels(self) -> list[int]:
        """The label of each of `rows`."""
        return [row.label for row in self.rows]

    def values(self, feature: str) -> list[list]:
        """A feature's values, one list for each of `rows`."""
        return [row.features[feature] for row in self.rows]

    def _read(self, limit: int) -> None:
        parser = RowParser(self.spec)
        rows = self._log_rows()
        try:
            for row in itertools.islice(rows, limit):
                self.read += 1
                parsed = row if isinstance(row, Rejected) else parser(row)
                if parsed is None:
                    self.dropped += 1
                elif isinstance(parsed, Rejected):
                    self.rejected.append(parsed)
                else:
                    self.rows.append(parsed)
            self.cut = next(rows, None) is not None
        except UserError as error:
            self.failure = str(error)

    def _log_rows(self) -> Iterator[Row | Rejected]:
        for file in self.files:
            yield from read_rows(self.spec, file)

    def _by_user(self) -> Iterator[list[int]]:
        """The positions of each user's rows, oldest first."""
        users = collections.defaultdict(list)
        for position, row in enumerate(self.rows):
            users[row.user].append(position)
        for positions in users.values():
            yield sorted(positions, key=lambda p: self.rows[p].time)

    def _see_past(self) -> None:
        histories = [f for f in self.spec.features if f.derive]
        for positions in self._by_user() if histories else ():
            times = [self.rows[p].time for p in positions]
            for number, feature in enumerate(histories):
                keep = feature.derive.where == "any"
                entries = [
                    row.entries[number] if (keep or row.label) and row.entries[number][0] else None
                    for row in (self.rows[p] for p in positions)
                ]
                past = splitting.earlier_entries(times, entries, feature.max_length)
                for position, seen in zip(positions, past):
                    features = self.rows[position].features
                    features[feature.name] = [entry for entry, _ in seen]
                    if feature.history_text:
                        features[feature.history_text] = [word for _, word in seen]

    def _split(self) -> list[str]:
        rule, rows = self.spec.split, self.rows
        if not rows:
            return []
        if rule.by == "hash":
            return [splitting.hash_split(row.split_key, rule.fractions) for row in rows]
        if rule.by == "user_time":
            splits = [""] * len(rows)
            for positions in self._by_user():
                for position, split in zip(positions, splitting.user_time_splits(len(positions), rule.fractions)):
                    splits[position] = split
            return splits
        if rule.test_from is not None:
            start = parse_time(rule.test_from, "test_from")
            before = {s: f for s, f in rule.fractions.items() if s != "test"}
            return ["test" if row.time >= start else splitting.hash_split(row.split_key, before) for row in rows]
        times = sorted(row.time for row in rows)
        shares = itertools.accumulate(rule.fractions[s] for s in SPLITS[:2])
        cuts = [times[min(len(times) - 1, round(share * (len(times) - 1)))] for share in shares]
        return [splitting.time_split(row.time, cuts) for row in rows]
