"""What the workers of ingestion do with a part of a log, or with a group of users."""

from __future__ import annotations

import collections
import itertools
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping

import apache_beam as beam

from components.example_gen import past, readers, splitting
from components.example_gen.file_range import FileRange
from components.example_gen.row_parser import Parsed, RowParser, parse_time
from components.shard_writer import ShardWriter, shard_names
from models import raw_example
from models.spec.dataset_spec import DatasetSpec

COUNTERS = "ingestion"
# Times handed on at once: one by one they would cost more than to read them.
_TIMES = 1000
# A row that is grouped: (user, time, split key, label, entries, serialized example).
UserRow = tuple


class PartReader(beam.DoFn):
    """Reads the rows of a part of a log; a base of what does something with them.

    Args:
        spec: the dataset specification.
    """

    def __init__(self, spec: DatasetSpec):
        self._spec_json = spec.to_json()

    def setup(self):
        self._spec = DatasetSpec.from_json(self._spec_json)
        self._parser = RowParser(self._spec)

    def _read(self, name: str, part: FileRange, counts: collections.Counter):
        """Yields `Parsed` rows; malformed ones go to the output `rejected`, the number of lines to `lines`."""
        rows = _Returning(readers.read_range(self._spec, part))
        for row in rows:
            counts["read"] += 1
            parsed = row if isinstance(row, readers.Rejected) else self._parser(row)
            if parsed is None:
                counts["dropped"] += 1
            elif isinstance(parsed, Parsed):
                yield parsed
            else:
                counts["rejected"] += 1
                yield beam.pvalue.TaggedOutput("rejected", (name, {
                    "file": parsed.file, "line": parsed.line, "reason": parsed.reason, "raw": parsed.raw}))
        yield beam.pvalue.TaggedOutput("lines", (name, rows.value))


class IngestPart(PartReader):
    """Reads, splits and writes a part of a log, row by row.

    Args:
        spec: the dataset specification.
        uri: of the Examples that are written.
        shards: files a split that the part is dealt out to.
    """

    def __init__(self, spec: DatasetSpec, uri: str, shards: int):
        super().__init__(spec)
        self._uri = uri
        self._shards = shards

    def process(self, element: tuple[str, FileRange], cuts=None):
        counts = collections.Counter()
        split_of = _Splitter(self._spec, cuts)
        with ShardWriter(self._uri, shard_names(element[0], self._shards)) as writer:
            for row in self._read(*element, counts):
                if isinstance(row, Parsed):
                    split = split_of(row.time, row.split_key)
                    _count(counts, split, row.label)
                    writer.write(split, raw_example.encode(row.features))
                else:
                    yield row
        _publish(counts)


class ReadUsers(PartReader):
    """Reads a part of a log into (group of users, row).

    Args:
        spec: the dataset specification.
        groups: how many groups there are.
    """

    def __init__(self, spec: DatasetSpec, groups: int):
        super().__init__(spec)
        self._groups = groups

    def process(self, element: tuple[str, FileRange]):
        counts = collections.Counter()
        for row in self._read(*element, counts):
            if isinstance(row, Parsed):
                yield group_of(row.user, self._groups), (
                    row.user, row.time, row.split_key, row.label, row.entries, raw_example.encode(row.features))
            else:
                yield row
        _publish(counts)


class IngestUsers(beam.DoFn):
    """Builds the histories of a group of users, splits and writes their rows.

    An element has a group's `rows`, and its `past`: (user, what the user did on an earlier day).

    Args:
        spec: the dataset specification.
        uri: of the Examples that are written.
    """

    def __init__(self, spec: DatasetSpec, uri: str):
        self._spec_json = spec.to_json()
        self._uri = uri

    def setup(self):
        self._spec = DatasetSpec.from_json(self._spec_json)

    def process(self, element: tuple[int, Mapping[str, Iterable]], cuts=None):
        counts = collections.Counter()
        split_of = _Splitter(self._spec, cuts)
        written, earlier = [], collections.defaultdict(list)
        for user, day in element[1]["past"]:
            earlier[user].append(day)
        # The serialized example breaks ties, so that a run is repeatable on every runner.
        rows = sorted(element[1]["rows"], key=lambda row: (row[0], row[1], row[5]))
        for user, own in itertools.groupby(rows, key=lambda row: row[0]):
            for split, time, split_key, label, example in _with_past(list(own), self._spec, earlier.get(user, ())):
                split = split or split_of(time, split_key)
                _count(counts, split, label)
                written.append((split, example))
        # A user's rows, which are alike, must not stand together in training.
        written.sort(key=lambda row: (zlib.crc32(row[1]), row[1]))
        with ShardWriter(self._uri, shard_names(f"{element[0]:05d}")) as writer:
            for split, example in written:
                writer.write(split, example)
        _publish(counts)


