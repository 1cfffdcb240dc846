"""Where a log is and how its files are read."""

from __future__ import annotations

import pathlib
import re
from typing import Literal

import pydantic

from models.spec.base import SpecPart

# TFX's own words for the day of a log in its path.
DATE_PARTS = ("{YYYY}", "{MM}", "{DD}")
SPAN = re.compile(r"\{SPAN(?::(\d+))?\}")


class Source(SpecPart):
    """Where the rows of a log come from.

    Args:
        format: `csv`, `parquet`, `tfrecord` (of `tf.train.Example`) or `tfds`
            (a tensorflow-datasets builder).
        path: glob of the files, relative to the specification's own folder, or to
            `--data-dir` when that is given; of a path that leads out of that folder
            (absolute, or with `..`) `--data-dir` takes the last part. A URI, as
            `gs://bucket/log/*.csv`, stays as it is. Not for `tfds`. With
            `{YYYY}`, `{MM}` and `{DD}`, or `{SPAN}` (a number; `{SPAN:3}` has three digits), as in
            TFX, it stands for one log a day.
        builder: name of a tensorflow-datasets builder, with its config after a
            slash, as `movielens_ratings/1m`. Only for `tfds`.
        tfds_split: the split of the builder that is read. Only for `tfds`.
        delimiter: one character between two CSV columns.
        encoding: text encoding of CSV files.
        decimal: the decimal sign of numbers in CSV files, `.` or `,`.
        columns: column names of CSV files that have no header line; absent when
            the first line is the header.
        compression: `gzip` or `none`, for TFRecord files; `auto` goes by `.gz`.
    """

    format: Literal["csv", "parquet", "tfrecord", "tfds"] = pydantic.Field(examples=["csv"])
    path: str | None = None
    builder: str | None = None
    tfds_split: str = "train"
    delimiter: str = pydantic.Field(",", min_length=1, max_length=1)
    encoding: str = "utf-8"
    decimal: str = "."
    columns: tuple[str, ...] | None = None
    compression: Literal["auto", "gzip", "none"] = "auto"
    # As the specification says it, once `path` is resolved: what `--data-dir` is joined with.
    _written_path: str | None = pydantic.PrivateAttr(None)

    @pydantic.field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError:
            raise ValueError("is no text encoding Python knows; for example utf-8 or latin-1") from None
        return value

    @pydantic.field_validator("decimal")
    @classmethod
    def _known_decimal(cls, value: str) -> str:
        if value not in (".", ","):
            raise ValueError('is no decimal sign; use "." or ",", in quotes')
        return value

    @pydantic.field_validator("columns")
    @classmethod
    def _unique_columns(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        repeated = next((c for c in value or () if value.count(c) > 1), None)
        if repeated:
            raise ValueError(f"has {repeated!r} twice; each column needs a name of its own")
        return value

    @pydantic.model_validator(mode="after")
    def _path_or_builder(self) -> Source:
        if self.format == "tfds":
            if not self.builder:
                raise ValueError("format tfds needs the key builder, a tensorflow-datasets name, as "
                                 "movielens_ratings/1m")
            if self.path is not None:
                raise ValueError("format tfds takes no path; use --data-dir for the official files")
        else:
            if not self.path:
                raise ValueError(f"format {self.format} needs the key path, a glob of the log's files, as "
                                 f"clicks/*.{self.format}")
            if self.builder is not None:
                raise ValueError(f"format {self.format} takes no builder; that is for format tfds")
        self._check_pattern()
        if self.columns is not None and self.format != "csv":
            raise ValueError(f"columns is for format csv only; {self.format} files name their columns "
                             "themselves")
        if self.decimal != "." and self.format != "csv":
            raise ValueError(f"decimal is for format csv only; {self.format} files hold numbers as such")
        return self

    def _check_pattern(self) -> None:
        path = self.path or ""
        dates = [path.count(part) for part in DATE_PARTS]
        spans = len(SPAN.findall(path))
        if "{VERSION" in path or ("{SPAN" in path and not spans):
            raise ValueError(f"path {path!r}: of TFX's patterns there are {{SPAN}}, {{SPAN:width}} with a number, "
                             "{YYYY}, {MM} and {DD}")
        if any(dates) and dates != [1, 1, 1]:
            raise ValueError(f"path {path!r}: a date needs each of {', '.join(DATE_PARTS)} once")
        if spans > 1 or (spans and any(dates)):
            raise ValueError(f"path {path!r}: says the day more than once; use {{SPAN}} once, or a date")

    @property
    def daily(self) -> bool:
        """Whether `path` stands for one log a day."""
        return self.path is not None and bool(SPAN.search(self.path) or DATE_PARTS[0] in self.path)

    @property
    def written_path(self) -> str | None:
        """`path` before `resolved` changed it."""
        return self._written_path or self.path

    @property
    def tail(self) -> str | None:
        """`path` without the folders above the log: its last part, or all from the one that says the day."""
        if self.path is None:
            return None
        parts = self.path.split("/")
        first = next((i for i, part in enumerate(parts) if SPAN.search(part) or any(d in part for d in DATE_PARTS)), -1)
        return "/".join(parts[first:])

    def resolved(self, folder: pathlib.Path) -> Source:
        """This source with a relative `path` joined to the specification's own folder."""
        if not self.path or "://" in self.path:
            return self
        written = pathlib.Path(self.path).expanduser()
        source = self.model_copy(update={"path": str((folder / written).resolve())})
        source._written_path = str(written)
        return source
