"""From rows of a file to requests."""

from __future__ import annotations

import csv
import json
import pathlib
from collections.abc import Iterable, Iterator, Mapping

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from serving import wire
from serving.row_reader import RowReader


def to_example(spec: DatasetSpec, row: Mapping, where: str = "the row") -> bytes:
    """A row as a serialized raw `tf.train.Example`, read as ingestion reads the log.

    Args:
        spec: the dataset specification.
        row: column to value. Columns are the log's; a derived history goes by its
            feature's name. A column that is absent, None or empty is a missing value;
            the label and columns that no feature reads may stand in the row and are not sent.
        where: names the row in errors.

    Returns:
        What the served model takes: the ID model's features by name.

    Raises:
        UserError: naming the row and the column: misspelt, or no number where one is
            needed; or the row has columns, but none that the ID model reads.

    Example:

    ```python
    to_example(spec, {"user_id": "7", "age": 31, "genres": "Drama|Comedy"})
    ```
    """
    return to_examples(spec, [(where, row)])[0]


def to_examples(spec: DatasetSpec, table: Iterable[tuple[str, Mapping]]) -> list[bytes]:
    """Rows as serialized raw `tf.train.Example`s; faster than `to_example` of each.

    Args:
        spec: the dataset specification.
        table: for each row what errors call it, and column to value, as `read_rows` gives them.

    Raises:
        UserError: as `to_example`, for the first row that has an error.

    Example:

    ```python
    to_examples(spec, read_rows("rows.csv", spec))
    ```
    """
    reader = RowReader(spec)
    return [_example(spec, reader.values(row, where)) for where, row in table]


def model_columns(spec: DatasetSpec) -> tuple[str, ...]:
    """Columns of a row that the ID model reads, in order; a derived history goes by its feature's name.

    Args:
        spec: the dataset specification.

    Example:

    ```python
    model_columns(spec)  # ("user_id", "age", "genres")
    ```
    """
    return tuple(f.row_column for f in spec.model_features)


def read_rows(path: str | pathlib.Path, spec: DatasetSpec) -> Iterator[tuple[str, dict]]:
    """Streams the rows of a CSV or JSONL file.

    A CSV has the delimiter and encoding of the log when the log is one. Its first line
    is the header, unless the log's files have none (`source.columns`) and the line does
    not repeat those names. A JSONL file holds one JSON object a line.

    Args:
        path: the file; `.csv`, or `.jsonl`.
        spec: the dataset specification.

    Returns:
        For each row where it stands, for errors, and column to value.

    Raises:
        UserError: naming the file and the line.
    """
    path = pathlib.Path(path)
    readers = {".csv": _csv_rows, ".jsonl": _jsonl_rows}
    if path.suffix.lower() not in readers:
        raise UserError(f"{path}: must end in .csv or .jsonl, which says how it is read")
    encoding = (
        spec.source.encoding if path.suffix.lower() == ".csv" and spec.source.format == "csv" else "utf-8"
    )
    # With the mark that spreadsheets put at a file's beginning skipped.
    encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    try:
        with path.open(encoding=encoding, newline="") as stream:
            yield from readers[path.suffix.lower()](stream, path, spec)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no {encoding} text: {error.reason}") from error


def _example(spec: DatasetSpec, found: Mapping[str, list]) -> bytes:
    example = wire.Example()
    written = example.features.feature
    for feature in spec.model_features:
        values = found[feature.name]
        if feature.kind == "numeric":
            written[feature.name].float_list.value.extend(values)
        elif values:
            written[feature.name].bytes_list.value.extend(values)
    return example.SerializeToString()


def _csv_rows(stream, path: pathlib.Path, spec: DatasetSpec) -> Iterator[tuple[str, dict]]:
    reader = csv.reader(
        stream, delimiter=spec.source.delimiter if spec.source.format == "csv" else ",", strict=True
    )
    header = None
    try:
        for cells in reader:
            if not cells:
                continue
            if header is None:
                names = spec.source.columns or ()
                if not names or set(cells) <= {*names, *(f.name for f in spec.features)}:
                    header = cells
                    continue
                header = names
            where = f"{path}, line {reader.line_num}"
            if len(cells) != len(header):
                raise UserError(
                    f"{where}: has {len(cells)} columns instead of {len(header)}: {', '.join(header)}"
                )
            yield where, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: is no valid CSV: {error}") from error


def _jsonl_rows(stream, path: pathlib.Path, spec: DatasetSpec) -> Iterator[tuple[str, dict]]:
    for number, line in enumerate(stream, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: is no valid JSON: {error.msg} at character {error.pos + 1}") from error
        if not isinstance(row, dict):
            raise UserError(f'{where}: must be a JSON object of column to value, as {{"user_id": "7"}}')
        yield where, row
