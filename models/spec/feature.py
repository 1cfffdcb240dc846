"""What a feature is."""

from __future__ import annotations

from typing import Literal

import pydantic

from models.spec.base import SpecPart

SIDES = ("user", "item", "context")
# Names of the pipeline's own values beside the features.
# `k` is an input of the served model: how many of the best items are wanted.
RESERVED_NAMES = ("label", "token_ids", "k")
RESERVED_ENDINGS = ("_sentence", "_text_key", "_text", "_value")
# Keys that say nothing to the other kinds; setting one there is a mistake worth hearing of.
KEYS_OF_KINDS = {
    "separator": ("set", "history"),
    "max_length": ("set", "history"),
    "of": ("history",),
    "derive": ("history",),
    "min_count": ("categorical", "set"),
    "max_values": ("categorical", "set"),
    "oov_buckets": ("categorical", "set"),
    "hash_buckets": ("categorical", "set"),
    "buckets": ("numeric",),
}


class TextRule(SpecPart):
    """How a feature reads in the sentence.

    Args:
        phrase: the words, with `{}` where the value goes, as `gender is {}`.
        values: what a raw value is called, as `1: under 18`; others stand as they are.
        separator: between the entries of a set or history.
        missing: the whole phrase for a missing or empty value, as
            `age is unknown`; absent, a missing value leaves the feature out.
        feature: for a derived history: the item feature whose values are written
            (a title) in place of the entries themselves (an id).
    """

    phrase: str = pydantic.Field(examples=['"age is {}"'])
    values: dict[str, str] = {}
    separator: str = "|"
    missing: str | None = None
    feature: str | None = None

    @pydantic.field_validator("phrase")
    @classmethod
    def _has_one_place(cls, value: str) -> str:
        if value.count("{}") != 1:
            raise ValueError('needs {} once, where the value goes, as "age is {}"')
        return value

    @pydantic.field_validator("values", mode="before")
    @classmethod
    def _keys_are_text(cls, value):
        if not isinstance(value, dict):
            return value
        for word in (*value, *value.values()):
            if word is None or isinstance(word, bool):
                raise ValueError(f"YAML reads an entry as {word}; put yes, no, on, off, true, false and null "
                                 "in "
                                 'quotes, as "no": never')
        return {str(k): str(v) for k, v in value.items()}


class Derivation(SpecPart):
    """How a history is built from the log itself, out of strictly earlier rows only.

    Args:
        user: the column that says whose history it is.
        time: the column that orders it. Rows of the same time do not see each other.
        where: `positive` keeps earlier rows with a positive label, `any` keeps all.
    """

    user: str = pydantic.Field(examples=["user_id"])
    time: str = pydantic.Field(examples=["timestamp"])
    where: Literal["positive", "any"] = "positive"


class Feature(SpecPart):
    """One feature of a log.

    Args:
        name: its name in examples, models and requests: letters, digits, underscores.
        side: `user`, `item` or `context`.
        kind: `categorical` (one string), `numeric` (one number), `set` (some strings)
            or `history` (some strings, newest last).
        column: the log's column, when it is not called like the feature.
        separator: between the entries of a set or history inside one CSV cell.
        max_length: entries kept of a set (the first) or a history (the newest).
        of: for a history: the categorical item feature its entries are values of; they
            share its vocabulary and embedding.
        derive: for a history: build it from the log instead of reading a column.
        text: how it reads in the sentence; `false` leaves it out. By default
            `<name> is {}`, and nothing for a feature whose name ends in `id`.
        model: whether the ID model reads it.
        min_count: training rows a value needs to get an embedding of its own.
        max_values: embeddings of their own at most: of the most frequent values; absent, of all.
        oov_buckets: embeddings shared by the values without one.
        hash_buckets: embeddings that all values share by their hash, in place of a vocabulary.
        buckets: quantile buckets of a numeric feature.
    """

    name: str = pydantic.Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", examples=["city"])
    side: Literal["user", "item", "context"] = pydantic.Field(examples=["user"])
    kind: Literal["categorical", "numeric", "set", "history"] = pydantic.Field(examples=["categorical"])
    column: str | None = None
    separator: str = pydantic.Field("|", min_length=1)
    max_length: int = pydantic.Field(10, ge=1)
    of: str | None = None
    derive: Derivation | None = None
    text: TextRule | None = None
    model: bool = True
    min_count: int = pydantic.Field(2, ge=1)
    max_values: int | None = pydantic.Field(None, ge=1)
    oov_buckets: int = pydantic.Field(1, ge=1)
    hash_buckets: int | None = pydantic.Field(None, ge=2)
    buckets: int = pydantic.Field(16, ge=2)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _defaults(cls, data):
        if not isinstance(data, dict) or not isinstance(data.get("name"), str):
            return data
        data = dict(data)
        name = data["name"]
        if data.get("text") is False:
            data["text"] = None
        elif data.get("text") is True or "text" not in data:
            phrase = name.replace("_", " ") + " is {}"
            data["text"] = None if name.lower().endswith("id") and "text" not in data else {"phrase": phrase}
        elif isinstance(data["text"], str):
            data["text"] = {"phrase": data["text"]}
        return data

    @pydantic.field_validator("name")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value in RESERVED_NAMES or value.endswith(RESERVED_ENDINGS):
            raise ValueError(f"is reserved, like {', '.join(RESERVED_NAMES)} and every name that ends in "
                             f"{', '.join(RESERVED_ENDINGS)}; choose another, and name the column with the "
                             "key column")
        return value

    @pydantic.model_validator(mode="after")
    def _keys_fit_the_kind(self) -> Feature:
        for key, kinds in KEYS_OF_KINDS.items():
            # Compared with the default, since a specification read from JSON has every key.
            if self.kind not in kinds and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} is for kind: {' or '.join(kinds)}; this feature is {self.kind}")
        if self.hash_buckets:
            for key in ("min_count", "max_values", "oov_buckets"):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(f"{key} is for a vocabulary, and hash_buckets takes the place of one; leave out "
                                     f"{key} or hash_buckets")
        if self.kind == "history" and not self.of:
            raise ValueError("a history needs the key of: the item feature its entries are values of")
        if self.derive and self.column:
            raise ValueError("a history has a column or is derived, not both; leave out column or derive")
        if self.text and self.text.feature and not self.derive:
            raise ValueError("text.feature is for a derived history only; any other feature writes its "
                             "values as they are")
        return self

    @property
    def row_column(self) -> str:
        """What a request's row calls it: its column in the log, or the name of a history that is derived."""
        return self.source_column or self.name

    @property
    def source_column(self) -> str | None:
        """The log's column, or None for a derived history."""
        return None if self.derive else self.column or self.name

    @property
    def is_list(self) -> bool:
        """Whether a row may hold several values."""
        return self.kind in ("set", "history")

    @property
    def history_text(self) -> str | None:
        """The example key of a derived history's words, when they are not its entries."""
        return f"{self.name}_text" if self.text and self.text.feature else None
