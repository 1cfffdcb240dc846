"""Figures of predictions, on all rows and where training knows little of the user or the item."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from models.spec.dataset_spec import DatasetSpec
from pipeline.run_fns.stage import Stage

ALL = "all"
SIDES = ("user", "item")
_RAREST = 0.1


class Slices:
    """Labels of a split, and which of its rows belong to which slice.

    `rare users` are the rows whose user is among the rarest tenth of the users that have
    an embedding of their own; `new users` those whose user has none, for fewer training
    rows than the feature's `min_count`; with a `min_count` of 1 that is none at all. The same
    for items.

    Args:
        labels: 0 or 1, `[rows]`.
        masks: slice name to bool `[rows]`.

    Example:

    ```python
    slices = Slices.of(stage, "test")
    slices.figures(model.predict(rows))["new items"]["auc"]
    ```
    """

    def __init__(self, labels: np.ndarray, masks: Mapping[str, np.ndarray]):
        self._labels = np.asarray(labels, np.int64)
        self._masks = {ALL: np.ones(len(self._labels), bool), **masks}

    @classmethod
    def of(cls, stage: Stage, split: str) -> Slices:
        """The slices of a split, in the order in which `stage.dataset` gives its rows."""
        names = {side: entity(stage.spec, stage.fields, side) for side in SIDES}
        names = {side: name for side, name in names.items() if name}
        labels, ids = [], {side: [] for side in names}
        for features, label in stage.dataset(split, stage.click_batch):
            labels.append(label.numpy())
            for side, name in names.items():
                ids[side].append(features[name].numpy())
        masks = {}
        for side, name in names.items():
            own = len(stage.tft_output.vocabulary_by_name(f"{name}_vocabulary"))
            rare, new = rare_and_new(np.concatenate(ids[side]), own)
            masks |= {f"rare {side}s": rare, f"new {side}s": new}
        return cls(np.concatenate(labels), masks)

    def figures(self, logits: np.ndarray) -> dict[str, dict[str, float | int | None]]:
        """Rows, AUC and logloss of each slice; None where a slice lacks a class."""
        probabilities = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
        found = {}
        for name, mask in self._masks.items():
            labels, predicted = self._labels[mask], probabilities[mask]
            both = len(np.unique(labels)) == 2
            found[name] = {
                "rows": int(mask.sum()),
                "auc": float(roc_auc_score(labels, predicted)) if both else None,
                "logloss": float(log_loss(labels, predicted, labels=[0, 1])) if both else None,
            }
        return found


def entity(spec: DatasetSpec, fields, side: str) -> str | None:
    """The categorical feature of a side with the most ids, the first of several: who or what a row is about."""
    ids = {f.name: f.num_ids for f in fields}
    names = [f.name for f in spec.side(side) if f.kind == "categorical" and f.name in ids]
    return max(names, key=ids.get, default=None)


def rare_and_new(ids: np.ndarray, own: int) -> tuple[np.ndarray, np.ndarray]:
    """Which rows are of the rarest tenth, and which of none with an embedding of its own.

    TensorFlow Transform numbers a vocabulary from the most frequent training value on, so
    that the rarest have the highest ids.

    Args:
        ids: transformed ids: 1 to `own` are known values, higher ones are not.
        own: size of the vocabulary.
    """
    rarest = math.ceil(_RAREST * own)
    return (ids > own - rarest) & (ids <= own), ids > own
