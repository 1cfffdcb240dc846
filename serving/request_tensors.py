"""Tensors of a request and of an answer, for a client without TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from models.spec.feature import Feature
from serving import wire

_NUMBERS = {wire.DT_FLOAT: ("<f4", "float_val"), wire.DT_INT32: ("<i4", "int_val")}


def add_examples(request, name: str, examples: Sequence[bytes]) -> None:
    """Adds serialized Examples, string `[rows]`, to a `PredictRequest`."""
    _add_strings(request.inputs[name], [len(examples)], examples)


def add_columns(request, features: Sequence[Feature], rows: Sequence[Mapping[str, list]]) -> None:
    """Adds a tensor a feature, as the signatures `predict_columns` and `rank` take them.

    Args:
        request: a `PredictRequest`.
        features: which.
        rows: their values by name.
    """
    for feature in features:
        values = [row[feature.name] for row in rows]
        tensor = request.inputs[feature.name]
        if feature.kind == "numeric":
            tensor.dtype = wire.DT_FLOAT
            tensor.tensor_shape.dim.add(size=len(rows))
            tensor.tensor_content = np.array([v[0] if v else math.nan for v in values], "<f4").tobytes()
        elif feature.is_list:
            width = max(map(len, values))
            filled = [v for row in values for v in (*row, *[b""] * (width - len(row)))]
            _add_strings(tensor, [len(rows), width], filled)
        else:
            _add_strings(tensor, [len(rows)], [v[0] if v else b"" for v in values])


def add_int(request, name: str, value: int) -> None:
    """Adds an int32 scalar."""
    tensor = request.inputs[name]
    tensor.dtype = wire.DT_INT32
    tensor.int_val.append(value)


def numbers(tensor) -> np.ndarray | None:
    """The values of an answer's float32 or int32 tensor, `[values]`; None for another type."""
    if tensor.dtype not in _NUMBERS:
        return None
    kind, field = _NUMBERS[tensor.dtype]
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, kind)
    values = np.array(getattr(tensor, field), kind)
    # Equal values at the end are sent once.
    count = math.prod(dim.size for dim in tensor.tensor_shape.dim)
    return np.concatenate([values, np.repeat(values[-1:], count - len(values))]) if len(values) < count else values


def _add_strings(tensor, shape: Sequence[int], values: Sequence[bytes]) -> None:
    tensor.dtype = wire.DT_STRING
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.string_val.extend(values)
