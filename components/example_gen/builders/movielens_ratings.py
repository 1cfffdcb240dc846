"""MovieLens 100K and 1M."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow_datasets as tfds

from components.example_gen.builders.archive import Archive
from components.example_gen.builders.official_file import OfficialFile
from components.example_gen.builders.row_builder import RowBuilder
from components.example_gen.rejected import Rejected
from components.example_gen.row import Row

_YEAR = re.compile(r"^(.*\S)\s*\((\d{4})\)$")
_ARCHIVES = {
    "100k": Archive(
        title="MovieLens 100K",
        homepage="https://grouplens.org/datasets/movielens/100k/",
        files=("u.data", "u.user", "u.item", "u.genre"),
        urls=("https://files.grouplens.org/datasets/movielens/ml-100k.zip",),
        folder="ml-100k",
    ),
    "1m": Archive(
        title="MovieLens 1M",
        homepage="https://grouplens.org/datasets/movielens/1m/",
        files=("ratings.dat", "users.dat", "movies.dat"),
        urls=("https://files.grouplens.org/datasets/movielens/ml-1m.zip",),
        folder="ml-1m",
    ),
}


class MovielensRatings(RowBuilder):
    """Ratings of films with the user's and the film's attributes, one row a rating.

    Config `100k`: `age` in years and `occupation` in words; config `1m`: both are the
    official codes. `title` is without the year, `genres` are joined by `|`.
    """

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name=name, description=archive.title) for name, archive in _ARCHIVES.items()
    ]
    COLUMNS = {
        "user_id": str,
        "gender": str,
        "age": str,
        "occupation": str,
        "zip_code": str,
        "movie_id": str,
        "title": str,
        "year": str,
        "genres": str,
        "rating": np.float32,
        "timestamp": np.int64,
    }
    CITATION = """@article{harper2015movielens,
  title={The MovieLens Datasets: History and Context},
  author={Harper, F. Maxwell and Konstan, Joseph A.},
  journal={ACM Transactions on Interactive Intelligent Systems},
  volume={5}, number={4}, year={2015}
}"""

    @classmethod
    def archive(cls, config: str | None) -> Archive:
        return _ARCHIVES[config]

    @classmethod
    def rows(cls, files: Mapping[str, OfficialFile], config: str | None) -> Iterator[Row | Rejected]:
        return movielens_rows(files, config)


def movielens_rows(files: Mapping[str, OfficialFile], config: str) -> Iterator[Row | Rejected]:
    """The ratings, joined with users and films; malformed lines of any file as `Rejected`.

    Args:
        files: as `MovielensRatings.archive(config).find(folder)` finds them.
        config: `100k` or `1m`.

    Example:

    ```python
    files = MovielensRatings.archive("1m").find("ml-1m")
    row = next(movielens_rows(files, "1m"))
    ```
    """
    if config == "100k":
        genres: dict[str, str] = {}
        yield from _load(files["u.genre"], "|", 2, genres, lambda fields: fields[1])
        # Flags stand in the order of the genres' numbers.
        names = sorted(genres, key=lambda name: int(genres[name]))
        separator, rating_file, user_file, movie_file = "\t", "u.data", "u.user", "u.item"
        item_width, item_separator, user_separator = 5 + len(names), "|", "|"
        user_of = _user_100k

        def movie_of(fields):
            return _movie(fields[0], fields[1], _flagged(names, fields[5:]))
    else:
        separator = item_separator = user_separator = "::"
        rating_file, user_file, movie_file, item_width = "ratings.dat", "users.dat", "movies.dat", 3
        user_of = _user_1m

        def movie_of(fields):
            return _movie(*fields)
    users, movies = {}, {}
    yield from _load(files[user_file], user_separator, 5, users, user_of)
    yield from _load(files[movie_file], item_separator, item_width, movies, movie_of)
    for line, text, fields in _lines(files[rating_file], separator):
        try:
            if len(fields) != 4:
                raise ValueError(f"has {len(fields)} fields, not 4")
            user_id, movie_id = fields[:2]
            if user_id not in users:
                raise ValueError(f"user {user_id!r} is not in {user_file}")
            if movie_id not in movies:
                raise ValueError(f"film {movie_id!r} is not in {movie_file}")
            values = {
                **users[user_id],
                **movies[movie_id],
                "rating": _number(float, "rating", fields[2]),
                "timestamp": _number(int, "timestamp", fields[3]),
            }
        except ValueError as error:
            yield Rejected(rating_file, line, str(error), text)
        else:
            yield Row(values, rating_file, line)


def _lines(file: OfficialFile, separator: str) -> Iterator[tuple[int, str, list[str]]]:
    with file.open() as stream:
        for line, data in enumerate(stream, 1):
            text = data.decode("latin-1").rstrip("\r\n")
            if text:
                yield line, text, text.split(separator)


def _load(file: OfficialFile, separator: str, width: int, table: dict, value: Callable) -> Iterator[Rejected]:
    """Adds every sound line's `value(fields)` to a table by its first field; yields the others."""
    for line, text, fields in _lines(file, separator):
        if len(fields) == width:
            table[fields[0]] = value(fields)
        else:
            yield Rejected(file.name, line, f"has {len(fields)} fields, not {width}", text)


def _user_100k(fields: list[str]) -> dict:
    return dict(zip(("user_id", "age", "gender", "occupation", "zip_code"), fields))


def _user_1m(fields: list[str]) -> dict:
    return dict(zip(("user_id", "gender", "age", "occupation", "zip_code"), fields))


def _movie(movie_id: str, title: str, genres: str) -> dict:
    match = _YEAR.match(title.strip())
    name, year = match.groups() if match else (title.strip(), "")
    return {"movie_id": movie_id, "title": name, "year": year, "genres": genres}


def _flagged(names: list[str], flags: list[str]) -> str:
    return "|".join(name for name, flag in zip(names, flags) if flag == "1")


def _number(convert: Callable, column: str, text: str):
    try:
        return convert(text)
    except ValueError:
        raise ValueError(f"column '{column}' is {text!r}, not a number") from None
