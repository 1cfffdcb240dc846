"""Rows with their sentence's tokens beside the transformed features: what the naive way reads."""

from __future__ import annotations

import dataclasses
import glob
import os
import pathlib

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from models import input_pipeline, raw_example
from models.input_pipeline import TOKEN_IDS
from models.language_model import LanguageModel
from models.language_tower import LanguageTower
from models.spec.dataset_spec import DatasetSpec
from pipeline.run_fns.stage import Stage

_BATCH = 1024
# Batches are padded to a multiple of it.
_LENGTH_STEP = 16
_LONGEST = 512


@dataclasses.dataclass(frozen=True)
class SentenceRows:
    """A sample of a split.

    Args:
        file: gzipped TFRecord of transformed examples with `token_ids`.
        count: rows in it.
        tokens: length of `token_ids`: that of the longest sentence, so that none is cut.
    """

    file: str
    count: int
    tokens: int

    @classmethod
    def write(cls, textualised: str, graph: str, spec: DatasetSpec, model: LanguageModel, rows: int,
              path: pathlib.Path) -> SentenceRows:
        """Transforms and tokenises the first rows of the training split.

        Args:
            textualised: URI of the textualised examples.
            graph: URI of the transform graph.
            spec: the dataset.
            model: whose tokens are written.
            rows: how many; fewer where the split has fewer.
            path: the file.
        """
        files = sorted(glob.glob(os.path.join(textualised, "Split-train", "*.gz")))
        output = tft.TFTransformOutput(graph)
        transform, raw = output.transform_features_layer(), output.raw_feature_spec()
        features, tokens = [], []
        for batch in tf.data.TFRecordDataset(files, "GZIP").take(rows).batch(_BATCH):
            features.append({k: v.numpy() for k, v in transform(tf.io.parse_example(batch, raw)).items()})
            tokens.append(model.tokenize([sentence(spec, raw_example.decode(r)) for r in batch.numpy()], _LONGEST))
        tokens = np.concatenate(tokens)
        longest = int(np.sum(tokens != model.pad_id, axis=1).max())
        tokens = tokens[:, :-(-longest // _LENGTH_STEP) * _LENGTH_STEP]
        columns = {name: np.concatenate([f[name] for f in features]) for name in features[0]} | {TOKEN_IDS: tokens}
        path.parent.mkdir(parents=True, exist_ok=True)
        with tf.io.TFRecordWriter(str(path), options="GZIP") as writer:
            for i in range(len(tokens)):
                writer.write(raw_example.encode({n: np.atleast_1d(c[i]).tolist() for n, c in columns.items()}))
        return cls(str(path), *tokens.shape)


class SentenceStage(Stage):
    """A stage whose text tower is a frozen language model that reads every row's sentence in every step.

    Its files are those of `SentenceRows`.

    Example:

    ```python
    stage = data.stage("naive", config, work, files={"train": [rows.file]}, kind=SentenceStage)
    ```
    """

    def new_tower(self) -> LanguageTower:
        model = LanguageModel.load(self.config.language_model)
        return LanguageTower(model.backbone, model.pad_id, trainable=False)

    def dataset(
        self, split: str, batch_size: int, training_order: bool = False, text: bool = True, *, whole: bool = True,
    ) -> tf.data.Dataset:
        """As `Stage.dataset`, for one process: batches are whole in any case."""
        (file,) = self.files(split)
        features = self.tft_output.transformed_feature_spec()
        if text:
            record = next(iter(tf.data.TFRecordDataset(file, "GZIP").as_numpy_iterator()))
            tokens = len(raw_example.decode(record)[TOKEN_IDS])
            features = {**features, TOKEN_IDS: tf.io.FixedLenFeature([tokens], tf.int64)}
        return input_pipeline.make_dataset(
            [file], features, batch_size,
            shuffle_buffer=self.config.training.shuffle_buffer if training_order else 0,
            seed=self.config.seed, drop_remainder=training_order)


def sentence(spec: DatasetSpec, values: raw_example.Values) -> str:
    """A textualised row's whole sentence: its sides' parts, as the paper's row-level text."""
    parts = [values.get(f"{side}_sentence") or [b""] for side in spec.text_sides]
    return " ".join(part[0].decode("utf-8", "replace") for part in parts)
