"""Executor of UserHistories."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils

from components.beam_io import write_records
from components.example_gen import past, readers, splitting
from components.example_gen.file_range import FileRange
from components.example_gen.file_ranges import file_ranges
from components.example_gen.ingest_fns import PartReader
from components.example_gen.row_parser import Parsed
from models.spec.dataset_spec import DatasetSpec


class Executor(base_beam_executor.BaseBeamExecutor):
    """Gathers each user's newest entries of a day; see `component.UserHistories`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Runs the reading."""
        self._log_startup(input_dict, output_dict, exec_properties)
        spec = DatasetSpec.from_json(exec_properties["dataset_spec"])
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "Files" >> beam.Create(exec_properties["files"].split("\n"))
                | "Cut" >> beam.FlatMap(lambda file, source: list(file_ranges(source, file)), spec.source)
                | "SpreadParts" >> beam.Reshuffle()
                | "Read" >> beam.ParDo(_Read(spec))
                | "GroupByUser" >> beam.GroupByKey()
                | "KeepNewest" >> beam.FlatMap(_newest, spec)
                | "Write" >> write_records(artifact_utils.get_single_uri(output_dict["histories"]))
            )


class _Read(PartReader):
    """A part's rows as (user, (time, label, entries))."""

    def process(self, part: FileRange) -> Iterator[tuple]:
        for row in readers.read_range(self._spec, part):
            parsed = None if isinstance(row, readers.Rejected) else self._parser(row)
            if isinstance(parsed, Parsed):
                yield parsed.user, (parsed.time, parsed.label, parsed.entries)


def _newest(group: tuple[str, Iterable], spec: DatasetSpec) -> Iterator[bytes]:
    """One user's record, where there is anything to remember."""
    user, rows = group[0], list(group[1])
    times, labels = [row[0] for row in rows], [row[1] for row in rows]
    found = [
        past.newest(
            list(zip(times, splitting.history_entries(feature, labels, [row[2][number] for row in rows]))),
            feature.max_length)
        for number, feature in enumerate(f for f in spec.features if f.derive)
    ]
    if any(found):
        yield past.encode(user, found)
