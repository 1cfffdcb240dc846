"""A file of catalogue entries: items or users, whether anybody clicked them or not."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from models.feature_values import feature_values
from models.spec.dataset_spec import ENTITY_SIDES, DatasetSpec
from models.spec.errors import UserError
from serving.rows import read_rows

if TYPE_CHECKING:
    from models.catalogue_rows import CatalogueRows

# Rows that an error names, at most.
_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """The entries of a catalogue, read as ingestion reads the log.

    Args:
        side: `item` or `user`.
        entries: for each entry, values by feature: those that the side is known by and
            those that stand in its text.
        rejected: what is wrong with each row that is left out, with file, line and column.

    Example:

    ```python
    catalogue = Catalogue.read("items.csv", spec, "item")
    [entry["movie_id"] for entry in catalogue.entries]  # [["9001"], ["9002"]]
    ```
    """

    side: str
    entries: tuple[dict[str, list], ...]
    rejected: tuple[str, ...]

    @classmethod
    def read(cls, path: str | pathlib.Path, spec: DatasetSpec, side: str) -> Catalogue:
        """Reads a CSV or JSONL file with the log's columns; others than the side's may be absent.

        Args:
            path: the file; see `serving.rows.read_rows`.
            spec: the dataset specification.
            side: whose entries they are.

        Raises:
            UserError: the side has no id or no text, or the file cannot be read, lacks a
                column or holds no row that can be used.
        """
        check_side(spec, side)
        ids = spec.entity_ids(side)
        texts = (f.name for f in spec.side(side) if f.text and f.kind != "history")
        features = [spec.feature(name) for name in dict.fromkeys([*ids, *texts])]
        id_column = spec.feature(ids[0]).source_column
        entries, rejected, places = [], [], {}
        for where, row in read_rows(path, spec):
            if not places and not rejected:
                _check_columns(path, [f.source_column for f in features], row, side)
            try:
                values = {f.name: feature_values(f, row.get(f.source_column), spec.source.decimal) for f in features}
            except ValueError as error:
                rejected.append(f"{where}: {error}")
                continue
            value = next(iter(values[ids[0]]), "")
            if not value:
                rejected.append(f"{where}: column '{id_column}' is empty; it is the {side}'s id")
            elif {"\n", "\r"} & set(value):
                rejected.append(f"{where}: column '{id_column}' is {value!r}; an id must not span lines")
            elif value in places:
                rejected.append(f"{where}: column '{id_column}' is {value!r}, which stands already in {places[value]}")
            else:
                places[value] = where
                entries.append(values)
        if not entries:
            raise UserError("\n".join([
                f"{path}: none of its {len(rejected)} rows can be used:" if rejected else f"{path}: holds no row",
                *rejected[:_SHOWN]]))
        return cls(side, tuple(entries), tuple(rejected))

    def unknown(
        self, spec: DatasetSpec, rows: CatalogueRows, vocabularies: Mapping[str, Collection[str]]
    ) -> tuple[dict[str, list], ...]:
        """The entries that a model has no row for, and can be given one.

        Args:
            spec: the dataset specification.
            rows: what was made from texts before.
            vocabularies: the values with a trained row, by feature that the side is known by.
        """
        ids = spec.entity_ids(self.side)

        def is_new(entry):
            return entry[ids[0]][0] not in vocabularies[ids[0]] and any(
                value not in vocabularies[name] and value not in rows.rows[name]
                for name in filter(rows.can_add, ids) for value in entry[name])

        return tuple(filter(is_new, self.entries))


def check_side(spec: DatasetSpec, side: str) -> None:
    """Whether entries of a side can get rows from their texts.

    Raises:
        UserError: they cannot; says what is missing.
    """
    for what, sides, remedy in (
        ("id", [s for s in ENTITY_SIDES if spec.entity_ids(s)], f"name the feature that is the {side}'s id with the "
                                                               "key ids of the specification"),
        ("text", spec.text_sides, f"give a feature of the {side} side the key text"),
    ):
        if side not in sides:
            raise UserError(f"dataset {spec.name}: the side {side!r} has no {what}, so nothing can be known of its new "
                            f"entries; {remedy}")


def _check_columns(path, columns: list[str], row: dict, side: str) -> None:
    missing = [column for column in columns if column not in row]
    if missing:
        raise UserError(f"{path}: has no column '{missing[0]}'; a catalogue of the {side} side needs "
                        f"{', '.join(columns)} (a cell may be empty); it has {', '.join(map(str, row))}")
