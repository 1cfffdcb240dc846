"""Between the JSON of Predict in TF Serving's REST API and arrays: https://www.tensorflow.org/tfx/serving/api_rest."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from serving.json_values import dump, from_bytes, is_bytes, kind_of, to_bytes
from serving.request_error import RequestError
from serving.tensors import InputSpec, check_names, check_shape, type_name

_ROWS, _COLUMNS = "instances", "inputs"
_BYTES_SUFFIX = "_bytes"
# The greatest whole number below which every one has its own float.
_WHOLE = {tf.float32: (1 << 24) - 1, tf.float64: (1 << 53) - 1}
_INTEGERS = (tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint32, tf.uint64)


def to_arrays(
    document: Mapping, name: str, signature: meta_graph_pb2.SignatureDef
) -> tuple[dict[str, np.ndarray], bool]:
    """The inputs of a Predict request.

    Args:
        document: the body: with `instances`, rows, or with `inputs`, columns.
        name: the signature's name, for errors.
        signature: the signature.

    Returns:
        Arrays of the signature's dtypes and shapes by the inputs' names, strings as object
        arrays of bytes; and whether they were given in rows.

    Raises:
        RequestError: INVALID_ARGUMENT, naming input and row; UNIMPLEMENTED for a dtype that
            JSON has no values of.

    Example:

    ```python
    document = {"instances": [{"age": 31, "topics": ["sea"]}, {"age": math.nan, "topics": [""]}]}
    to_arrays(document, "predict_columns", signature)[0]["age"]  # float32 [2]
    ```
    """
    if (_ROWS in document) == (_COLUMNS in document):
        raise RequestError.invalid(f"the request must have one of the keys '{_ROWS}' and '{_COLUMNS}'")
    by_row = _ROWS in document
    columns = _by_row(document[_ROWS], name, signature) if by_row else _by_column(document[_COLUMNS], name, signature)
    return {i: _array(i, columns[i], signature.inputs[i]) for i in sorted(signature.inputs)}, by_row


def from_arrays(outputs: Mapping[str, np.ndarray], by_row: bool) -> bytes:
    """The body of an answer to Predict: the bare values of one output, objects of several.

    Args:
        outputs: what the session returned, by the outputs' names. Strings whose output's
            name ends in `_bytes` become base64, others text.
        by_row: whether the request was in rows.

    Raises:
        RequestError: INVALID_ARGUMENT: rows were asked for, and the outputs have none, or not
            as many of each.

    Example:

    ```python
    from_arrays({"probability": np.float32([0.5]), "logit": np.float32([0.0])}, by_row=True)
    # b'{"predictions":[{"probability":0.5,"logit":0.0}]}'
    ```
    """
    arrays = {name: _printable(name, values) for name, values in outputs.items()}
    finite = all(np.isfinite(a).all() for a in arrays.values() if np.issubdtype(a.dtype, np.floating))
    only = next(iter(arrays.values())) if len(arrays) == 1 else None
    if not by_row:
        return dump({"outputs": arrays if only is None else only}, finite)
    counts = {a.shape[:1] for a in arrays.values()}
    if len(counts) != 1 or () in counts:
        shapes = ", ".join(f"'{name}' {list(a.shape)}" for name, a in arrays.items())
        raise RequestError.invalid(f"the outputs have no common rows: {shapes}; send the request by '{_COLUMNS}'")
    if only is not None:
        return dump({"predictions": only}, finite)
    return dump({"predictions": [dict(zip(arrays, row)) for row in zip(*arrays.values())]}, finite)


def _by_row(rows: object, name: str, signature: meta_graph_pb2.SignatureDef) -> dict[str, object]:
    if type(rows) is not list or not rows:
        what = "empty" if rows == [] else kind_of(rows)
        raise RequestError.invalid(f"'{_ROWS}' is {what}; it must be a list of rows")
    for i, info in sorted(signature.inputs.items()):
        if not info.tensor_shape.unknown_rank and not info.tensor_shape.dim:
            raise RequestError.invalid(
                f"input '{i}' of signature {name!r} has no rows: send the request by '{_COLUMNS}'")
    names = set(signature.inputs)
    if len(names) == 1 and not _is_object(rows[0]):
        return {next(iter(names)): rows}
    for number, row in enumerate(rows):
        if not _is_object(row):
            raise RequestError.invalid(
                f"row {number} is {kind_of(row)}; it must be an object with the inputs: {', '.join(sorted(names))}")
        if row.keys() != names:
            check_names(f"row {number}", row, name, names)
    return {i: [row[i] for row in rows] for i in names}


def _by_column(columns: object, name: str, signature: meta_graph_pb2.SignatureDef) -> Mapping[str, object]:
    if _is_object(columns):
        check_names("the request", columns, name, signature.inputs)
        return columns
    if len(signature.inputs) != 1:
        raise RequestError.invalid(
            f"'{_COLUMNS}' is {kind_of(columns)}; it must be an object with the inputs: "
            f"{', '.join(sorted(signature.inputs))}")
    return {next(iter(signature.inputs)): columns}


def _is_object(value: object) -> bool:
    return type(value) is dict and not is_bytes(value)


def _array(name: str, value: object, info: meta_graph_pb2.TensorInfo) -> np.ndarray:
    shape, values = _flatten(name, value)
    check_shape(InputSpec.of(name, info), shape)
    where = functools.partial(_place, name, shape)
    dtype = tf.dtypes.as_dtype(info.dtype)
    if dtype == tf.string:
        flat = np.array(_strings(values, where), object)
    elif dtype in _WHOLE:
        flat = _floats(values, dtype, where)
    elif dtype in _INTEGERS:
        flat = _integers(values, dtype, where)
    elif dtype == tf.bool:
        _check_types(values, {bool}, "true or false", where)
        flat = np.array(values, bool)
    else:
        raise RequestError(
            grpc.StatusCode.UNIMPLEMENTED, f"input '{name}' is of type {type_name(info.dtype)}, which JSON cannot hold")
    return flat.reshape(shape)


def _flatten(name: str, value: object) -> tuple[list[int], list]:
    """The shape of nested lists, and the values in them. Not recursive: the nesting may be of any depth."""
    shape, level = [], [value]
    while True:
        kinds = set(map(type, level))
        if list not in kinds:
            return shape, level
        wrong = next((i for i, v in enumerate(level) if type(v) is not list), None)
        if wrong is not None:
            raise RequestError.invalid(
                f"{_place(name, shape, wrong)}: is {kind_of(level[wrong])}, where others are lists")
        wrong = next((i for i, v in enumerate(level) if len(v) != len(level[0])), None)
        if wrong is not None:
            raise RequestError.invalid(
                f"{_place(name, shape, wrong)}: is a list of {len(level[wrong])}, where the first is of "
                f"{len(level[0])}; all must be as long")
        shape.append(len(level[0]))
        level = list(itertools.chain.from_iterable(level))


def _place(name: str, shape: list[int], index: int) -> str:
    if not shape:
        return f"input '{name}'"
    row, inner = divmod(index, math.prod(shape[1:]))
    return f"input '{name}', row {row}" + (f", value {inner}" if len(shape) > 1 else "")


def _check_types(values: list, types: set[type], what: str, where: Callable[[int], str]) -> None:
    if not set(map(type, values)) <= types:
        wrong = next(i for i, v in enumerate(values) if type(v) not in types)
        raise RequestError.invalid(f"{where(wrong)}: is {kind_of(values[wrong])}; it must be {what}")


def _strings(values: list, where: Callable[[int], str]) -> list[bytes]:
    found = []
    for i, value in enumerate(values):
        try:
            found.append(to_bytes(value))
        except ValueError as error:
            raise RequestError.invalid(f"{where(i)}: {error}") from error
    return found


def _integers(values: list, dtype: tf.DType, where: Callable[[int], str]) -> np.ndarray:
    what = f"a whole number from {dtype.min} to {dtype.max}, without a point"
    _check_types(values, {int}, what, where)
    for i, value in enumerate(values):
        if not dtype.min <= value <= dtype.max:
            raise RequestError.invalid(f"{where(i)}: is {value}; it must be {what}")
    return np.array(values, dtype.as_numpy_dtype)


def _floats(values: list, dtype: tf.DType, where: Callable[[int], str]) -> np.ndarray:
    _check_types(values, {int, float}, "a number", where)
    wide = np.array(values, np.float64)
    for i in np.flatnonzero(np.abs(wide) > _WHOLE[dtype]).tolist():
        if type(values[i]) is int:
            raise RequestError.invalid(
                f"{where(i)}: is {values[i]}, which a {dtype.name} may round; write it with a point if that is right")
        if math.isfinite(values[i]) and abs(values[i]) > dtype.max:
            raise RequestError.invalid(f"{where(i)}: is {values[i]}; the greatest {dtype.name} is {dtype.max}")
    return wide.astype(dtype.as_numpy_dtype)


def _printable(name: str, values: object) -> np.ndarray:
    """An output as an array of numbers or of what JSON has for strings."""
    # A session returns a scalar as it is, and a string one as bytes.
    array = np.asarray(values, object if isinstance(values, bytes) else None)
    if array.dtype != object:
        return array
    convert = from_bytes if name.endswith(_BYTES_SUFFIX) else lambda value: value.decode("utf-8", "replace")
    return np.array(np.frompyfunc(convert, 1, 1)(array), object)
