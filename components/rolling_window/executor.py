"""Executor of RollingWindow."""

from __future__ import annotations

import os

import apache_beam as beam
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from components import beam_io
from components.day_keys import day_keys
from components.textualiser.executor import write_texts
from models import raw_example

EXAMPLES_KEYS, TEXTS_KEYS = day_keys("examples"), day_keys("texts")


class Executor(base_beam_executor.BaseBeamExecutor):
    """Copies the days' files side by side; see `component.RollingWindow`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Runs the copying."""
        self._log_startup(input_dict, output_dict, exec_properties)
        days, day_texts = (
            [artifact_utils.get_single_instance(input_dict[key]) for key in keys if input_dict.get(key)]
            for keys in (EXAMPLES_KEYS, TEXTS_KEYS))
        examples, texts = (
            artifact_utils.get_single_instance(output_dict[key]) for key in ("examples", "texts"))
        examples.split_names, texts.split_names = days[0].split_names, day_texts[0].split_names
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        files = []
        for split in beam_io.splits_of(examples):
            fileio.makedirs(beam_io.split_dir(examples.uri, split))
            for number, day in enumerate(days):
                folder = beam_io.split_dir(day.uri, split)
                # In the order of their names a share of every day comes in turn, as of the parts of one log.
                files += [
                    (os.path.join(folder, name),
                     os.path.join(beam_io.split_dir(examples.uri, split),
                                  f"{name.removesuffix('.gz')}-day_{number:02d}.gz"))
                    for name in sorted(fileio.listdir(folder))]
        fileio.makedirs(texts.uri)
        tables = beam_io.splits_of(texts)
        with self._make_beam_pipeline() as pipeline:
            _ = pipeline | "Files" >> beam.Create(files) | beam.Reshuffle() | "Copy" >> beam.MapTuple(_copy)
            if tables:
                found = [
                    pipeline
                    | f"Read[{number}, {table}]" >> beam_io.read_examples(day.uri, table)
                    | f"Decode[{number}, {table}]" >> beam.Map(_entry, table)
                    for number, day in enumerate(day_texts)
                    for table in tables
                ]
                write_texts(found | "DaysTexts" >> beam.Flatten(), tables, texts.uri)


def _copy(source: str, target: str) -> None:
    # A bundle that Beam repeats copies again.
    fileio.copy(source, target, overwrite=True)


def _entry(serialized: bytes, table: str) -> tuple[str, int, str]:
    values = raw_example.decode(serialized)
    text = values["text"][0] if values["text"] else b""
    return table, values["key"][0], text.decode("utf-8", "replace")
