"""What the scored test rows say: intervals, differences, curves."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow.parquet
from tfx.dsl.io import fileio

from components.scorer.executor import FILE, SCORE, SLICE, TRAIN_ROWS
from models.spec.dataset_spec import LABEL
from pipeline.evaluated import AUC, CALIBRATION, LOGLOSS
from pipeline.report import estimate
from pipeline.report.estimate import Estimate

OVERALL = ""
# The curves' points: more than a screen shows would only make the page large.
_CURVE_POINTS = 160
_RELIABILITY_BINS = 10
_HISTOGRAM_BINS = 40
# Lower ends of the buckets of training rows; a bucket needs so many rows of each class to be shown.
_BUCKETS = (0, 1, 3, 10, 30, 100, 300, 1000)
_BUCKET_ROWS = 10


@dataclasses.dataclass(frozen=True)
class ModelFigures:
    """One model on one set of rows.

    Attributes:
        rows: how many.
        figures: `auc`, `logloss` and `calibration`; a metric that these rows do not define is absent.
        against: by the other model, differences of `auc` and `logloss`: the student's less its own.
    """

    rows: int
    figures: dict[str, Estimate]
    against: dict[str, dict[str, Estimate]] = dataclasses.field(default_factory=dict)


class ScoredRows:
    """Test rows with the scores of every model.

    Args:
        labels: 0 or 1, `[rows]`.
        scores: click probabilities by model, `[rows]`.
        slices: by feature, each row's values.
        train_rows: by feature, how many training rows have the row's value.

    Example:

    ```python
    rows = ScoredRows.read("root/sample/artifacts/Scorer/scored_rows/18")
    rows.figures(OVERALL, "student").figures["auc"]
    ```
    """

    def __init__(self, labels: np.ndarray, scores: Mapping[str, np.ndarray],
                 slices: Mapping[str, list] | None = None, train_rows: Mapping[str, np.ndarray] | None = None):
        self.labels, self.scores = np.asarray(labels), {n: np.asarray(s, float) for n, s in scores.items()}
        self.train_rows = {n: np.asarray(c) for n, c in (train_rows or {}).items()}
        self.slices = {OVERALL: np.arange(len(self.labels))}
        for feature, values in (slices or {}).items():
            members: dict[str, list[int]] = {}
            for row, found in enumerate(values):
                for value in dict.fromkeys(found):
                    members.setdefault(f"{feature} = {value}", []).append(row)
            self.slices.update({name: np.array(rows) for name, rows in sorted(members.items())})

    @classmethod
    def read(cls, uri: str) -> ScoredRows:
        """Of a `ScoredRows` artifact."""
        with fileio.open(os.path.join(uri, FILE), "rb") as stream:
            table = pyarrow.parquet.read_table(io.BytesIO(stream.read()))

        def columns(prefix: str) -> Iterator[tuple[str, pyarrow.ChunkedArray]]:
            return ((n.removeprefix(prefix), table[n]) for n in table.column_names if n.startswith(prefix))

        return cls(
            table[LABEL].to_numpy(), {n: c.to_numpy() for n, c in columns(SCORE)},
            {n: c.to_pylist() for n, c in columns(SLICE)}, {n: c.to_numpy() for n, c in columns(TRAIN_ROWS)})

    def figures(self, slice_name: str, model: str, values: Mapping[str, float] | None = None,
                others: Mapping[str, Mapping[str, float]] | None = None) -> ModelFigures:
        """A model's figures on a slice.

        Args:
            slice_name: `OVERALL`, or as TFMA's, `gender = F`.
            model: its name.
            values: the figures by the Evaluator, of the whole slice; the rows' own when absent. The
                intervals are put around these.
            others: the same of the models that it is compared with.
        """
        rows = self.slices[slice_name]
        own = self._own(rows, model)
        shown = {n: Estimate.normal((values or {}).get(n, value), error) for n, (value, error) in own.items()}
        against = {}
        for other in others or {}:
            differences = self._differences(rows, model, other)
            whole = {
                n: values[n] - others[other][n] for n in differences if n in (values or {}) and n in others[other]}
            against[other] = {
                n: Estimate.normal(whole.get(n, value), error) for n, (value, error) in differences.items()}
        return ModelFigures(len(rows), shown, against)

    def _own(self, rows: np.ndarray, model: str) -> dict[str, tuple[float, float | None]]:
        labels, scores = self.labels[rows], self.scores[model][rows]
        losses = estimate.logloss_rows(labels, scores)
        found = {LOGLOSS: (losses.mean(), estimate.mean_error(losses))}
        if labels.any():
            found[CALIBRATION] = scores.mean() / labels.mean(), estimate.calibration_error(labels, scores)
        if 0 < labels.sum() < len(labels):
            auc, *parts = estimate.auc_components(labels, scores)
            found[AUC] = auc, estimate.auc_error(*parts)
        return found

    def _differences(self, rows: np.ndarray, model: str, other: str) -> dict[str, tuple[float, float | None]]:
        """Paired: both models scored the same rows."""
        labels, first, second = self.labels[rows], self.scores[model][rows], self.scores[other][rows]
        losses = estimate.logloss_rows(labels, first) - estimate.logloss_rows(labels, second)
        found = {LOGLOSS: (losses.mean(), estimate.mean_error(losses))}
        if 0 < labels.sum() < len(labels):
            (auc, *parts), (other_auc, *other_parts) = (
                estimate.auc_components(labels, scores) for scores in (first, second))
            found[AUC] = auc - other_auc, estimate.auc_error(*(a - b for a, b in zip(parts, other_parts)))
        return found

    def roc(self, model: str) -> list[tuple[float, float]]:
        """Points (false positive rate, true positive rate)."""
        hits, misses = self._cumulative(model)
        return _thinned(misses / max(1, misses[-1]), hits / max(1, hits[-1]))

    def precision_recall(self, model: str) -> list[tuple[float, float]]:
        """Points (recall, precision), from the highest score down."""
        hits, misses = (counts[1:] for counts in self._cumulative(model))
        return _thinned(hits / max(1, hits[-1]), hits / (hits + misses))

    def reliability(self, model: str) -> list[tuple[float, Estimate, int]]:
        """Mean score, click rate and number of rows, of tenths of the rows by score."""
        scores = self.scores[model]
        tenths = np.array_split(np.argsort(scores, kind="stable"), _RELIABILITY_BINS)
        return [(float(scores[rows].mean()), estimate.wilson(int(self.labels[rows].sum()), len(rows)), len(rows))
                for rows in tenths if len(rows)]

    def histogram(self, model: str) -> list[tuple[float, float, int, float]]:
        """Bins: lower end, upper end, class, and the share of the class's rows in it."""
        found = []
        for label in (0, 1):
            own = self.scores[model][self.labels == label]
            counts, ends = np.histogram(own, _HISTOGRAM_BINS, (0, 1))
            found += [(float(a), float(b), label, int(c) / max(1, len(own)))
                      for a, b, c in zip(ends, ends[1:], counts) if c]
        return found

    def by_frequency(self, feature: str, model: str, other: str) -> list[tuple[str, int, Estimate]]:
        """The AUC gained over another model, by how many training rows the row's value has.

        Returns:
            Of each bucket that has rows enough: its name, its rows, the difference.
        """
        counts, found = self.train_rows[feature], []
        for low, high in zip(_BUCKETS, (*_BUCKETS[1:], np.inf)):
            rows = np.flatnonzero((counts >= low) & (counts < high))
            hits = int(self.labels[rows].sum())
            if min(hits, len(rows) - hits) < _BUCKET_ROWS:
                continue
            name = f"{low}" if high == low + 1 else f"{low}+" if high == np.inf else f"{low}–{high - 1}"
            found.append((name, len(rows), Estimate.normal(*self._differences(rows, model, other)[AUC])))
        return found

    def _cumulative(self, model: str) -> tuple[np.ndarray, np.ndarray]:
        """Positives and negatives at or above each distinct score, from none at all down to all."""
        scores, where = np.unique(-self.scores[model], return_inverse=True)
        hits = np.bincount(where, self.labels, len(scores)).cumsum()
        rows = np.bincount(where, minlength=len(scores)).cumsum()
        return np.concatenate([[0], hits]), np.concatenate([[0], rows - hits])


def _thinned(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    kept = np.unique(np.linspace(0, len(x) - 1, _CURVE_POINTS).round().astype(int))
    return [(round(float(x[i]), 5), round(float(y[i]), 5)) for i in kept]
