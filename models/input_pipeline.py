"""Streams transformed examples from disk into batches."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from models.input_shard import InputShard
from models.spec.dataset_spec import LABEL
from models.text_table import TextTable

TEXT_KEY = "_text_key"
TEXT_INDEX = "_text_index"
ROW_SENTENCE = "row_sentence"
TOKEN_IDS = "token_ids"
RECORD = "_record"
_PARALLEL_FILES = 4
_READ_BUFFER = 1 << 20
_PIECE = 1024
_PREFETCHED_BATCHES = 2
_PARALLEL_BATCHES = min(os.cpu_count() or 1, 16)


def make_dataset(
    files: Sequence[str],
    feature_spec: Mapping[str, tf.io.FixedLenFeature],
    batch_size: int,
    *,
    shuffle_buffer: int = 0,
    seed: int | None = None,
    text_tables: Mapping[str, TextTable] | None = None,
    tokenize: Callable[[tf.Tensor], tf.Tensor] | None = None,
    keep: Callable[[tf.Tensor], tf.Tensor] | None = None,
    with_records: bool = False,
    drop_remainder: bool = False,
    shard: InputShard | None = None,
) -> tf.data.Dataset:
    """Batches of transformed examples; memory does not grow with the number of rows.

    Args:
        files: gzipped TFRecords of transformed examples.
        feature_spec: their features: `TFTransformOutput.transformed_feature_spec()`, or
            those of it that the model reads; `label` is among them.
        batch_size: rows a batch.
        shuffle_buffer: so many rows at a time are mixed, as serialized bytes; 0 keeps the
            files' order. Every pass is mixed anew, the files' order included.
        seed: makes the order of rows the same in every run; for a resumed or repeated
            training.
        text_tables: tables by side or history; each `<name>_text_key` becomes
            `<name>_text_index`, int32, a row of the table's vectors. Absent, text keys
            are left out, and not even parsed.
        tokenize: makes `token_ids` [batch, tokens] of a batch's `row_sentence`, string
            [batch, sides]; see `SentenceTokenizer`. Absent, sentences are left out likewise.
        keep: says which of some rows, serialized, are read: string [n] to bool [n].
        with_records: whether the features hold the serialized rows too, `_record`,
            string [batch].
        drop_remainder: whether a last, smaller batch is left out.
        shard: for a process of several that train together, the replicas that it feeds: the
            dataset holds their parts of each batch, one after the other. Every process
            reads all rows, as bytes, and parses its own; it needs a seed to shuffle as the others.

    Returns:
        Dataset of (features by name, label float32 [batch]).

    Raises:
        ValueError: no files, a text key without a table, shuffling for several processes without a
            seed, or a batch that cannot be divided among the replicas.

    Example:

    ```python
    spec = transform_output.transformed_feature_spec()
    train = make_dataset(files, spec, 2048, shuffle_buffer=100_000, seed=1)
    model.fit(train)
    ```
    """
    files = list(files)
    if not files:
        raise ValueError("make_dataset needs at least one file")
    if shard is not None and shuffle_buffer and seed is None:
        raise ValueError("rows that are shuffled for several processes need a seed, the same for all")
    if shard is not None and drop_remainder and batch_size % shard.replicas:
        raise ValueError(f"a batch of {batch_size} rows cannot be divided evenly among {shard.replicas} replicas")
    keys = [name for name in feature_spec if name.endswith(TEXT_KEY)]
    if text_tables is None:
        feature_spec = {name: f for name, f in feature_spec.items() if name not in keys}
    else:
        lacking = [k for k in keys if k.removesuffix(TEXT_KEY) not in text_tables]
        if lacking:
            raise ValueError(f"{lacking} have no text table; there are: {sorted(text_tables)}")

    if tokenize is None:
        feature_spec = {name: f for name, f in feature_spec.items() if name != ROW_SENTENCE}

    def parse(serialized: tf.Tensor):
        features = tf.io.parse_example(serialized, feature_spec)
        label = tf.cast(features.pop(LABEL), tf.float32)
        if text_tables is not None:
            for key in keys:
                name = key.removesuffix(TEXT_KEY)
                features[name + TEXT_INDEX] = text_tables[name].lookup(features.pop(key))
        if tokenize is not None:
            features[TOKEN_IDS] = tokenize(features.pop(ROW_SENTENCE))
        if with_records:
            features[RECORD] = serialized
        return features, label

    dataset = tf.data.Dataset.from_tensor_slices(files)
    if shuffle_buffer:
        dataset = dataset.shuffle(len(files), seed=seed)
    # Rows travel in pieces, never one by one: a step of tf.data for each costs more than all that is done to it.
    dataset = dataset.interleave(
        lambda file: tf.data.TFRecordDataset(file, "GZIP", buffer_size=_READ_BUFFER).batch(_PIECE),
        cycle_length=min(len(files), _PARALLEL_FILES), num_parallel_calls=min(len(files), _PARALLEL_FILES))
    if keep is not None:
        dataset = dataset.map(lambda rows: tf.boolean_mask(rows, keep(rows)))
    if shuffle_buffer:
        dataset = _shuffled(dataset.rebatch(shuffle_buffer), seed)
    dataset = dataset.rebatch(batch_size, drop_remainder=drop_remainder)
    if shard is not None:
        dataset = shard.of(dataset)
        if drop_remainder:
            dataset = dataset.map(lambda rows: tf.ensure_shape(rows, [batch_size // shard.replicas]))
    dataset = dataset.map(parse, num_parallel_calls=_PARALLEL_BATCHES)
    options = tf.data.Options()
    # The end of every pass waits for the thread that tunes: a second and more, measured, for epochs of a few.
    options.autotune.enabled = False
    options.deterministic = seed is not None or not shuffle_buffer
    return dataset.with_options(options).prefetch(_PREFETCHED_BATCHES)


def _shuffled(blocks: tf.data.Dataset, seed: int | None) -> tf.data.Dataset:
    """Mixes the rows within each block; the next block is made ready meanwhile."""
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
    return tf.data.Dataset.zip(blocks, seeds).map(tf.random.experimental.stateless_shuffle).prefetch(1)


def count_rows_and_clicks(
    files: Sequence[str], keep: Callable[[tf.Tensor], tf.Tensor] | None = None,
) -> tuple[int, int]:
    """Numbers of rows, and of those with the label 1, in gzipped TFRecords of examples; `keep` as for `make_dataset`.

    Of a row the label alone is parsed, which takes no time beside reading it.

    Example:

    ```python
    rows, clicks = count_rows_and_clicks(files)
    ```
    """
    records = tf.data.TFRecordDataset(list(files), "GZIP", _READ_BUFFER, num_parallel_reads=_PARALLEL_FILES)

    def counts(rows: tf.Tensor) -> tf.Tensor:
        rows = rows if keep is None else tf.boolean_mask(rows, keep(rows))
        labels = tf.io.parse_example(rows, {LABEL: tf.io.FixedLenFeature([], tf.int64)})[LABEL]
        return tf.stack([tf.size(labels, tf.int64), tf.reduce_sum(labels)])

    rows, clicks = records.batch(8192).map(counts).reduce(tf.zeros(2, tf.int64), tf.add).numpy().tolist()
    return rows, clicks
