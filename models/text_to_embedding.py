"""From an entity's text to the row of an embedding table that clicks would have given it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from models.spec.errors import UserError

# Rows that are worked on at once: each takes several times its size in double precision.
_BLOCK = 4096
# Times the mean variance of the vectors' directions: from a free fit to little more than the mean.
_PENALTIES = tuple(10.0 ** np.arange(-4, 4.5, 0.5))


class TextToEmbedding:
    """Makes embedding rows of new entries out of their texts.

    A new item or user has no clicks, so its id has no embedding of its own. Its text has
    a vector, though, and on the entries that were clicked often ("warm") one can learn
    how the one goes with the other. This is a weighted ridge regression from text vectors
    to embedding rows, as in cold-start content mapping (Gantner et al., ICDM 2010). An
    addition to CTRL (arXiv 2306.02841), which has nothing to say of new ids.

    * Text vectors are standardised column by column; the intercept is not penalised, so
      where text tells nothing every entry gets the warm entries' mean row.
    * An entry seen n times has the weight `n / (n + prior_count)`: its row is known with
      an error that falls as 1/n, beside a part that no text explains, which does not.
    * The penalty is the one with the least leave-one-out error, in closed form, over the
      warm entries alone: no click of a cold entry is ever looked at.

    Args:
        min_count: times an entry must have been seen in training to be learnt from.
        prior_count: where half of the greatest weight is reached.
        penalties: candidates, as multiples of the mean variance of the vectors'
            directions.

    Attributes:
        penalty: the candidate that was chosen.
        explained: share of the rows' variance that text explains on entries left out, 0
            being the mean row; the weights count.

    Raises:
        UserError: an option is out of range.

    Example:

    ```python
    mapping = TextToEmbedding().fit(vectors, rows_of(student, "movie_id")[ids], counts)
    rows = mapping.catalogue(new_ids, new_vectors, np.zeros(len(new_ids)))
    export_ctr_model(student, tft_output, spec, "serving_model_dir", {"movie_id": rows})
    ```
    """

    def __init__(self, min_count: int = 5, prior_count: float = 10.0, penalties: Sequence[float] = _PENALTIES):
        if min_count < 1:
            raise UserError(f"min_count is {min_count}; it must be 1 or more")
        if not prior_count >= 0:
            raise UserError(f"prior_count is {prior_count}; it must be 0 or more")
        if not len(penalties) or not min(penalties) > 0:
            raise UserError(f"penalties are {list(penalties)}; at least one is needed, all more than 0")
        self.min_count = min_count
        self.prior_count = prior_count
        self.penalties = tuple(penalties)
        self.penalty = None
        self.explained = None

    def fit(self, vectors: np.ndarray, rows: np.ndarray, counts: np.ndarray) -> TextToEmbedding:
        """Learns from the warm entries.

        Args:
            vectors: float [n, text width], the text vector of each entry.
            rows: float [n, row width], its row, as `embedding_rows.rows_of` gives it.
            counts: int [n], its rows in the training split. Entries with fewer than
                `min_count` are left out.

        Returns:
            Itself.

        Raises:
            UserError: the lengths differ, a value is not finite, or fewer than two entries
                are warm.
        """
        vectors, rows, counts = np.asarray(vectors), np.asarray(rows), np.asarray(counts)
        if not len(vectors) == len(rows) == len(counts):
            raise UserError(f"{len(vectors)} vectors, {len(rows)} rows and {len(counts)} counts; there must be "
                            "one of each for every entry")
        warm = np.flatnonzero(counts >= self.min_count)
        if len(warm) < 2:
            raise UserError(f"{len(warm)} of {len(counts)} entries have {self.min_count} training rows or more "
                            "(min_count); at least 2 must, to learn a map from text to embeddings")
        rows, counts = rows[warm].astype("float64"), counts[warm]
        for name, blocks in (("vectors", (x for _, x in _blocks(vectors, warm))), ("rows", [rows])):
            if not all(np.isfinite(values).all() for values in blocks):
                raise UserError(f"the {name} of the warm entries hold a value that is not finite")
        weights = counts / (counts + self.prior_count)
        self._standardise(vectors, warm, weights)
        self.mean_row = np.average(rows, axis=0, weights=weights)
        self._solve(vectors, warm, rows - self.mean_row, weights)
        return self

    def predict(self, vectors: np.ndarray) -> np.ndarray:
        """Rows for entries by their texts.

        Args:
            vectors: float [n, text width].

        Returns:
            Float32 [n, row width].
        """
        vectors = np.asarray(vectors)
        result = np.empty((len(vectors), len(self.mean_row)), "float32")
        for block, x in self._standardised(vectors, np.arange(len(vectors))):
            result[block] = x @ self._coefficients + self.mean_row
        return result

    def catalogue(self, values: Sequence[str], vectors: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
        """Rows for the entries that are not warm, as `serving.export.export_ctr_model` takes them.

        Args:
            values: n ids.
            vectors: float [n, text width].
            counts: int [n], rows of each in the training split.

        Returns:
            Row, float32 [row width], by id, of the entries seen fewer than `min_count`
            times; the others keep the rows they were trained to.
        """
        cold = np.flatnonzero(np.asarray(counts) < self.min_count)
        return dict(zip([values[i] for i in cold], self.predict(np.asarray(vectors)[cold])))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The fitted map as arrays, for a file."""
        return {
            "options": np.array([self.min_count, self.prior_count, self.penalty, self.explained]),
            "mean_row": self.mean_row, "mean": self._mean, "deviation": self._deviation,
            "coefficients": self._coefficients,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> TextToEmbedding:
        """The inverse of `to_arrays`: predicts the same rows."""
        min_count, prior_count, penalty, explained = arrays["options"].tolist()
        mapping = cls(int(min_count), prior_count)
        mapping.penalty, mapping.explained = penalty, explained
        mapping.mean_row, mapping._coefficients = arrays["mean_row"], arrays["coefficients"]
        mapping._mean, mapping._deviation = arrays["mean"], arrays["deviation"]
        return mapping

    def _standardise(self, vectors: np.ndarray, warm: np.ndarray, weights: np.ndarray) -> None:
        """Learns the weighted mean and deviation of each column."""
        self._mean = sum(weights[block] @ x for block, x in _blocks(vectors, warm)) / weights.sum()
        variance = sum(
            weights[block] @ (x - self._mean)**2 for block, x in _blocks(vectors, warm)) / weights.sum()
        deviation = np.sqrt(variance)
        # A column that does not vary says nothing; its rounding errors must not be blown up to a signal.
        self._deviation = np.where(deviation > 1e-6 * max(deviation.max(), 1e-30), deviation, np.inf)

    def _solve(self, vectors: np.ndarray, warm: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> None:
        """Ridge regression for every penalty, in the directions in which the vectors vary independently."""
        gram = sum(x.T @ (weights[block, None] * x) for block, x in self._standardised(vectors, warm))
        moments = sum(x.T @ (weights[block, None] * rows[block]) for block, x in self._standardised(vectors, warm))
        variances, directions = np.linalg.eigh(gram)
        variances = np.maximum(variances, 0.0)
        # Without any variance all penalties give the mean.
        scale = variances.mean() or 1.0
        shrunk = [1.0 / (variances + p * scale) for p in self.penalties]
        moments = directions.T @ moments
        errors = np.zeros(len(self.penalties))
        for block, x in self._standardised(vectors, warm):
            z, w = x @ directions, weights[block]
            for i, factors in enumerate(shrunk):
                # The entry's own share in its prediction, the intercept's part first.
                leverage = w * (1.0 / weights.sum() + z**2 @ factors)
                left_out = (rows[block] - z @ (factors[:, None] * moments)) / (1.0 - leverage)[:, None]
                errors[i] += w @ np.square(left_out).sum(axis=1)
        best = int(np.argmin(errors))
        self.penalty = self.penalties[best]
        self._coefficients = directions @ (shrunk[best][:, None] * moments)
        # Leaving an entry out moves the mean, too.
        alone = rows / (1.0 - weights / weights.sum())[:, None]
        spread = weights @ np.square(alone).sum(axis=1)
        self.explained = float(1.0 - errors[best] / spread) if spread else 0.0

    def _standardised(self, vectors: np.ndarray, entries: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        for block, x in _blocks(vectors, entries):
            yield block, (x - self._mean) / self._deviation


def _blocks(vectors: np.ndarray, entries: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """The vectors of some entries in double precision, some at a time; all at once would be a copy of them."""
    for start in range(0, len(entries), _BLOCK):
        block = slice(start, start + _BLOCK)
        yield block, vectors[entries[block]].astype("float64")
