"""Executor of Scorer."""

from __future__ import annotations

import gc
import io
import json
import os
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow
import pyarrow.parquet
import tensorflow as tf
from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components import beam_io
from components.model_artifact import holds_a_model
from models.spec.dataset_spec import ENTITY_SIDES, LABEL, DatasetSpec

FILE = "rows.parquet"
SCORE, SLICE, TRAIN_ROWS = "score/", "slice/", "train_rows/"
# By input of the component: what the model's scores are called.
MODELS = {"model": "student", "plain_model": "plain", "baseline_model": "baseline"}
# Custom properties of the artifact.
KEPT, TOTAL = "rows", "rows_of_the_split"

_BATCH = 4096
_HASH_BITS = 48


class Executor(base_executor.BaseExecutor):
    """Scores a sample of the test split; see `component.Scorer`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Runs the scoring. Memory does not grow with the log, only with `max_rows`."""
        self._log_startup(input_dict, output_dict, exec_properties)
        spec = DatasetSpec.from_json(exec_properties["dataset_spec"])
        examples = artifact_utils.get_single_uri(input_dict["examples"])
        models = {
            name: _Model(path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict[key])))
            for key, name in MODELS.items() if input_dict.get(key) and holds_a_model(input_dict[key][0])}
        test = [file for split in json.loads(exec_properties["example_splits"]) for file in _files(examples, split)]
        train = _files(artifact_utils.get_single_uri(input_dict["train_examples"]), "train")
        total = sum(len(rows) for rows in _batches(test))
        share = min(1.0, exec_properties["max_rows"] / max(1, total))
        parts = [_columns(spec, models, rows) for rows in _sampled(test, share)]
        columns = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        for name in _ids(spec):
            columns[TRAIN_ROWS + name] = _train_rows(name, columns[TRAIN_ROWS + name], train)

        target = artifact_utils.get_single_instance(output_dict["scored_rows"])
        _write(columns, target.uri)
        target.set_int_custom_property(KEPT, len(columns[LABEL]))
        target.set_int_custom_property(TOTAL, total)
        logging.info("Scorer: %d of %d test rows scored by %s", len(columns[LABEL]), total, ", ".join(models))
        # Left to the interpreter's end, TensorFlow takes loaded functions apart when it has lost what that needs, and
        # prints an error for each.
        del models
        gc.collect()


class _Model:
    """An exported model's signature `serving_default`; the object that was loaded has to live as long."""

    def __init__(self, path: str):
        self._loaded = tf.saved_model.load(path)
        self._signature = self._loaded.signatures["serving_default"]

    def __call__(self, rows: tf.Tensor) -> np.ndarray:
        return self._signature(examples=rows)["probability"].numpy()


def _columns(spec: DatasetSpec, models: Mapping[str, _Model], rows: tf.Tensor) -> dict[str, np.ndarray]:
    """The columns of a batch; those of training counts hold the values that are to be counted."""
    strings = {*spec.slices, *_ids(spec)}
    parsed = tf.io.parse_example(rows, {
        LABEL: tf.io.FixedLenFeature([], tf.int64), **{n: tf.io.RaggedFeature(tf.string) for n in strings}})
    columns = {LABEL: parsed[LABEL].numpy().astype(np.int8)}
    columns |= {SCORE + name: model(rows) for name, model in models.items()}
    for name in spec.slices:
        columns[SLICE + name] = _objects(parsed[name])
    for name in _ids(spec):
        columns[TRAIN_ROWS + name] = _first(parsed[name])
    return columns


def _objects(values: tf.RaggedTensor) -> np.ndarray:
    """A list of strings a row: a set has several values, a missing one has none."""
    listed = [[v.decode("utf-8", "replace") for v in row] for row in values.to_list()]
    found = np.empty(len(listed), object)
    found[:] = listed
    return found


def _first(values: tf.RaggedTensor) -> np.ndarray:
    """The first value of each row, `b""` where there is none."""
    return values.to_tensor(default_value=b"", shape=[None, 1])[:, 0].numpy()


def _train_rows(name: str, values: np.ndarray, files: list[str]) -> np.ndarray:
    """How many training rows have each of the values: only these are counted, so that memory stays bounded."""
    known, where = np.unique(values.astype(bytes), return_inverse=True)
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant(known), tf.range(len(known), dtype=tf.int64)), len(known))
    counts = np.zeros(len(known) + 1, np.int64)
    for rows in _batches(files):
        found = tf.io.parse_example(rows, {name: tf.io.RaggedFeature(tf.string)})[name]
        counts += np.bincount(table.lookup(tf.constant(_first(found))).numpy(), minlength=len(counts))
    return counts[where]


def _sampled(files: list[str], share: float) -> Iterator[tf.Tensor]:
    """Batches of the rows whose hash falls below a share of its range: the same rows at every run."""
    for rows in _batches(files):
        if share < 1:
            hashes = tf.strings.to_hash_bucket_fast(rows, 1 << _HASH_BITS)
            rows = tf.boolean_mask(rows, hashes < int(share * (1 << _HASH_BITS)))
        if len(rows):
            yield rows


def _batches(files: list[str]) -> Iterator[tf.Tensor]:
    return iter(tf.data.TFRecordDataset(files, "GZIP").batch(_BATCH))


def _files(uri: str, split: str) -> list[str]:
    return sorted(tf.io.gfile.glob(os.path.join(beam_io.split_dir(uri, split), "*.gz")))


def _ids(spec: DatasetSpec) -> tuple[str, ...]:
    """What users and items are known by, one feature a side."""
    return tuple(name for side in ENTITY_SIDES for name in spec.entity_ids(side)[:1])


def _write(columns: Mapping[str, np.ndarray], uri: str) -> None:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(
        pyarrow.table({name: pyarrow.array(values.tolist() if values.dtype == object else values)
                       for name, values in columns.items()}), buffer)
    tf.io.gfile.makedirs(uri)
    with tf.io.gfile.GFile(os.path.join(uri, FILE), "wb") as stream:
        stream.write(buffer.getvalue())
