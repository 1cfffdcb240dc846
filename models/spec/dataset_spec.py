"""The dataset specification."""

from __future__ import annotations

import pathlib

import pydantic
import yaml

from models.spec.base import SpecPart
from models.spec.errors import UserError
from models.spec.feature import SIDES, Feature
from models.spec.label_rule import LabelRule
from models.spec.source import Source
from models.spec.split_rule import SplitRule

LABEL = "label"


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
        features: the features, in the order the sentence names them.
        slices: names of features whose values define the evaluation's slices.

    Example:

    ```python
    spec = DatasetSpec.load("my.yaml")
    [f.name for f in spec.side("user")]
    ```
    """

    name: str = pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    description: str = ""
    source: Source
    label: LabelRule
    split: SplitRule = SplitRule()
    openings: dict[str, str] = {}
    features: tuple[Feature, ...] = pydantic.Field(min_length=1)
    slices: tuple[str, ...] = ()

    @pydantic.field_validator("openings")
    @classmethod
    def _openings_per_side(cls, value: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(value) - set(SIDES))
        if unknown:
            raise ValueError(f"has the key {unknown[0]!r}; the sides are {', '.join(SIDES)}")
        return {"user": "This is a user", "item": "This is an item", "context": "This is the context", **value}

    @pydantic.model_validator(mode="after")
    def _references(self) -> DatasetSpec:
        names = [f.name for f in self.features]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"features: the name {name!r} stands twice; names are unique")
        by_name = {f.name: f for f in self.features}
        items = [f.name for f in self.side("item") if f.kind == "categorical"]
        for feature in self.features:
            where = f"features.{feature.name}"
            if feature.kind == "history":
                if feature.of not in items:
                    raise ValueError(f"{where}.of: {feature.of!r} is no categorical item feature; there are: "
                                     f"{', '.join(items) or 'none'}")
                if feature.model and not by_name[feature.of].model:
                    raise ValueError(f"{where}.of: {feature.of!r} has model: false, so it has no embedding to share")
                if feature.text and feature.text.feature and feature.text.feature not in items:
                    raise ValueError(f"{where}.text.feature: {feature.text.feature!r} is no categorical item "
                                     f"feature; there are: {', '.join(items)}")
            if feature.source_column == self.label.column:
                raise ValueError(f"{where}.column: {feature.source_column!r} is the label's column; "
                                 "a feature must not be the label")
        for name in self.slices:
            if name not in by_name:
                raise ValueError(f"slices: {name!r} is no feature; there are: {', '.join(names)}")
            if by_name[name].kind in ("history", "numeric"):
                raise ValueError(f"slices: {name!r} is {by_name[name].kind}; a slice needs a categorical or set")
        if len({(d.user, d.time) for d in (f.derive for f in self.features) if d}) > 1:
            raise ValueError("features: all derived histories must name the same user and time columns")
        if not any(f.model for f in self.features):
            raise ValueError("features: all have model: false; the ID model needs at least one")
        return self

    def side(self, side: str) -> tuple[Feature, ...]:
        """Features of one side, in order."""
        return tuple(f for f in self.features if f.side == side)

    def feature(self, name: str) -> Feature:
        """The feature of that name. Raises KeyError when there is none."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    @property
    def model_features(self) -> tuple[Feature, ...]:
        """Features the ID model reads, in order."""
        return tuple(f for f in self.features if f.model)

    @property
    def text_sides(self) -> tuple[str, ...]:
        """Sides with something to say besides a history, in order."""
        return tuple(s for s in SIDES if any(f.text and f.kind != "history" for f in self.side(s)))

    @property
    def text_histories(self) -> tuple[Feature, ...]:
        """Histories that stand in the sentence."""
        return tuple(f for f in self.features if f.kind == "history" and f.text)

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

        A relative `source.path` is resolved against the file's own folder.

        Raises:
            UserError: naming the file, the key, the value and what would be right.
        """
        path = pathlib.Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from error
        spec = cls.parse(text, where=str(path))
        if spec.source.path and not pathlib.Path(spec.source.path).is_absolute() and "://" not in spec.source.path:
            resolved = str((path.parent / spec.source.path).resolve())
            spec = spec.model_copy(update={"source": spec.source.model_copy(update={"path": resolved})})
        return spec

    @classmethod
    def parse(cls, text: str, where: str) -> DatasetSpec:
        """Validates YAML text; `where` names it in errors. Raises UserError."""
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UserError(f"{where}: is no valid YAML: {error}") from error
        if not isinstance(data, dict):
            raise UserError(f"{where}: holds {type(data).__name__}, not the keys of a dataset specification")
        try:
            return cls.model_validate(data)
        except pydantic.ValidationError as error:
            raise UserError("\n".join(_explain(where, e, data) for e in error.errors())) from error


def _explain(where: str, error: dict, data: dict) -> str:
    """One readable line of a pydantic error: file, key, value, what would be right."""
    parts, value = [], data
    for key in error["loc"]:
        if isinstance(key, int):
            named = value[key].get("name") if isinstance(value[key], dict) else None
            parts.append(f"[{named or key}]")
        else:
            parts.append(f".{key}" if parts else str(key))
        value = value[key] if isinstance(value, (list, dict)) and (
            key in value if isinstance(value, dict) else key < len(value)) else None
    key = "".join(parts) or "the specification"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{where}: {key} is missing"
    if error["type"] == "extra_forbidden":
        return f"{where}: {key} is no known key; see the table of keys in the documentation"
    if isinstance(value, (dict, list)):
        return f"{where}: {key}: {message}"
    return f"{where}: {key}: {value!r}: {message}"
