"""Beam transforms that read and write examples in TFX's layout."""

from __future__ import annotations

import os

import apache_beam as beam
from tfx.types import artifact_utils

FILE_NAME = "data_tfrecord"
# Consecutive rows of a log belong together (one user, one hour). Dealing them out over
# shards lets a shuffle buffer of a few shards mix the whole split.
SHARDS = 16


def split_dir(uri: str, split: str) -> str:
    """The folder of a split, as TFX names it."""
    return os.path.join(uri, f"Split-{split}")


@beam.ptransform_fn
def write_examples(rows, uri: str, split: str, shards: int = SHARDS):
    """Writes serialized examples as gzipped TFRecords below `<uri>/Split-<split>`, in no certain order.

    They pass through a shuffle; `ShardWriter` writes the rows of a log without one.
    """
    return rows | beam.io.WriteToTFRecord(
        os.path.join(split_dir(uri, split), FILE_NAME), file_name_suffix=".gz", num_shards=shards)


@beam.ptransform_fn
def read_examples(pipeline, uri: str, split: str):
    """Reads the serialized examples of one split."""
    return pipeline | beam.io.ReadFromTFRecord(os.path.join(split_dir(uri, split), "*"))


@beam.ptransform_fn
def read_records(pipeline, uri: str):
    """Reads the records of an artifact that has no splits."""
    return pipeline | beam.io.ReadFromTFRecord(os.path.join(uri, f"{FILE_NAME}*"))


@beam.ptransform_fn
def write_records(records, uri: str):
    """Writes records as gzipped TFRecords into an artifact that has no splits."""
    return records | beam.io.WriteToTFRecord(os.path.join(uri, FILE_NAME), file_name_suffix=".gz")


def splits_of(artifact) -> list[str]:
    """Names of an Examples artifact's splits."""
    return artifact_utils.decode_split_names(artifact.split_names)
