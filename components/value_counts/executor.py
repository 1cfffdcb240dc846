"""Executor of ValueCounts."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils

from components import beam_io
from models import raw_example
from models.preprocessing import vocabulary_features, vocabulary_values
from models.spec.dataset_spec import DatasetSpec


class Executor(base_beam_executor.BaseBeamExecutor):
    """Counts values; see `component.ValueCounts`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Runs the count."""
        self._log_startup(input_dict, output_dict, exec_properties)
        spec = DatasetSpec.from_json(exec_properties["dataset_spec"])
        source = artifact_utils.get_single_uri(input_dict["examples"])
        target = artifact_utils.get_single_uri(output_dict["counts"])
        with self._make_beam_pipeline() as pipeline:
            counts = (
                pipeline
                | "Read" >> beam_io.read_examples(source, "train")
                | "Values" >> beam.ParDo(_Values(spec))
                | "Count" >> beam.combiners.Count.PerElement()
            )
            for feature in vocabulary_features(spec):
                _ = (
                    counts
                    | f"Of[{feature.name}]" >> beam.Filter(lambda entry, name: entry[0][0] == name, feature.name)
                    | f"Encode[{feature.name}]" >> beam.Map(
                        lambda entry: raw_example.encode({"value": [entry[0][1]], "count": [entry[1]]}))
                    | f"Write[{feature.name}]" >> beam_io.write_examples(target, feature.name, shards=1)
                )


class _Values(beam.DoFn):
    """The (feature, value) pairs of a row."""

    def __init__(self, spec: DatasetSpec):
        self._spec_json = spec.to_json()

    def setup(self):
        self._features = vocabulary_features(DatasetSpec.from_json(self._spec_json))

    def process(self, serialized: bytes) -> Iterator[tuple[str, bytes]]:
        values = raw_example.decode(serialized)
        for feature in self._features:
            for value in vocabulary_values(feature, values.get(feature.name, ())):
                yield feature.name, value
