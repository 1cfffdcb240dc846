"""Embedding rows of entries that training did not see, and the maps that make more of them."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from models.spec.errors import UserError
from models.text_to_embedding import TextToEmbedding

FOLDER = "cold_start"
SUMMARY = "summary.json"


class CatalogueRows:
    """What text makes of new ids: one map a feature, and the rows it has made.

    Kept beside a model, so that rows for further entries can be made by the same maps,
    without training. A map is used only where text explains something of the rows of
    entries left out; elsewhere a new value keeps the row that all unknown values share.

    Attributes:
        mappings: the fitted `TextToEmbedding` of each feature.
        rows: row, float32 [row width], by value, by feature: what
            `serving.export.export_ctr_model` takes as its catalogue.

    Example:

    ```python
    catalogue = CatalogueRows()
    if catalogue.fit("movie_id", vectors, rows_of(student, "movie_id")[ids], counts):
        catalogue.add("movie_id", ["9001"], new_vectors)
    catalogue.save(model_run.uri)
    ```
    """

    def __init__(self):
        self.mappings: dict[str, TextToEmbedding] = {}
        self.rows: dict[str, dict[str, np.ndarray]] = {}

    def fit(self, feature: str, vectors: np.ndarray, rows: np.ndarray, counts: np.ndarray) -> bool:
        """Learns a feature's map; see `TextToEmbedding.fit`.

        Returns:
            Whether it is of use: text explains a part of the variance, and at least two
            entries are warm. No rows are made by a map that is not.
        """
        mapping = TextToEmbedding()
        if np.sum(np.asarray(counts) >= mapping.min_count) >= 2:
            self.mappings[feature] = mapping.fit(vectors, rows, counts)
            self.rows[feature] = {}
        return self.can_add(feature)

    def can_add(self, feature: str) -> bool:
        """Whether the feature has a map that is of use."""
        return feature in self.mappings and self.mappings[feature].explained > 0

    def add(self, feature: str, values: Sequence[str], vectors: np.ndarray) -> None:
        """Makes the rows of further values; those that are there already stay as they are.

        Args:
            feature: for which `can_add`.
            values: n distinct values. One that spans lines cannot be looked up when it is
                served, and is passed over.
            vectors: float [n, text width].
        """
        for value, row in zip(values, self.mappings[feature].predict(vectors)):
            if not {"\n", "\r"} & set(value):
                self.rows[feature].setdefault(value, row)

    @property
    def summary(self) -> dict[str, dict]:
        """By feature: `explained`, the share of variance, and `rows`, their number."""
        return {
            name: {"explained": mapping.explained, "rows": len(self.rows[name])}
            for name, mapping in self.mappings.items()}

    def save(self, folder: str) -> None:
        """Writes everything into `<folder>/cold_start`."""
        folder = os.path.join(folder, FOLDER)
        tf.io.gfile.makedirs(folder)
        for name, mapping in self.mappings.items():
            # As JSON, since an array of text is as wide as its longest value everywhere.
            values = np.frombuffer(json.dumps(list(self.rows[name])).encode(), np.uint8)
            rows = np.array(list(self.rows[name].values()), np.float32).reshape(-1, len(mapping.mean_row))
            buffer = io.BytesIO()
            np.savez(buffer, values=values, rows=rows, **mapping.to_arrays())
            with tf.io.gfile.GFile(os.path.join(folder, f"{name}.npz"), "wb") as file:
                file.write(buffer.getvalue())
        with tf.io.gfile.GFile(os.path.join(folder, SUMMARY), "w") as file:
            file.write(json.dumps(self.summary, indent=1))

    @classmethod
    def load(cls, folder: str) -> CatalogueRows:
        """Reads what `save` wrote.

        Raises:
            UserError: there is nothing.
        """
        result = cls()
        for name in read_summary(folder):
            with tf.io.gfile.GFile(os.path.join(folder, FOLDER, f"{name}.npz"), "rb") as file:
                arrays = dict(np.load(io.BytesIO(file.read())))
            values = json.loads(arrays.pop("values").tobytes())
            result.rows[name] = dict(zip(values, arrays.pop("rows")))
            result.mappings[name] = TextToEmbedding.from_arrays(arrays)
        return result


def read_summary(folder: str) -> dict[str, dict]:
    """The `summary` of what was saved in a folder.

    Raises:
        UserError: there is nothing.
    """
    path = os.path.join(folder, FOLDER, SUMMARY)
    if not tf.io.gfile.exists(path):
        raise UserError(f"{folder}: holds no map from texts to embeddings: no {FOLDER}/{SUMMARY}")
    with tf.io.gfile.GFile(path) as file:
        return json.loads(file.read())
