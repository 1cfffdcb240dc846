"""The rows that the benchmark of training speed trains on: one id a field, so that every library can read them."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping

import numpy as np

# Distinct values in MovieLens 1M.
_SYNTHETIC = {"user": 6040, "item": 3706, "gender": 2, "age": 7, "occupation": 21, "zip": 3439, "year": 81, "genre": 18}
_LABEL = "label"


class SpeedLog:
    """Columns of ids, from 1 on in each field, and a label of 0 or 1.

    Args:
        columns: field to int64 ids `[rows]`; the order is the fields' order.
        label: int64 `[rows]`.
        values: field to the number of its values, where not all of them are in the rows.

    Example:

    ```python
    log = SpeedLog.synthetic(rows=1000, seed=1)
    log.num_ids["gender"]  # 3: the padding row 0 and two values
    ```
    """

    def __init__(self, columns: Mapping[str, np.ndarray], label: np.ndarray, values: Mapping[str, int] | None = None):
        self.columns = dict(columns)
        self.label = label
        values = values or {name: int(ids.max()) for name, ids in columns.items()}
        # Rows of each field's embedding table, the padding row 0 included.
        self.num_ids = {name: n + 1 for name, n in values.items()}

    @classmethod
    def synthetic(cls, rows: int, seed: int) -> SpeedLog:
        """A log of MovieLens 1M's shape: its fields and numbers of values, a few of them popular.

        As there, a user always has the same age and an item the same genre.
        """
        rng = np.random.default_rng(seed)
        user, item = (_popular(rng, _SYNTHETIC[name], rows) for name in ("user", "item"))
        columns = {"user": user, "item": item}
        for name, values in list(_SYNTHETIC.items())[2:]:
            owner = item if name in ("year", "genre") else user
            columns[name] = rng.integers(1, values + 1, _SYNTHETIC["user"] + 1)[owner]
        taste = rng.normal(size=item.max() + 1)[item] + rng.normal(size=user.max() + 1)[user]
        return cls(columns, (taste > rng.normal(size=rows)).astype(np.int64), _SYNTHETIC)

    @classmethod
    def movielens(cls, folder: pathlib.Path, rows: int | None = None) -> SpeedLog:
        """MovieLens 1M in its file's order: rating above 3 against below, 3 left out; a film's first genre alone.

        Args:
            folder: holds the official `ratings.dat`, `users.dat` and `movies.dat`.
            rows: takes the first so many of them; None takes all.

        Raises:
            OSError: a file cannot be read.
        """
        users = {row[0]: row[1:5] for row in _lines(folder / "users.dat")}
        films = {row[0]: (row[1][-5:-1], row[2].split("|")[0]) for row in _lines(folder / "movies.dat")}
        ratings = [row[:3] for row in _lines(folder / "ratings.dat") if row[2] != "3"][:rows]
        values = zip(*((user, item, *users[user], *films[item]) for user, item, _ in ratings))
        columns = {name: np.unique(column, return_inverse=True)[1] + 1 for name, column in zip(_SYNTHETIC, values)}
        return cls(columns, np.array([int(rating) > 3 for *_, rating in ratings], np.int64))

    def save(self, path: pathlib.Path) -> None:
        """Writes the columns and the label as an uncompressed `.npz`; the numbers of values are not kept."""
        np.savez(path, **self.columns, **{_LABEL: self.label})

    @classmethod
    def load(cls, path: pathlib.Path) -> SpeedLog:
        """What `save` wrote."""
        with np.load(path) as arrays:
            columns = {name: arrays[name] for name in arrays.files}
        return cls(columns, columns.pop(_LABEL))

    def write_tfrecord(self, path: pathlib.Path) -> None:
        """Writes a gzipped TFRecord of Examples, as Transform leaves them: one file a split on one machine."""
        import tensorflow as tf

        names = [*self.columns, _LABEL]
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for values in np.column_stack([*self.columns.values(), self.label]).tolist():
                example = tf.train.Example()
                for name, value in zip(names, values):
                    example.features.feature[name].int64_list.value.append(value)
                writer.write(example.SerializeToString())


def _popular(rng: np.random.Generator, values: int, rows: int) -> np.ndarray:
    """Ids of which some are far more frequent than others."""
    weights = 1 / (np.arange(values) + 0.05 * values)
    return rng.choice(values, rows, p=weights / weights.sum()) + 1


def _lines(path: pathlib.Path) -> Iterator[list[str]]:
    with open(path, encoding="latin-1") as file:
        for line in file:
            yield line.rstrip("\n").split("::")
