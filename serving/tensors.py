"""From a request's tensor to an array, checked against the signature."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from serving.request_error import RequestError

# A shape is a few bytes that ask for any amount of memory, so it is bounded before anything is allocated.
MAX_ELEMENTS = 1 << 24


def check_tensor(name: str, tensor, info) -> list[int]:
    """Checks one input of a request.

    Args:
        name: the input's name in the signature, for errors.
        tensor: the request's `TensorProto`.
        info: the signature's `TensorInfo` of that input.

    Returns:
        Its shape.

    Raises:
        RequestError: INVALID_ARGUMENT, naming the input: dtype, shape or number of
            values are not what the signature or the tensor's own shape say.
    """
    if tensor.dtype != info.dtype:
        raise RequestError.invalid(
            f"input '{name}' is of type {type_name(tensor.dtype)}; "
            f"the signature wants {type_name(info.dtype)}"
        )
    if tensor.tensor_shape.unknown_rank:
        raise RequestError.invalid(f"input '{name}' has no shape")
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    check_shape(name, shape, info.tensor_shape)
    count = math.prod(shape)
    if tensor.dtype == types_pb2.DT_STRING:
        if len(tensor.string_val) != count:
            raise RequestError.invalid(
                f"input '{name}' has the shape {shape}, but {len(tensor.string_val)} values"
            )
    elif tensor.tensor_content:
        size = count * tf.dtypes.as_dtype(tensor.dtype).size
        if len(tensor.tensor_content) != size:
            raise RequestError.invalid(
                f"input '{name}' has the shape {shape}, so {size} bytes, "
                f"but {len(tensor.tensor_content)} bytes of content"
            )
    return shape


def to_array(name: str, tensor, info) -> np.ndarray:
    """Decodes one input of a request.

    Args:
        name, tensor, info: as for `check_tensor`.

    Returns:
        An array of the signature's dtype; strings are an object array of bytes.

    Raises:
        RequestError: as `check_tensor`.
    """
    shape = check_tensor(name, tensor, info)
    if tensor.dtype == types_pb2.DT_STRING:
        return np.array(tensor.string_val, dtype=object).reshape(shape)
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise RequestError.invalid(f"input '{name}' cannot be read: {error}") from error


def check_names(what: str, given: Iterable[str], signature_name: str, wanted: Iterable[str]) -> None:
    """Checks that all inputs of a signature are there, and no others.

    Args:
        what: what holds the inputs, for errors: "the request".
        given: the inputs' names.
        signature_name: for errors.
        wanted: the names of the signature's inputs.

    Raises:
        RequestError: INVALID_ARGUMENT, naming the first input that is unknown or missing.

    Example:

    ```python
    check_names("row 3", {"ages"}, "predict_columns", {"age"})  # row 3 has the input 'ages'; ...
    ```
    """
    given, wanted = set(given), set(wanted)
    if given == wanted:
        return
    unknown, missing = sorted(given - wanted), sorted(wanted - given)
    wrong = f"has the input '{unknown[0]}'" if unknown else f"lacks the input '{missing[0]}'"
    raise RequestError.invalid(f"{what} {wrong}; signature {signature_name!r} takes: {', '.join(sorted(wanted))}")


def check_shape(name: str, shape: Sequence[int], wanted) -> None:
    """Checks an input's shape.

    Args:
        name: the input's name, for errors.
        shape: its sizes.
        wanted: the signature's `TensorShapeProto` of that input.

    Raises:
        RequestError: INVALID_ARGUMENT, naming the input: a size is negative or not what the
            signature says, or there are more than `MAX_ELEMENTS` values.
    """
    if min(shape, default=0) < 0 or math.prod(shape) > MAX_ELEMENTS:
        raise RequestError.invalid(
            f"input '{name}' has the shape {shape}; sizes are not negative and "
            f"their product is at most {MAX_ELEMENTS}"
        )
    if wanted.unknown_rank:
        return
    sizes = [dim.size for dim in wanted.dim]
    if len(shape) != len(sizes) or any(w not in (-1, s) for s, w in zip(shape, sizes, strict=True)):
        raise RequestError.invalid(
            f"input '{name}' has the shape {shape}; the signature wants "
            f"{['any' if s == -1 else s for s in sizes]}".replace("'any'", "any")
        )


def type_name(number: int) -> str:
    """What a `DataType` is called: "float" for 1."""
    if number in types_pb2.DataType.values():
        return types_pb2.DataType.Name(number).removeprefix("DT_").lower()
    return f"number {number}, which does not exist"
