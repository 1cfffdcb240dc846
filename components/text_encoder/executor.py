"""Executor of TextEncoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
from absl import logging
from apache_beam.utils import shared
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils

from components import beam_io
from components.example_gen.executor import SPAN
from components.textualiser.executor import fingerprint
from models import adapted_language_model, raw_example
from models.language_model import LanguageModel
from models.language_model_source import LanguageModelSource

# Texts handed to the language model at once: enough to find some of like length.
_BATCH = 1024
_METRICS = "text_encoder"

# Custom property of text vectors: 1 where the language model was adapted to the domain first.
ADAPTED = "language_model_adapted"

# Custom properties of text vectors, and of the counters: how many texts there are, and were taken over.
ENCODED, REUSED = "encoded_texts", "reused_texts"
FINGERPRINT, MAX_TOKENS = "language_model_fingerprint", "max_tokens"
# What a vector's record holds besides in daily operation: the fingerprint of its text.
TEXT = "text_fingerprint"

# Tag of the texts that go on to be encoded; no split can be called so.
_NEW = "_new"

# A split's name and a key in it.
Owner = tuple[str, int]


class Executor(base_beam_executor.BaseBeamExecutor):
    """Encodes each distinct text once; see `component.TextEncoder`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Runs the encoding.

        Raises:
            UserError: the language model cannot be loaded, or is not the one whose
                fingerprint was given.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        source = artifact_utils.get_single_instance(input_dict["texts"])
        target = artifact_utils.get_single_instance(output_dict["text_vectors"])
        name = exec_properties["language_model"]
        adapted = input_dict.get("adapted_language_model")
        adapted_uri = artifact_utils.get_single_uri(adapted) if adapted else None
        # An adapted language model is known by the one that it was made from.
        LanguageModelSource(name).check(
            exec_properties["language_model_fingerprint"],
            adapted_language_model.origin(adapted_uri)["fingerprint"] if adapted_uri else None)
        splits = beam_io.splits_of(source)
        target.split_names = source.split_names
        target.set_int_custom_property(ADAPTED, int(adapted_uri is not None))
        daily = exec_properties.get("span") is not None
        if daily:
            target.set_int_custom_property(SPAN, exec_properties["span"])
            target.set_string_custom_property(FINGERPRINT, exec_properties["language_model_fingerprint"])
            target.set_int_custom_property(MAX_TOKENS, exec_properties["max_tokens"])
        previous = input_dict.get("previous_vectors")
        fileio.makedirs(target.uri)

        if not splits:
            logging.info("TextEncoder: there is no text to encode")
            return

        with self._make_beam_pipeline() as pipeline:
            owners = [
                pipeline
                | f"Read[{split}]" >> beam_io.read_examples(source.uri, split)
                | f"Decode[{split}]" >> beam.Map(_text_and_owner, split)
                for split in splits
            ]
            texts = owners | "Flatten" >> beam.Flatten() | "OnceAText" >> beam.GroupByKey()
            known = None
            if previous:
                texts, known = _without_known(pipeline, texts, previous, splits)
            vectors = (
                texts
                | "Batch" >> beam.BatchElements(min_batch_size=_BATCH, max_batch_size=_BATCH)
                | "Encode" >> beam.ParDo(
                    _Encode(name, adapted_uri, exec_properties["max_tokens"], daily)).with_outputs(*splits)
            )
            for split in splits:
                found = vectors[split]
                if known is not None:
                    found = (found, known[split]) | f"WithKnown[{split}]" >> beam.Flatten()
                _ = found | f"Write[{split}]" >> beam_io.write_examples(target.uri, split)
        encoded, reused = (_counted(pipeline.result, counter) for counter in (ENCODED, REUSED))
        if daily:
            target.set_int_custom_property(ENCODED, encoded)
            target.set_int_custom_property(REUSED, reused)
        logging.info("TextEncoder: encoded %d distinct texts with %s, took over %d", encoded, name, reused)


