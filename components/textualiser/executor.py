"""Executor of Textualiser."""

from __future__ import annotations

import functools
import hashlib
import os

import apache_beam as beam
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.utils import io_utils

from components import beam_io, shard_writer
from components.shard_writer import ShardWriter
from models import raw_example
from models.sentence_writer import SentenceWriter
from models.spec.dataset_spec import DatasetSpec
from models.spec.text_form import PROSE
from models.unthreaded import unthreaded

# The distinct texts one bundle remembers, so that most repetitions never reach the shuffle.
_SEEN = 1_000_000
# Texts of one side that are kept to be written once.
_CACHED_SENTENCES = 100_000
# Leaving TensorFlow costs more than a small record.
_BATCH = 512


class Executor(base_beam_executor.BaseBeamExecutor):
    """Writes sentences and gathers distinct texts; see `component.Textualiser`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Runs the textualisation."""
        self._log_startup(input_dict, output_dict, exec_properties)
        spec = DatasetSpec.from_json(exec_properties["dataset_spec"])
        frozen = exec_properties["text_mode"] == "frozen"
        form = exec_properties.get("text_form") or PROSE
        source = artifact_utils.get_single_instance(input_dict["examples"])
        target = artifact_utils.get_single_instance(output_dict["textualised_examples"])
        texts = artifact_utils.get_single_instance(output_dict["texts"])
        splits = beam_io.splits_of(source)
        gather = frozen or bool(exec_properties["gather_texts"])
        tables = [*spec.text_sides, *(f.name for f in spec.encoded_histories)] if gather else []
        target.split_names = source.split_names
        examples_utils.set_payload_format(target, example_gen_pb2.FORMAT_TF_EXAMPLE)
        texts.split_names = artifact_utils.encode_split_names(tables)
        fileio.makedirs(texts.uri)
        _extend_schema(
            artifact_utils.get_single_uri(input_dict["schema"]),
            artifact_utils.get_single_uri(output_dict["textualised_schema"]), spec, tables if frozen else [])

        with self._make_beam_pipeline() as pipeline:
            found = (
                pipeline
                | "Files" >> beam.Create([
                    (split, file) for split in splits
                    for file in sorted(fileio.glob(os.path.join(beam_io.split_dir(source.uri, split), "*")))])
                | "SpreadFiles" >> beam.Reshuffle()
                | "Textualise" >> beam.ParDo(_Textualise(spec, form, frozen, gather, target.uri))
            )
            if gather:
                write_texts(found, tables, texts.uri)
        shard_writer.finish(target.uri, splits)


def _extend_schema(source: str, target: str, spec: DatasetSpec, tables: list[str]) -> None:
    """Writes the schema with the features that textualised examples have besides."""
    schema = tfdv.load_schema_text(io_utils.get_only_uri_in_dir(source))
    for side in spec.text_sides:
        schema.feature.add(name=f"{side}_sentence", type=schema_pb2.BYTES)
    for table in tables:
        schema.feature.add(name=f"{table}_text_key", type=schema_pb2.INT)
    fileio.makedirs(target)
    tfdv.write_schema_text(schema, os.path.join(target, "schema.pbtxt"))


def write_texts(found, tables: list[str], uri: str) -> None:
    """Writes (table, key, text) once a table and key, whatever split it was seen in."""
    distinct = (
        found
        | "KeyByTable" >> beam.Map(lambda entry: (entry[:2], entry[2]))
        # An item whose text changed over time keeps one of its texts: the same on every run.
        | "OncePerKey" >> beam.CombinePerKey(max)
    )
    for name in tables:
        _ = (
            distinct
            | f"Of[{name}]" >> beam.Filter(lambda entry, name: entry[0][0] == name, name)
            | f"Encode[{name}]" >> beam.Map(
                lambda entry: raw_example.encode({"key": [entry[0][1]], "text": [entry[1]]}))
            | f"WriteTexts[{name}]" >> beam_io.write_examples(uri, name, shards=1)
        )


class _Textualise(beam.DoFn):
    """Appends sentences (and text keys) to a file's examples, into a file of the same name; yields distinct texts."""

    def __init__(self, spec: DatasetSpec, form: str, frozen: bool, gather: bool, uri: str):
        self._spec_json = spec.to_json()
        self._form = form
        self._frozen = frozen
        self._gather = gather
        self._uri = uri

    def setup(self):
        self._spec = DatasetSpec.from_json(self._spec_json)
        self._writer = SentenceWriter(self._spec, self._form)
        self._prose = SentenceWriter(self._spec)
        # Looked up once: the specification derives them anew at every call, and `process` runs once a row.
        self._encoded_histories = self._spec.encoded_histories
        with_history = {f.side for f in self._spec.text_histories}
        self._cached = {
            side: (
                side in with_history,
                tuple(f.name for f in self._spec.side(side) if f.text and f.kind != "history"),
                functools.lru_cache(_CACHED_SENTENCES)(functools.partial(self._write_side, side)),
            )
            for side in self._spec.text_sides
        }

    def start_bundle(self):
        self._seen = set()

    def process(self, element: tuple[str, str]):
        split, file = element
        # From file to file, and not through a shuffle: the rows keep their order, and few are in memory.
        with ShardWriter(self._uri, [os.path.basename(file)]) as writer:
            for batch in unthreaded(tf.data.TFRecordDataset(file, "GZIP").batch(_BATCH)).as_numpy_iterator():
                for serialized in batch:
                    added, texts = self._textualise(raw_example.decode(serialized))
                    # Serialized protocol buffers merge by concatenation: the row is not encoded again.
                    writer.write(split, serialized + raw_example.encode(added))
                    yield from texts

    def _textualise(self, values: dict) -> tuple[dict, list]:
        """What is added to a row, and the texts of it that this bundle has not seen."""
        added, texts, keys, new = {}, {}, {}, []
        for side, (has_history, names, write) in self._cached.items():
            # Few texts differ once the history is left out, so most come from the cache.
            keys[side], texts[side] = write(tuple((n, tuple(values.get(n, ()))) for n in names))
            added[f"{side}_sentence"] = [self._writer.side(side, values) if has_history else texts[side]]
        if self._gather:
            pointers = {f"{side}_text_key": [key] for side, key in keys.items()}
            for side, text in texts.items():
                new += self._text(side, keys[side], text)
            for history in self._encoded_histories:
                entries = values.get(history.name, ())
                pointers[f"{history.name}_text_key"] = [fingerprint(e) for e in entries]
                for item in values.get(history.of, ()):
                    new += self._text(history.name, fingerprint(item), texts["item"])
            if self._frozen:
                added.update(pointers)
        return added, new

    def _write_side(self, side: str, items: tuple) -> tuple[int, str]:
        """A text's key and itself.

        The key is that of the prose in every form: what points to the texts stays the
        same, and forms can be compared on the same rows.
        """
        values = dict(items)
        key = fingerprint(self._prose.side(side, values, with_history=False))
        return key, self._writer.side(side, values, with_history=False)

    def _text(self, table: str, key: int, text: str) -> list[tuple[str, int, str]]:
        # The hash alone: ten times smaller, and within a process no two of so many are equal.
        seen = hash((table, key, text))
        if seen in self._seen:
            return []
        if len(self._seen) < _SEEN:
            self._seen.add(seen)
        return [(table, key, text)]


def fingerprint(text: str | bytes) -> int:
    """A signed 64-bit fingerprint of a text, stable over runs and machines; never 0."""
    data = text if isinstance(text, bytes) else text.encode()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big", signed=True) or 1
