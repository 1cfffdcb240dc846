"""From a request's tensor to an array, checked against the signature."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf import message
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving import wire
from serving.request_error import RequestError

# A shape is a few bytes that ask for any amount of memory, so it is bounded before anything is allocated.
MAX_ELEMENTS = 1 << 24
# Where a tensor's values are, unless they are bytes of its content, and what NumPy calls their type.
VALUE_FIELDS = {
    types_pb2.DT_FLOAT: ("float_val", np.dtype(np.float32)),
    types_pb2.DT_INT32: ("int_val", np.dtype(np.int32)),
    types_pb2.DT_INT64: ("int64_val", np.dtype(np.int64)),
}
# Bytes of a shape; the sizes of a shorter one are kept.
_SHORT = 64


class InputSpec(NamedTuple):
    """What a signature says of an input; read once, since reading its message takes longer than the check.

    Args:
        name: of the input.
        dtype: number of a `DataType`.
        sizes: -1 for any; None where any shape will do.
    """

    name: str
    dtype: int
    sizes: tuple[int, ...] | None

    @classmethod
    def of(cls, name: str, info: meta_graph_pb2.TensorInfo) -> InputSpec:
        """Of a signature's `TensorInfo`."""
        shape = info.tensor_shape
        return cls(name, info.dtype, None if shape.unknown_rank else tuple(dim.size for dim in shape.dim))


def to_array(spec: InputSpec, serialized: bytes) -> np.ndarray:
    """Decodes and checks one input of a request.

    Args:
        spec: what the signature wants.
        serialized: a `TensorProto`.

    Returns:
        An array of the signature's dtype; strings are an object array of bytes.

    Raises:
        RequestError: INVALID_ARGUMENT, naming the input: the bytes are no tensor, or dtype, shape or number
            of values are not what the signature or the tensor's own shape say.
    """
    name = spec.name
    try:
        tensor = wire.UndecodedTensor.FromString(serialized)
    except message.DecodeError as error:
        raise RequestError.invalid(f"input '{name}' is no serialized TensorProto") from error
    if tensor.dtype != spec.dtype:
        raise RequestError.invalid(
            f"input '{name}' is of type {type_name(tensor.dtype)}; the signature wants {type_name(spec.dtype)}")
    declared = tensor.tensor_shape
    shape = (_shape if len(declared) <= _SHORT else _shape.__wrapped__)(spec, declared)
    count = math.prod(shape)
    if spec.dtype == types_pb2.DT_STRING:
        values = tensor.string_val[:]
        if len(values) != count:
            raise RequestError.invalid(f"input '{name}' has the shape {list(shape)}, but {len(values)} values")
        return np.array(values, dtype=object).reshape(shape)
    content = tensor.tensor_content
    if content:
        size = count * tf.dtypes.as_dtype(spec.dtype).size
        if len(content) != size:
            raise RequestError.invalid(
                f"input '{name}' has the shape {list(shape)}, so {size} bytes, but {len(content)} bytes of content")
    elif spec.dtype in VALUE_FIELDS:
        field, dtype = VALUE_FIELDS[spec.dtype]
        values = getattr(tensor, field)[:]
        if len(values) == count:
            return np.array(values, dtype).reshape(shape)
    try:
        whole = tensor_pb2.TensorProto.FromString(serialized)
        # Where a message has two shapes, they are one here that has not been checked.
        whole.tensor_shape.CopyFrom(tensor_shape_pb2.TensorShapeProto.FromString(declared))
        # Also where equal values at the end are sent once.
        return tf.make_ndarray(whole)
    except (TypeError, ValueError, message.DecodeError) as error:
        raise RequestError.invalid(f"input '{name}' cannot be read: {error}") from error


@functools.lru_cache(1024)
def _shape(spec: InputSpec, serialized: bytes) -> tuple[int, ...]:
    """The checked sizes of a serialized `TensorShapeProto`."""
    try:
        declared = tensor_shape_pb2.TensorShapeProto.FromString(serialized)
    except message.DecodeError as error:
        raise RequestError.invalid(f"input '{spec.name}' is no serialized TensorProto") from error
    if declared.unknown_rank:
        raise RequestError.invalid(f"input '{spec.name}' has no shape")
    shape = [dim.size for dim in declared.dim]
    check_shape(spec, shape)
    return tuple(shape)


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


def check_shape(spec: InputSpec, shape: Sequence[int]) -> None:
    """Checks an input's shape.

    Args:
        spec: what the signature wants.
        shape: its sizes.

    Raises:
        RequestError: INVALID_ARGUMENT, naming the input: a size is negative or not what the
            signature says, or there are more than `MAX_ELEMENTS` values.
    """
    if min(shape, default=0) < 0 or math.prod(shape) > MAX_ELEMENTS:
        raise RequestError.invalid(
            f"input '{spec.name}' has the shape {shape}; sizes are not negative and "
            f"their product is at most {MAX_ELEMENTS}"
        )
    sizes = spec.sizes
    if sizes is None:
        return
    if len(shape) != len(sizes) or [s if w == -1 else w for s, w in zip(shape, sizes, strict=True)] != shape:
        raise RequestError.invalid(
            f"input '{spec.name}' has the shape {shape}; the signature wants "
            f"{['any' if s == -1 else s for s in sizes]}".replace("'any'", "any")
        )


def type_name(number: int) -> str:
    """What a `DataType` is called: "float" for 1."""
    if number in types_pb2.DataType.values():
        return types_pb2.DataType.Name(number).removeprefix("DT_").lower()
    return f"number {number}, which does not exist"
