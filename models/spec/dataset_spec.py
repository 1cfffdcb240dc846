"""The dataset specification."""

from __future__ import annotations

import pathlib

import pydantic

from models.spec.base import SpecPart
from models.spec.errors import UserError
from models.spec.explain import did_you_mean, explain, read_yaml
from models.spec.feature import SIDES, Feature
from models.spec.label_rule import LabelRule
from models.spec.source import Source
from models.spec.split_rule import SplitRule

LABEL = "label"
# Whose entries have an embedding of their own; a context has none.
ENTITY_SIDES = ("user", "item")
OPENINGS = {"user": "This is a user", "item": "This is an item", "context": "This is the context"}


class DatasetSpec(SpecPart):
    """Everything the project knows about a log: the single source of truth.

    Args:
        name: short name, used in paths: letters, digits, dashes, underscores.
        description: one line for people.
        source: where the rows are.
        label: how a row becomes positive or negative.
        split: how rows are divided.
        openings: how each side's part of the sentence begins, as
            `{user: This is a user, item: This is a movie}`.
        ids: what an entry of a side is known by, as `{item: [movie_id, title]}`: categorical
            features whose values belong to one entry each, the id first. By default the
            side's first categorical feature whose name ends in `id`.
        features: the features, in the order the sentence names them.
        slices: names of features whose values define the evaluation's slices.

    Example:

    ```python
    spec = DatasetSpec.load("my.yaml")
    [f.name for f in spec.side("user")]
    ```
    """

    name: str = pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", examples=["my-log"])
    description: str = ""
    source: Source = pydantic.Field(examples=["{format: csv, path: clicks.csv}"])
    label: LabelRule = pydantic.Field(examples=["{column: clicked}"])
    split: SplitRule = SplitRule()
    openings: dict[str, str] = {}
    ids: dict[str, tuple[str, ...]] = {}
    features: tuple[Feature, ...] = pydantic.Field(
        min_length=1, examples=["[{name: city, side: user, kind: categorical}]"])
    slices: tuple[str, ...] = ()

    @pydantic.field_validator("openings")
    @classmethod
    def _openings_per_side(cls, value: dict[str, str]) -> dict[str, str]:
        _check_sides(value, SIDES)
        return {**OPENINGS, **value}

    @pydantic.field_validator("ids", mode="before")
    @classmethod
    def _one_id_or_several(cls, value):
        if not isinstance(value, dict):
            return value
        _check_sides(value, ENTITY_SIDES)
        return {side: (names,) if isinstance(names, str) else names for side, names in value.items()}

    @pydantic.model_validator(mode="after")
    def _references(self) -> DatasetSpec:
        names = [f.name for f in self.features]
        repeated = next((n for n in names if names.count(n) > 1), None)
        if repeated:
            raise ValueError(f"features: the name {repeated!r} stands twice; give each feature a name of its "
                             "own, and its column with the key column")
        for feature in self.features:
            self._check_feature(feature)
        self._check_ids()
        self._check_slices()
        self._check_columns()
        if self.source.daily != (self.split.by == "day"):
            raise ValueError(
                f"source.path: {self.source.path!r} is one log a day, so it needs split.by: day" if self.source.daily
                else "split.by: day needs one log a day: {YYYY}, {MM} and {DD}, or {SPAN}, in source.path")
        if not any(f.model for f in self.features):
            raise ValueError("features: all have model: false; the ID model needs at least one")
        return self

    def _check_feature(self, feature: Feature) -> None:
        where = f"features[{feature.name}]"
        if feature.source_column == self.label.column:
            raise ValueError(f"{where}.column: {feature.source_column!r} is the label's column; a feature "
                             "must not be the label")
        if feature.kind == "history":
            self._check_item(f"{where}.of", feature.of)
            if feature.model and not self.feature(feature.of).model:
                raise ValueError(f"{where}.of: {feature.of!r} has model: false, so it has no embedding to "
                                 "share; give it model: true, or this history model: false")
            if feature.history_text:
                self._check_item(f"{where}.text.feature", feature.text.feature)
        if feature.derive:
            for key in ("user", "time"):
                here, there = getattr(feature.derive, key), getattr(self.split, key)
                if here == self.label.column:
                    raise ValueError(f"{where}.derive.{key}: {here!r} is the label's column")
                if there and here != there:
                    raise ValueError(f"{where}.derive.{key}: {here!r} differs from split.{key}, {there!r}; "
                                     f"a log has one {key} column")

    def _check_item(self, where: str, name: str) -> None:
        items = [f.name for f in self.side("item") if f.kind == "categorical"]
        if name not in items:
            raise ValueError(f"{where}: {name!r} is no categorical item feature{did_you_mean(name, items)}; "
                             f"use one of them: {', '.join(items) or 'there is none yet, add one'}")

    def _check_ids(self) -> None:
        for side, names in self.ids.items():
            fit = [f.name for f in self.side(side) if f.kind == "categorical" and f.model and not f.hash_buckets]
            for name in names:
                if name in {f.name for f in self.side(side) if f.hash_buckets}:
                    raise ValueError(f"ids.{side}: {name!r} has hash_buckets, where new values get no row of their "
                                     "own; leave it out, or give it a vocabulary")
                if name not in fit:
                    raise ValueError(f"ids.{side}: {name!r} is no categorical {side} feature that the ID model reads"
                                     f"{did_you_mean(name, fit)}; there are: {', '.join(fit) or 'none'}")

    def _check_slices(self) -> None:
        fit = [f.name for f in self.features if f.kind in ("categorical", "set")]
        for name in self.slices:
            if name not in {f.name for f in self.features}:
                raise ValueError(f"slices: {name!r} is no feature{did_you_mean(name, fit)}; those that can "
                                 "be sliced by are "
                                 f"{', '.join(fit) or 'none: it needs a categorical or set'}")
            if name not in fit:
                raise ValueError(f"slices: {name!r} is {self.feature(name).kind}; a slice needs a "
                                 "categorical or set")
            if self.slices.count(name) > 1:
                raise ValueError(f"slices: {name!r} stands twice")

    def _check_columns(self) -> None:
        if len({(d.user, d.time) for d in (f.derive for f in self.features) if d}) > 1:
            raise ValueError("features: all derived histories need the same user and time columns")
        for key in ("key", "time", "user"):
            value = getattr(self.split, key)
            if self.label.column in (value if isinstance(value, tuple) else (value,)):
                raise ValueError(f"split.{key}: {self.label.column!r} is the label's column; rows must not "
                                 "be divided by their label")
        # A file without a header line says here what it holds, so every name can be checked at once.
        for column in self.columns if self.source.columns is not None else ():
            if column not in self.source.columns:
                raise ValueError(f"source.columns: has no {column!r}, which the specification reads"
                                 f"{did_you_mean(column, self.source.columns)}; it has "
                                 f"{', '.join(self.source.columns)}")

    def side(self, side: str) -> tuple[Feature, ...]:
        """Features of one side, in order."""
        return tuple(f for f in self.features if f.side == side)

    def feature(self, name: str) -> Feature:
        """The feature of that name. Raises KeyError when there is none."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    def entity_ids(self, side: str) -> tuple[str, ...]:
        """What an entry of a side is known by, its id first; see `ids`. Empty where nothing is its id."""
        if side in self.ids:
            return self.ids[side]
        named = (f.name for f in self.side(side) if f.kind == "categorical" and f.model and not f.hash_buckets)
        return tuple(name for name in named if name.lower().endswith("id"))[:1] if side in ENTITY_SIDES else ()

    @property
    def model_features(self) -> tuple[Feature, ...]:
        """Features the ID model reads, in order."""
        return tuple(f for f in self.features if f.model)

    @property
    def text_sides(self) -> tuple[str, ...]:
        """Sides with something to say, in order."""
        return tuple(s for s in SIDES if any(f.text for f in self.side(s)))

    @property
    def text_histories(self) -> tuple[Feature, ...]:
        """Histories that stand in the sentence."""
        return tuple(f for f in self.features if f.kind == "history" and f.text)

    @property
    def encoded_histories(self) -> tuple[Feature, ...]:
        """Text histories whose entries a frozen language model can encode one by one.

        An entry is encoded as its item's text, so there are none where the item side says
        nothing, as in a log of ids only.
        """
        return self.text_histories if "item" in self.text_sides else ()

    @property
    def derivation(self):
        """The `Derivation` shared by the derived histories, or None."""
        return next((f.derive for f in self.features if f.derive), None)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column of the log that is read, without repetition."""
        columns = [self.label.column, *(f.source_column for f in self.features)]
        columns += [self.split.time, self.split.user, *self.split.key]
        if self.derivation:
            columns += [self.derivation.user, self.derivation.time]
        return tuple(dict.fromkeys(c for c in columns if c))

    def to_json(self) -> str:
        """The specification as canonical JSON, for execution properties."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> DatasetSpec:
        """The inverse of `to_json`."""
        return cls.model_validate_json(text)

    @classmethod
    def load(cls, path: str | pathlib.Path) -> DatasetSpec:
        """Reads and validates a YAML file.

        A relative `source.path` is resolved against the file's own folder;
        `source.written_path` keeps it as it stands in the file.

        Raises:
            UserError: naming the file, the key, the value and what would be right.
        """
        path = pathlib.Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: is not valid UTF-8 (byte {error.start}); save the file as "
                            "UTF-8") from error
        spec = cls.parse(text, where=str(path))
        return spec.model_copy(update={"source": spec.source.resolved(path.parent)})

    @classmethod
    def parse(cls, text: str, where: str) -> DatasetSpec:
        """Validates YAML text; `where` names it in errors. Raises UserError."""
        data, tree = read_yaml(text, where)
        try:
            return cls.model_validate(data)
        except pydantic.ValidationError as error:
            raise UserError(explain(where, error, cls, data, tree)) from error


def _check_sides(given: dict, sides: tuple[str, ...]) -> None:
    unknown = sorted(set(map(str, given)) - set(sides))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no side{did_you_mean(unknown[0], sides)}; the sides are "
                         f"{', '.join(sides)}")
