"""The first rows of a log as a run would see them, without TFX and Beam."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterator

from components.example_gen import splitting
from components.example_gen.daily_logs import daily_logs
from components.example_gen.readers import Rejected, Row, list_files, read_rows
from components.example_gen.row_parser import RowParser, parse_time
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError


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
        labels: the label, 0 or 1, of each row that can be used, in the log's order.
        splits: the split of each of these rows.

    Raises:
        UserError: no file is found, or one cannot be opened.

    Example:

    ```python
    log = PreviewedLog(DatasetSpec.load("my.yaml"), limit=1000)
    log.labels[0], log.splits[0], log.values("city")[0]
    ```
    """

    def __init__(self, spec: DatasetSpec, data_dir: str | None = None, limit: int = 200_000,
                 cache_dir: str | None = None):
        self.spec = spec
        self.files = list_files(spec, data_dir, cache_dir)
        self.read = self.dropped = 0
        self.rejected: list[Rejected] = []
        self.labels: list[int] = []
        self.cut = False
        self.failure: str | None = None
        # Columns of shared tuples rather than a dictionary a row: a third of the memory and time.
        self._columns: dict[str, list[tuple]] = {f.name: [] for f in spec.features}
        self._rows: list[tuple[str | None, float | None, bytes, tuple]] = []
        self._counts: dict[str, collections.Counter] = {}
        # Of daily logs the newest is the test as a whole.
        self._newest = frozenset(daily_logs(spec, data_dir)[-1].files if spec.source.daily else ())
        self._of_newest: list[bool] = []
        self._read(limit)
        self._see_past()
        self.splits = self._split()

    def values(self, name: str) -> list[tuple]:
        """The values of a feature (or of a derived history's words, `<history>_text`), a tuple a row."""
        return self._columns[name]

    def counts(self, name: str) -> collections.Counter:
        """How often each value, or entry, of a feature occurs."""
        if name not in self._counts:
            counts = self._counts[name] = collections.Counter()
            for values, times in collections.Counter(self._columns[name]).items():
                for value in values:
                    counts[value] += times
        return self._counts[name]

    def row(self, position: int) -> dict[str, tuple]:
        """All features of a row, as `SentenceWriter` reads them."""
        return {name: column[position] for name, column in self._columns.items()}

    def _read(self, limit: int) -> None:
        parser = RowParser(self.spec)
        columns = [(f.name, self._columns[f.name].append) for f in self.spec.features if not f.derive]
        shared: dict[tuple, tuple] = {}
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
                    self.labels.append(parsed.label)
                    self._of_newest.append(row.file in self._newest)
                    self._rows.append((parsed.user, parsed.time, parsed.split_key, parsed.entries))
                    for name, append in columns:
                        values = tuple(parsed.features[name])
                        append(shared.setdefault(values, values))
            self.cut = next(rows, None) is not None
        except UserError as error:
            self.failure = str(error)

    def _log_rows(self) -> Iterator[Row | Rejected]:
        for file in self.files:
            yield from read_rows(self.spec, file)

    def _by_user(self) -> Iterator[list[int]]:
        """The positions of each user's rows, oldest first."""
        users = collections.defaultdict(list)
        for position, (user, *_) in enumerate(self._rows):
            users[user].append(position)
        for positions in users.values():
            yield sorted(positions, key=lambda p: self._rows[p][1])

    def _see_past(self) -> None:
        histories = [f for f in self.spec.features if f.derive]
        for feature in histories:
            for name in filter(None, (feature.name, feature.history_text)):
                self._columns[name] = [()] * len(self._rows)
        for positions in self._by_user() if histories else ():
            times = [self._rows[p][1] for p in positions]
            for number, feature in enumerate(histories):
                entries = splitting.history_entries(
                    feature, [self.labels[p] for p in positions], [self._rows[p][3][number] for p in positions])
                past = splitting.earlier_entries(times, entries, feature.max_length)
                for position, seen in zip(positions, past):
                    self._columns[feature.name][position] = tuple(entry for entry, _ in seen)
                    if feature.history_text:
                        self._columns[feature.history_text][position] = tuple(word for _, word in seen)

    def _split(self) -> list[str]:
        rule, times = self.spec.split, [time for _, time, _, _ in self._rows]
        keys = [key for _, _, key, _ in self._rows]
        if not times:
            return []
        if rule.by == "hash":
            return [splitting.hash_split(key, rule.fractions) for key in keys]
        if rule.by == "day":
            before = splitting.before_test(rule.fractions)
            return ["test" if newest else splitting.hash_split(key, before)
                    for newest, key in zip(self._of_newest, keys)]
        if rule.by == "user_time":
            splits = [""] * len(times)
            for positions in self._by_user():
                user_splits = splitting.user_time_splits(len(positions), rule.fractions)
                for position, split in zip(positions, user_splits):
                    splits[position] = split
            return splits
        if rule.test_from is not None:
            start = parse_time(rule.test_from, "test_from")
            before = splitting.before_test(rule.fractions)
            return ["test" if t >= start else splitting.hash_split(k, before) for t, k in zip(times, keys)]
        cuts = splitting.time_cuts(sorted(times), rule.fractions)
        return [splitting.time_split(time, cuts) for time in times]
