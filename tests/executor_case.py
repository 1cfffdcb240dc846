"""Runs a component's executor on its own, without a pipeline."""

from __future__ import annotations

import pathlib

import tensorflow as tf
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts

from models import raw_example


def beam_executor(executor_class, folder: pathlib.Path):
    """An executor with the Beam runner the pipelines use by default."""
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=[], tmp_dir=str(folder / "tmp"), unique_id="1")
    return executor_class(context)


def artifact(artifact_type, folder: pathlib.Path, splits: list[str] | None = None):
    """An artifact in a folder of its own, created."""
    result = artifact_type()
    folder.mkdir(parents=True, exist_ok=True)
    result.uri = str(folder)
    if splits is not None:
        result.split_names = artifact_utils.encode_split_names(splits)
    return result


def write_examples(folder: pathlib.Path, rows: dict[str, list[dict]]):
    """An Examples artifact that holds rows by split."""
    result = artifact(standard_artifacts.Examples, folder, list(rows))
    for split, values in rows.items():
        path = folder / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with tf.io.TFRecordWriter(str(path), options="GZIP") as writer:
            for row in values:
                writer.write(raw_example.encode(row))
    return result


def read_examples(result, split: str) -> list[dict]:
    """The rows of one split of an Examples artifact."""
    files = sorted(str(p) for p in pathlib.Path(result.uri, f"Split-{split}").glob("*.gz"))
    return [raw_example.decode(r) for r in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()]
