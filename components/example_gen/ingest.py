"""The Beam graph of ingestion: cut, read, label, see each user's past, split, write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
from apache_beam.transforms import stats

from components.beam_io import read_records
from components.example_gen import files as files_of_log
from components.example_gen import past, splitting
from components.example_gen.file_range import FileRange
from components.example_gen.file_ranges import RANGE_BYTES, file_ranges
from components.example_gen.ingest_fns import IngestPart, IngestUsers, ReadTimes, ReadUsers, group_of, placed
from models.spec.dataset_spec import DatasetSpec

# Rank error of the time cuts: 0.01 % of the rows.
_QUANTILES = 10_000
# A small log is dealt out to so many files a split, and a big one, whose parts are files already,
# to no more than about a thousand.
_MIN_FILES, _MAX_FILES = 16, 1024
# Users are grouped by so many bytes of log: what one worker has to hold at once.
_GROUP_BYTES = 16 << 20


def ingest(
    pipeline, spec: DatasetSpec, files: list[str], examples_uri: str, rejected_path: str, earlier: Sequence[str] = (),
) -> None:
    """Adds the graph to a pipeline.

    Rows go from the file that is read to the file that is written within one worker, without
    a shuffle, so memory does not grow with the log. Only what needs a user's other rows
    (derived histories, `split.by: user_time`) is grouped by users first. Where the cuts of
    a time split have to be found, times are read before the rows are.

    Args:
        pipeline: a Beam pipeline.
        spec: the dataset specification.
        files: the log's files.
        examples_uri: of the Examples that are written.
        rejected_path: of the JSON lines of malformed rows.
        earlier: URIs of what users did on earlier days, from `UserHistories`, for the derived histories.
    """
    size = sum(map(files_of_log.size, files))
    parts = (
        pipeline
        | "Files" >> beam.Create(list(enumerate(files)))
        | "Cut" >> beam.FlatMap(_cut, spec)
        # Without a shuffle all parts of a file would stay with the worker that cut it.
        | "SpreadParts" >> beam.Reshuffle()
    )
    by_time = spec.split.by == "time" and spec.split.test_from is None
    if spec.derivation or spec.split.by == "user_time":
        # What is kept of an earlier day is held as well, and is less than a day's log.
        groups = min(max(_MIN_FILES, size * (1 + len(earlier)) // _GROUP_BYTES), _MAX_FILES)
        read = parts | "Read" >> beam.ParDo(ReadUsers(spec, groups)).with_outputs("rejected", "lines", main="rows")
        cuts = [_cuts(read.rows | "Times" >> beam.Map(lambda row: [row[1][1]]), spec)] if by_time else []
        _ = _by_users(pipeline, read.rows, earlier, groups) | "Ingest" >> beam.ParDo(
            IngestUsers(spec, examples_uri), *cuts)
    else:
        units = max(len(files), size // RANGE_BYTES)
        shards = min(max(1, _MAX_FILES // units), _MIN_FILES)
        cuts = [_cuts(parts | "ReadTimes" >> beam.ParDo(ReadTimes(spec)), spec)] if by_time else []
        read = parts | "Ingest" >> beam.ParDo(IngestPart(spec, examples_uri, shards), *cuts).with_outputs(
            "rejected", "lines")
    first_lines = read.lines | "Lines" >> beam.combiners.ToList() | "FirstLines" >> beam.Map(_first_lines)
    _ = (
        read.rejected
        | "Place" >> beam.Map(placed, beam.pvalue.AsSingleton(first_lines))
        | "WriteRejected" >> beam.io.WriteToText(rejected_path, shard_name_template="")
    )


def _cut(file: tuple[int, str], spec: DatasetSpec) -> Iterator[tuple[str, FileRange]]:
    """The parts of a file, each with its name: the file's number and its own."""
    for number, part in enumerate(file_ranges(spec.source, file[1])):
        yield f"{file[0]:05d}-{number:05d}", part


def _by_users(pipeline, rows, earlier: Sequence[str], groups: int):
    """Groups of users with their rows and, from the histories of earlier days, their past: see `IngestUsers`."""
    if not earlier:
        return rows | "GroupUsers" >> beam.GroupByKey() | "WithoutPast" >> beam.MapTuple(
            lambda group, own: (group, {"rows": own, "past": ()}))
    known = (
        [pipeline | f"ReadPast[{i}]" >> read_records(uri) for i, uri in enumerate(earlier)]
        | "PastDays" >> beam.Flatten()
        | "DecodePast" >> beam.Map(past.decode)
        | "KeyPast" >> beam.Map(lambda entry: (group_of(entry[0], groups), entry))
    )
    return {"rows": rows, "past": known} | "GroupUsersAndPast" >> beam.CoGroupByKey()


def _cuts(times, spec: DatasetSpec) -> beam.pvalue.AsSingleton:
    """The times at which validation and test begin; `times` are lists of them."""
    return beam.pvalue.AsSingleton(
        times
        | "Quantiles" >> stats.ApproximateQuantiles.Globally(_QUANTILES + 1, input_batched=True)
        | "Cuts" >> beam.Map(splitting.time_cuts, spec.split.fractions))


def _first_lines(counted: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Name of a part to the number of lines that its file has before it."""
    result, file, before = {}, None, 0
    for name, lines in sorted(counted):
        if name.partition("-")[0] != file:
            file, before = name.partition("-")[0], 0
        result[name] = before
        before += lines
    return result
