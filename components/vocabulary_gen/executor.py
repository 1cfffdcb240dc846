"""Executor of VocabularyGen."""

from __future__ import annotations

import collections
import os

import numpy as np
import tensorflow as tf
from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import beam_io
from components.day_keys import day_keys
from models import raw_example, warm_start
from models.preprocessing import MISSING, vocabulary_features
from models.rolling_vocabulary import RollingVocabulary
from models.spec.dataset_spec import DatasetSpec

# Keys of the inputs that hold the days' counts.
KEYS = day_keys("counts")


class Executor(base_executor.BaseExecutor):
    """Merges counts into vocabularies; see `component.VocabularyGen`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Runs the merge."""
        self._log_startup(input_dict, output_dict, exec_properties)
        spec = DatasetSpec.from_json(exec_properties["dataset_spec"])
        days = [artifact_utils.get_single_uri(input_dict[key]) for key in KEYS if input_dict.get(key)]
        base = artifact_utils.get_single_uri(input_dict["base_model"]) if input_dict.get("base_model") else None
        target = artifact_utils.get_single_uri(output_dict["vocabularies"])
        tf.io.gfile.makedirs(target)
        for feature in vocabulary_features(spec):
            counts = collections.Counter()
            for uri in days:
                counts.update(_read(uri, feature.name))
            before = RollingVocabulary.load(warm_start.vocabularies(base), feature.name) if base else None
            vocabulary = (before or RollingVocabulary()).next_day(
                counts, feature.min_count, exec_properties["span"], exec_properties["keep_departed"],
                feature.max_values)
            if not vocabulary.values:
                # TensorFlow makes no table of an empty file.
                vocabulary = RollingVocabulary((MISSING.encode(),), np.array([exec_properties["span"]]))
            vocabulary.save(target, feature.name)
            logging.info("VocabularyGen: %s: %d values, %d of them new", feature.name, len(vocabulary.values),
                         len(set(vocabulary.values) - set(before.values if before else ())))


def _read(uri: str, feature: str) -> dict[bytes, int]:
    files = tf.io.gfile.glob(os.path.join(beam_io.split_dir(uri, feature), "*.gz"))
    rows = map(raw_example.decode, tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())
    return {row["value"][0]: row["count"][0] for row in rows}
