"""How rows are divided into training, validation and test."""

from __future__ import annotations

import datetime
from typing import Literal

import pydantic

from models.spec.base import SpecPart
from models.spec.iso_time import read_iso_time

SPLITS = ("train", "validation", "test")


class SplitRule(SpecPart):
    """The division of a log into `train`, `validation` and `test`.

    Args:
        by: `hash` (random, by a stable hash of `key`), `time` (one global cut: the
            newest rows are the test), `user_time` (a cut per user) or `day` (of daily logs the
            newest is the test, and the days before are divided between train and validation
            by hash, in the proportion of their fractions).
        time: the column of the interaction's time, a number (seconds, days...) or an
            ISO 8601 date. For `time` and `user_time`.
        user: the column that says whose row it is. For `user_time`.
        key: the columns that are hashed for `hash` and `day`; rows that agree in all of them
            land in the same split. When absent, all columns that the specification
            reads are hashed, so adding a feature moves rows to other splits; name a key
            (the user's and the item's id) to keep them.
        test_from: for `time`: rows at or after this time are the test, and the rest is
            divided between train and validation by hash in the proportion of their
            fractions (days 1 to 7 against day 8).
        fractions: share of each split. They sum to 1.
    """

    by: Literal["hash", "time", "user_time", "day"] = "hash"
    time: str | None = None
    user: str | None = None
    key: tuple[str, ...] = ()
    test_from: float | str | None = None
    fractions: dict[str, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}

    @pydantic.field_validator("test_from", mode="before")
    @classmethod
    def _test_from_is_a_time(cls, value):
        if isinstance(value, datetime.date):  # YAML reads an unquoted date as one
            return value.isoformat()
        if value is None or isinstance(value, (int, float)):
            return value
        for read in (float, read_iso_time):
            try:
                read(str(value))
                return value
            except ValueError:
                continue
        raise ValueError("is no time: use a number like those of the time column, or an ISO 8601 date as "
                         "2017-05-13")

    @pydantic.field_validator("key")
    @classmethod
    def _unique_key(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        repeated = next((c for c in value if value.count(c) > 1), None)
        if repeated:
            raise ValueError(f"has {repeated!r} twice")
        return value

    @pydantic.field_validator("fractions")
    @classmethod
    def _fractions_sum_to_one(cls, value: dict[str, float]) -> dict[str, float]:
        if set(value) != set(SPLITS):
            raise ValueError(f"needs exactly the keys {', '.join(SPLITS)}; it has "
                             f"{', '.join(value) or 'none'}")
        if min(value.values()) <= 0 or abs(sum(value.values()) - 1) > 1e-6:
            raise ValueError(f"needs three positive numbers that sum to 1, as 0.8, 0.1, 0.1; these sum to "
                             f"{sum(value.values()):g}")
        return value

    @pydantic.model_validator(mode="after")
    def _columns_for_the_kind(self) -> SplitRule:
        if self.by in ("time", "user_time") and not self.time:
            raise ValueError(f"by: {self.by} needs the key time, the column of the interaction's time")
        if self.by == "user_time" and not self.user:
            raise ValueError("by: user_time needs the key user, the column of the user's id")
        if self.test_from is not None and self.by != "time":
            raise ValueError(f"test_from goes with by: time; this split is by: {self.by}")
        if self.key and not self.hashed:
            raise ValueError(f"key goes with by: hash, by: day, or with test_from; this split is by: {self.by}")
        return self

    @property
    def hashed(self) -> bool:
        """Whether some rows are divided by a hash of `key`."""
        return self.by in ("hash", "day") or self.test_from is not None

    @property
    def written(self) -> tuple[str, ...]:
        """The splits that ingestion writes: a day is the test as a whole, and only while it is the newest."""
        return SPLITS[:2] if self.by == "day" else SPLITS