class _Encode(beam.DoFn):
    """Encodes batches of (text, owners); an output's tag is the split it belongs to."""

    def __init__(self, language_model: str, adapted_uri: str | None, max_tokens: int, with_fingerprints: bool):
        self._name = language_model
        self._adapted_uri = adapted_uri
        self._max_tokens = max_tokens
        self._with_fingerprints = with_fingerprints
        self._shared = shared.Shared()
        self._done = beam.metrics.Metrics.counter(_METRICS, ENCODED)

    def setup(self):
        # One copy of the weights a process, whatever the number of its threads.
        self._model = self._shared.acquire(self._load)
        self._count = 0

    def _load(self) -> LanguageModel:
        if self._adapted_uri:
            return adapted_language_model.load(self._adapted_uri)
        return LanguageModel.load(self._name)

    def process(self, batch: list[tuple[str, Iterable[Owner]]]) -> Iterator[beam.pvalue.TaggedOutput]:
        vectors = self._model.encode([text for text, _ in batch], self._max_tokens)
        for (text, owners), vector in zip(batch, vectors.tolist(), strict=True):
            yield from _records(owners, vector, fingerprint(text) if self._with_fingerprints else None)
        self._count += len(batch)
        self._done.inc(len(batch))
        logging.info("TextEncoder: %d distinct texts encoded by this worker", self._count)


def _text_and_owner(serialized: bytes, split: str) -> tuple[str, Owner]:
    values = raw_example.decode(serialized)
    text = values["text"][0] if values["text"] else b""
    return text.decode("utf-8", "replace"), (split, values["key"][0])


def _records(owners: Iterable[Owner], vector: list[float], text: int | None) -> Iterator[beam.pvalue.TaggedOutput]:
    """A vector's records, one an owner; each output's tag is the split it belongs to."""
    shared = {"vector": vector} if text is None else {"vector": vector, TEXT: [text]}
    for split, key in sorted(set(owners)):
        yield beam.pvalue.TaggedOutput(split, raw_example.encode({"key": [key], **shared}))


def _without_known(pipeline, texts, previous: list, splits: list[str]):
    """The (text, owners) that have no vector yet, and the records of those that have one, by split."""
    artifact = artifact_utils.get_single_instance(previous)
    vectors = (
        [
            pipeline | f"ReadPrevious[{split}]" >> beam_io.read_examples(artifact.uri, split)
            for split in beam_io.splits_of(artifact)
        ]
        | "FlattenPrevious" >> beam.Flatten()
        | "DecodePrevious" >> beam.Map(_fingerprint_and_vector)
        # A text stands in it once for each of its owners.
        | "OnceAVector" >> beam.CombinePerKey(_first)
    )
    keyed = texts | "ByFingerprint" >> beam.Map(lambda entry: (fingerprint(entry[0]), entry))
    outputs = (
        {"texts": keyed, "vectors": vectors}
        | "JoinPrevious" >> beam.CoGroupByKey()
        | "DivideByKnown" >> beam.ParDo(_DivideByKnown()).with_outputs(*splits, main=_NEW)
    )
    return outputs[_NEW], outputs


class _DivideByKnown(beam.DoFn):
    """A text without a vector goes on as it is; one with a vector becomes its owners' records."""

    def __init__(self):
        self._reused = beam.metrics.Metrics.counter(_METRICS, REUSED)

    def process(self, group):
        text, found = group
        for entry in found["texts"]:
            if found["vectors"]:
                self._reused.inc()
                yield from _records(entry[1], found["vectors"][0], text)
            else:
                yield entry


def _fingerprint_and_vector(serialized: bytes) -> tuple[int, list[float]]:
    values = raw_example.decode(serialized)
    return values[TEXT][0], values["vector"]


def _first(vectors: Iterable):
    return next(iter(vectors))


def _counted(result: beam.runners.runner.PipelineResult, name: str) -> int:
    found = result.metrics().query(
        beam.metrics.MetricsFilter().with_namespace(_METRICS).with_name(name))["counters"]
    return sum(counter.result for counter in found)
