"""Rows of an ID model's embedding tables: reading them, and adding more after training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np

from models.ctr_model import CTRModel
from models.spec.errors import UserError


def rows_of(model: CTRModel, table: str) -> np.ndarray:
    """What an ID model learnt about each id of a table.

    Args:
        model: the ID model.
        table: the table's name: that of the categorical or set feature that owns it.

    Returns:
        Float32 [num_ids, width]: the id's vector, followed by its weight of width 1
        where the backbone has a linear part (`first_order`).

    Raises:
        UserError: the model has no such table.

    Example:

    ```python
    rows_of(model, "movie_id").shape  # (3708, 32), or (3708, 33) for a DeepFM
    ```
    """
    _check(model, table)
    return np.concatenate([keras.ops.convert_to_numpy(e.tables[table]) for e in _embeddings(model)], axis=1)


def with_more_rows(model: CTRModel, more: Mapping[str, np.ndarray]) -> CTRModel:
    """A copy of an ID model whose tables have more rows behind those it was trained with.

    Ids that the model knew score as before; id `num_ids + i` has the i-th new row.

    Args:
        model: the ID model; it is left as it is.
        more: rows [n, width] as `rows_of` gives them, by table.

    Returns:
        A new model, not compiled.

    Raises:
        UserError: the model has no such table, or the rows have another width or hold a
            value that is not finite.

    Example:

    ```python
    larger = with_more_rows(model, {"movie_id": text_to_embedding.predict(vectors)})
    ```
    """
    for table, rows in more.items():
        _check(model, table)
        width = sum(e.dim for e in _embeddings(model))
        if np.ndim(rows) != 2 or np.shape(rows)[1] != width:
            raise UserError(f"rows for the table {table!r} have the shape {np.shape(rows)}; it must be "
                            f"[rows, {width}]")
        if not np.isfinite(rows).all():
            row = int(np.argmin(np.isfinite(rows).all(axis=1)))
            raise UserError(f"rows for the table {table!r}: row {row} holds a value that is not finite")
    fields = [dataclasses.replace(f, num_ids=f.num_ids + len(more.get(f.table, ()))) for f in model.fields]
    larger = CTRModel.from_config({**model.get_config(), "fields": [f.to_config() for f in fields]})
    for old, new in zip(model.weights, larger.weights, strict=True):
        if old.shape == new.shape:
            new.assign(old)
    for table, rows in more.items():
        start = 0
        for old, new in zip(_embeddings(model), _embeddings(larger), strict=True):
            values = keras.ops.convert_to_numpy(old.tables[table])
            part = np.asarray(rows, values.dtype)[:, start:start + old.dim]
            new.tables[table].assign(np.concatenate([values, part]))
            start += old.dim
    return larger


def _embeddings(model: CTRModel) -> list:
    return [e for e in (model.embedding, model.first_order) if e is not None]


def _check(model: CTRModel, table: str) -> None:
    if table not in model.embedding.tables:
        raise UserError(f"the model has no embedding table {table!r}; there are: "
                        f"{', '.join(model.embedding.tables)}. A history's rows are those of its `of`")