class ReadTimes(PartReader):
    """Reads no more of a part of a log than what its time cuts need: lists of the times of labelled rows."""

    def process(self, element: tuple[str, FileRange]):
        columns = sorted({self._spec.label.column, self._spec.split.time})
        times = []
        for row in readers.read_range(self._spec, element[1], columns):
            time = None if isinstance(row, readers.Rejected) else self._parser.time_of(row)
            if time is not None:
                times.append(time)
            if len(times) == _TIMES:
                yield times
                times = []
        if times:
            yield times


class _Splitter:
    """The split of a row that needs no other row of its user."""

    def __init__(self, spec: DatasetSpec, cuts):
        self._fractions: Mapping[str, float] = spec.split.fractions
        self._cuts = cuts
        self._test_from = None
        if spec.split.test_from is not None:
            self._test_from = parse_time(spec.split.test_from, "test_from")
        if spec.split.test_from is not None or spec.split.by == "day":
            self._fractions = splitting.before_test(spec.split.fractions)

    def __call__(self, time: float | None, split_key: bytes) -> str:
        if self._cuts is not None:
            return splitting.time_split(time, self._cuts)
        if self._test_from is not None and time >= self._test_from:
            return "test"
        return splitting.hash_split(split_key, self._fractions)


class _Returning:
    """Iterates over a generator and keeps what it returns."""

    def __init__(self, generator):
        self._generator = generator
        self.value = None

    def __iter__(self):
        self.value = yield from self._generator


def group_of(user: str, groups: int) -> int:
    """The group of a user: the same on every machine, which Python's own hash would not give."""
    return zlib.crc32(user.encode()) % groups


def placed(rejected: tuple[str, dict], first_lines: Mapping[str, int]) -> str:
    """A malformed row as JSON, with its line counted from the start of the file."""
    name, row = rejected
    return json.dumps({**row, "line": row["line"] + first_lines[name]}, ensure_ascii=True)


def _with_past(rows: list[UserRow], spec: DatasetSpec, earlier: Iterable[past.Past] = ()) -> Iterator[tuple]:
    """One user's rows, oldest first, with their derived histories and, where asked, their splits."""
    times = [row[1] for row in rows]
    histories = [f for f in spec.features if f.derive]
    labels = [row[3] for row in rows]
    seen_by_history = [
        past.seen(
            [entry for day in earlier for entry in day[number]], times,
            splitting.history_entries(feature, labels, [row[4][number] for row in rows]), feature.max_length)
        for number, feature in enumerate(histories)
    ]
    by_user = spec.split.by == "user_time"
    splits = splitting.user_time_splits(len(rows), spec.split.fractions) if by_user else [None] * len(rows)
    for i, (_, time, split_key, label, _, example) in enumerate(rows):
        features = {}
        for feature, seen in zip(histories, seen_by_history):
            features[feature.name] = [entry for entry, _ in seen[i]]
            if feature.history_text:
                features[feature.history_text] = [word for _, word in seen[i]]
        # Serialized protocol buffers merge by concatenation: the base row is not decoded again.
        yield splits[i], time, split_key, label, example + raw_example.encode(features)


def _count(counts: collections.Counter, split: str, label: int) -> None:
    counts[f"rows/{split}"] += 1
    counts[f"positive/{split}"] += label


def _publish(counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        beam.metrics.Metrics.counter(COUNTERS, name).inc(count)
