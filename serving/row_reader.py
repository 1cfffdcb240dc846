"""From rows to the values that a model reads."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from models.feature_values import feature_values
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from models.spec.feature import Feature


class RowReader:
    """Reads rows, column to value, as ingestion reads the log.

    Columns are checked once for all rows that have the same ones: a look for misspelt
    names takes longer than the rest of a row.

    Args:
        spec: the dataset specification.
        features: which of the model's features are read, as those of one side; all when None.

    Example:

    ```python
    RowReader(spec).values({"user_id": "7", "age": 31})  # {"user_id": [b"7"], "age": [31.0], "genres": []}
    ```
    """

    def __init__(self, spec: DatasetSpec, features: Sequence[Feature] | None = None):
        self._spec = spec
        self._known = set(spec.columns)
        self._columns = [f.row_column for f in spec.features]
        self._read = [(f.row_column, f) for f in (spec.model_features if features is None else features)]
        self._checked = {()}

    def values(self, row: Mapping, where: str = "the row") -> dict[str, list]:
        """The values of the features in a row, by name: floats, or UTF-8 bytes.

        Args:
            row: as for `serving.rows.to_example`.
            where: names the row in errors.

        Raises:
            UserError: as `serving.rows.to_example`.
        """
        columns = tuple(row)
        if columns not in self._checked:
            self._check(columns, where)
            self._checked.add(columns)
        found = {}
        decimal = self._spec.source.decimal
        for column, feature in self._read:
            try:
                values = feature_values(feature, row.get(column), decimal)
                found[feature.name] = values if feature.kind == "numeric" else [v.encode() for v in values]
            except UnicodeEncodeError as error:
                raise UserError(f"{where}: column '{column}' is no valid Unicode: {error.reason}") from error
            except ValueError as error:
                raise UserError(f"{where}: {error}") from error
        return found

    def _check(self, columns: Sequence, where: str) -> None:
        absent = [column for column in self._columns if column not in columns]
        for column in map(str, columns):
            # A log may well hold columns that no feature reads; a misspelt one would score as missing.
            near = [] if column in self._known else difflib.get_close_matches(column, absent, 1, 0.8)
            if near:
                raise UserError(
                    f"{where}: unknown column '{column}'; did you mean {near[0]}? The dataset {self._spec.name} has: "
                    f"{', '.join(self._columns)}"
                )
        read = [column for column, _ in self._read]
        if not any(column in columns for column in read):
            # Other data, or a CSV with another delimiter: it would score as a row with everything missing.
            raise UserError(
                f"{where}: has none of the columns that the model reads; it has: {', '.join(map(str, columns))}; "
                f"the model of the dataset {self._spec.name} reads: {', '.join(read)}"
            )
