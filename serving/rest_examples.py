"""Between the JSON of Classify and Regress in TF Serving's REST API and their messages."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from serving.json_values import dump, is_bytes, kind_of, to_bytes
from serving.request_error import RequestError

_CONTEXT, _EXAMPLES = "context", "examples"
_INT64 = tf.int64
# What the graph says of an int64_list where a feature wants another type.
_WRONG_TYPE = "Actual type: int64"


def to_input(document: Mapping) -> input_pb2.Input:
    """The Examples of a request, with the context where there is one.

    The type of a feature is that of its JSON values, as in TF Serving: text and
    `{"b64": ...}` become a bytes_list, 31.0 a float_list, 31, true and false an int64_list.
    An empty list is a missing value.

    Args:
        document: the body.

    Raises:
        RequestError: INVALID_ARGUMENT, naming row and feature.

    Example:

    ```python
    to_input({"examples": [{"user_id": "7", "age": 31.0}]})
    ```
    """
    if _EXAMPLES not in document:
        raise RequestError.invalid(f"the request must have the key '{_EXAMPLES}'")
    rows = document[_EXAMPLES]
    if type(rows) is not list or not rows:
        what = "empty" if rows == [] else kind_of(rows)
        raise RequestError.invalid(f"'{_EXAMPLES}' is {what}; it must be a list of objects of features")
    given = input_pb2.Input()
    examples = given.example_list.examples
    if _CONTEXT in document:
        examples = given.example_list_with_context.examples
        _fill(given.example_list_with_context.context, document[_CONTEXT], f"'{_CONTEXT}'")
    for number, row in enumerate(rows):
        _fill(examples.add(), row, f"row {number}")
    return given


def from_classes(result: classification_pb2.ClassificationResult) -> bytes:
    """The body of an answer to Classify: for each Example, each class's label and score."""
    scores = [np.float32([c.score for c in row.classes]) for row in result.classifications]
    rows = [
        [[c.label, score] for c, score in zip(row.classes, values)]
        for row, values in zip(result.classifications, scores)]
    return dump({"results": rows}, all(np.isfinite(values).all() for values in scores))


def from_values(result: regression_pb2.RegressionResult) -> bytes:
    """The body of an answer to Regress: a value for each Example."""
    values = np.float32([regression.value for regression in result.regressions])
    return dump({"results": values}, bool(np.isfinite(values).all()))


def explain(error: RequestError) -> RequestError:
    """The error with what would be right, where the graph refused an integer for what it is."""
    if _WRONG_TYPE not in str(error):
        return error
    return RequestError(
        error.code, f'{error}. A JSON number without a point is an int64: write 31.0 for a float, "31" for a string')


def _fill(example: tf.train.Example, row: object, where: str) -> None:
    if type(row) is not dict:
        raise RequestError.invalid(f"{where} is {kind_of(row)}; it must be an object")
    for name, value in row.items():
        try:
            _fill_feature(example.features.feature[name], value if type(value) is list else [value])
        except ValueError as error:
            raise RequestError.invalid(f"{where}, feature '{name}': {error}") from error


def _fill_feature(feature: tf.train.Feature, values: list) -> None:
    # An entry of a map is made when it is asked for; this one may stay empty.
    feature.SetInParent()
    kinds = {_kind(value) for value in values}
    if len(kinds) > 1:
        raise ValueError(f"has values of several types: {', '.join(sorted(kinds))}; numbers with and without a point "
                         "are of two")
    if kinds == {"bytes"}:
        feature.bytes_list.value.extend(map(to_bytes, values))
    elif kinds == {"float"}:
        for value in values:
            if math.isfinite(value) and abs(value) > tf.float32.max:
                raise ValueError(f"{value} is more than a float can hold")
        feature.float_list.value.extend(values)
    elif kinds == {"int64"}:
        for value in values:
            if not _INT64.min <= value <= _INT64.max:
                raise ValueError(f"{value} is more than an int64 can hold")
        feature.int64_list.value.extend(map(int, values))


def _kind(value: object) -> str:
    if type(value) is str or is_bytes(value):
        return "bytes"
    if type(value) is float:
        return "float"
    if type(value) in (int, bool):
        return "int64"
    raise ValueError(f"holds {kind_of(value)}; it must hold strings or numbers")
