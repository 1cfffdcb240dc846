"""Writes a synthetic click log of any size.

    python -m benchmarks.scale.log --rows 1000000 FOLDER

Ids are drawn by Zipf's law, clicks by a model of latent factors, so that there is something to
learn: from the ids, from category and brand, and from the items of a user's history. Every file
is made by itself from the seed and its number: memory does not grow with the rows.
"""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

USERS, ITEMS = 100_000, 20_000
# Of Zipf's law: the k-th most frequent of them comes up in proportion to 1 / k ** exponent.
_USER_EXPONENT, _ITEM_EXPONENT = 0.8, 1.0
_FACTORS = 8
_HISTORY = 5
_ROWS_A_FILE = 500_000
_MIN_FILES = 4
_DAY = 86_400
_START = 1_700_000_000
_GENDERS, _AGES = ("female", "male"), ("18 to 29", "30 to 44", "45 to 59", "60 and older")
_CITIES = ("Ashford", "Brackwater", "Eastvale", "Greyhaven", "Kilmoor", "Lindow", "Ostwick", "Pellham")
_CATEGORIES = ("books", "fashion", "garden", "kitchen", "music", "office", "sports", "toys", "travel", "garage")
_BRANDS = tuple(f"{a}{b}" for a in ("Al", "Bre", "Cor", "Dun", "Es") for b in ("den", "low", "mar", "ton", "wick"))
_WORDS = ("Amber", "Birch", "Cedar", "Dusk", "Ember", "Frost", "Grove", "Harbor", "Iris", "Juniper")
_DEVICES = ("desktop", "phone", "tablet")
# Of the logit: a click rate of about a quarter.
_BIAS = -1.4


class ScaleLog:
    """Users, items and their tastes; the rows follow from them, file by file.

    Args:
        rows: of the whole log.
        seed: the same gives the same files.
        rows_a_file: of one file.

    Example:

    ```python
    ScaleLog(rows=1_000_000, seed=1).write(pathlib.Path("log"))  # clicks-00000.csv, ...
    ```
    """

    def __init__(self, rows: int, seed: int = 1, rows_a_file: int = _ROWS_A_FILE):
        self._rows = rows
        self._seed = seed
        self._bounds = np.linspace(0, rows, max(_MIN_FILES, -(-rows // rows_a_file)) + 1).astype(int)
        rng = np.random.default_rng([seed])
        self._user = _Zipf(USERS, _USER_EXPONENT, rng)
        self._item = _Zipf(ITEMS, _ITEM_EXPONENT, rng)
        self._category = rng.integers(len(_CATEGORIES), size=ITEMS)
        # Items of one category are alike, and so are those whom they please.
        centre = rng.normal(size=(len(_CATEGORIES), _FACTORS))
        self._item_factors = (centre[self._category] + 0.7 * rng.normal(size=(ITEMS, _FACTORS))).astype(np.float32)
        self._user_factors = (rng.normal(size=(USERS, _FACTORS)) / _FACTORS ** 0.5).astype(np.float32)
        self._quality = (0.5 * rng.normal(size=ITEMS)).astype(np.float32)
        self._price = np.round(np.exp(rng.normal(3, 0.8, ITEMS)), 2)
        self._texts = {
            "user_id": _ids("u", USERS), "item_id": _ids("i", ITEMS), "title": _titles(self._category),
            "category": pa.array(np.array(_CATEGORIES)[self._category]),
            "brand": _drawn(_BRANDS, ITEMS, rng), "gender": _drawn(_GENDERS, USERS, rng),
            "age_group": _drawn(_AGES, USERS, rng), "city": _drawn(_CITIES, USERS, rng)}
        # Where a category's items begin in the order of categories: a history is drawn from one.
        self._by_category = np.argsort(self._category, kind="stable")
        self._starts = np.searchsorted(self._category[self._by_category], np.arange(len(_CATEGORIES) + 1))
        self._favourite = (self._user_factors @ centre.T.astype(np.float32)).argmax(1)

    def write(self, folder: pathlib.Path) -> Iterator[pathlib.Path]:
        """Writes the files that are not there yet, and yields each.

        A file that was begun is written again; nothing but its own rows is in memory.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(len(self._bounds) - 1):
            path = folder / f"clicks-{number:05d}.csv"
            if not path.exists():
                begun = path.with_suffix(".begun")
                csv.write_csv(self.table(number), begun)
                begun.rename(path)
            yield path

    def table(self, number: int) -> pa.Table:
        """The rows of one file."""
        start, stop = self._bounds[number], self._bounds[number + 1]
        count = stop - start
        rng = np.random.default_rng([self._seed, number + 1])
        user, item = self._user.draw(count, rng), self._item.draw(count, rng)
        second = np.arange(start, stop) * _DAY // self._rows
        logit = (self._user_factors[user] * self._item_factors[item]).sum(1) + self._quality[item] + _BIAS
        columns = {
            "timestamp": pa.array(second + _START),
            "clicked": pa.array((rng.logistic(size=count) < logit).astype(np.int8)),
            "recent_items": self._history(user, rng), "price": pa.array(self._price[item]),
            "device": _drawn(_DEVICES, count, rng), "hour": pa.array(second // 3600)}
        for name in ("user_id", "gender", "age_group", "city"):
            columns[name] = self._texts[name].take(pa.array(user))
        for name in ("item_id", "title", "category", "brand"):
            columns[name] = self._texts[name].take(pa.array(item))
        return pa.table(columns)

    def _history(self, user: np.ndarray, rng: np.random.Generator) -> pa.Array:
        """Items of each user's favourite category."""
        favourite = self._favourite[user]
        starts, sizes = self._starts[favourite], self._starts[favourite + 1] - self._starts[favourite]
        drawn = [self._by_category[starts + (rng.random(len(user)) * sizes).astype(int)] for _ in range(_HISTORY)]
        return pc.binary_join_element_wise(*(self._texts["item_id"].take(pa.array(d)) for d in drawn), "|")


class _Zipf:
    """Draws numbers below `count` by Zipf's law; which of them are frequent is left to chance."""

    def __init__(self, count: int, exponent: float, rng: np.random.Generator):
        weights = np.arange(1, count + 1) ** -exponent
        self._cumulative = np.cumsum(weights) / weights.sum()
        self._order = rng.permutation(count)

    def draw(self, size: int, rng: np.random.Generator) -> np.ndarray:
        rank = np.searchsorted(self._cumulative, rng.random(size), side="right")
        return self._order[np.minimum(rank, len(self._order) - 1)]


def _ids(prefix: str, count: int) -> pa.Array:
    return pa.array([f"{prefix}{i:06d}" for i in range(count)])


def _titles(category: np.ndarray) -> pa.Array:
    """A title for each item, distinct: two words, the category and a number."""
    n = len(_WORDS)
    return pa.array([f"{_WORDS[i % n]} {_WORDS[i // n % n]} {_CATEGORIES[c]} {i // (n * n)}"
                     for i, c in enumerate(category)])


def _drawn(values: tuple[str, ...], count: int, rng: np.random.Generator) -> pa.Array:
    return pa.array(values).take(pa.array(rng.integers(len(values), size=count)))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.rows < 1:
        parser.error(f"--rows is {options.rows}; it must be 1 or more")
    for path in ScaleLog(options.rows, options.seed).write(options.folder):
        print(path, flush=True)


if __name__ == "__main__":
    main()
