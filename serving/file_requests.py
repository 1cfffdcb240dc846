"""Asks a server about the rows of a file."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Mapping, Sequence

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from serving import rows
from serving.client import PredictClient
from serving.signature_names import ITEM

_LOG = logging.getLogger(__name__)


def predict_file(client: PredictClient, input_path: str | pathlib.Path, spec: DatasetSpec) -> list[tuple[dict, float]]:
    """Asks for the probability of each row of a CSV or JSONL file with the log's columns.

    A column that the model reads and no row has is told as a warning of this module's logger:
    it scores as missing.

    Args:
        client: asks the server.
        input_path: the file; see `serving.rows.read_rows`.
        spec: the dataset specification that names the columns.

    Returns:
        Rows as they stand in the file, each with its probability.

    Raises:
        UserError: the file has an error, or the server does not answer.

    Example:

    ```python
    with PredictClient("127.0.0.1:8500") as client:
        print(render(predict_file(client, "rows.csv", spec), "table"))
    ```
    """
    table = list(rows.read_rows(input_path, spec))
    if not table:
        raise UserError(f"{input_path}: has no rows")
    examples = rows.to_examples(spec, table)
    _tell_absent(input_path, rows.model_columns(spec), [row for _, row in table])
    probabilities = client.predict(examples)
    return [(row, float(p)) for (_, row), p in zip(table, probabilities, strict=True)]


def rank_file(
    client: PredictClient, user: Mapping, items_path: str | pathlib.Path, spec: DatasetSpec, k: int | None = None,
) -> list[tuple[dict, float]]:
    """Asks for a user's best items among those of a CSV or JSONL file with the log's columns.

    Columns that the model reads and neither the user nor any item has are told as warnings of
    this module's logger: they score as missing.

    Args:
        client: asks the server.
        user: column to value, of the user and the context; no other columns.
        items_path: the file; see `serving.rows.read_rows`.
        spec: the dataset specification that names the columns.
        k: how many; all when None.

    Returns:
        Rows of the file, without the columns of user, context, label and time, each with its
        probability, best first.

    Raises:
        UserError: the user has a column that the model does not read of user or context, the
            user or the file has another error, or the server does not answer.

    Example:

    ```python
    with PredictClient("127.0.0.1:8500") as client:
        print(render(rank_file(client, {"user_id": "7"}, "items.csv", spec, k=10), "table"))
    ```
    """
    table = list(rows.read_rows(items_path, spec))
    if not table:
        raise UserError(f"{items_path}: has no rows")
    names, items = zip(*table, strict=True)
    of_items = [f.row_column for f in spec.model_features if f.side == ITEM]
    of_user = [column for column in rows.model_columns(spec) if column not in of_items]
    _check_user(user, of_user, spec)
    best = client.rank(spec, user, items, k, names)
    if absent := [column for column in of_user if column not in user]:
        _LOG.warning("the user has no %s, which the model reads; scored as missing", ", ".join(absent))
    _tell_absent(items_path, of_items, items)
    # A log may stand for the items: whose rows they were says nothing of the user that is asked for.
    others = {f.row_column for f in spec.features if f.side != ITEM}
    others |= {spec.label.column, spec.split.time}
    return [({c: v for c, v in items[index].items() if c not in others}, p) for index, p in best]


def _tell_absent(path: str | pathlib.Path, columns: Sequence[str], table: Sequence[Mapping]) -> None:
    """Warns of columns that no row of the file has."""
    absent = [column for column in columns if not any(column in row for row in table)]
    if absent:
        _LOG.warning("%s: no row has %s, which the model reads; scored as missing", path, ", ".join(absent))


def _check_user(user: Mapping, columns: Sequence[str], spec: DatasetSpec) -> None:
    # Unlike the rows of a log, which may have columns that no feature reads, a user is written by hand.
    unknown = [column for column in user if column not in columns]
    if unknown:
        raise UserError(
            f"the user: unknown column '{unknown[0]}'; the model of the dataset {spec.name} reads of the user and the "
            f"context: {', '.join(columns) or 'nothing'}")
