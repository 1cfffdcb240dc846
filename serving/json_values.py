"""JSON as TF Serving's REST API writes it: with NaN and Infinity, and bytes as base64."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import numpy as np
import orjson
from google.protobuf import json_format, message

from serving.request_error import RequestError

_BASE64 = "b64"
_INT64_DIGITS = 20


def parse(body: bytes) -> dict:
    """A request's body.

    Args:
        body: a JSON object in UTF-8, which may have the tokens NaN, Infinity and -Infinity.

    Raises:
        RequestError: INVALID_ARGUMENT, with the position: it is no JSON; or it is no object.

    Example:

    ```python
    parse(b'{"instances": [1.0, NaN]}')  # {"instances": [1.0, nan]}
    ```
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"NaN" not in body and b"Infinity" not in body:
            raise RequestError.invalid(f"the body is no JSON: {error}") from error
        document = _parse_with_nan(body)
    if type(document) is not dict:
        raise RequestError.invalid(f"the body is {kind_of(document)}; it must be an object")
    return document


def signature_name(document: Mapping) -> str:
    """The signature that a request names; "" when it names none.

    Raises:
        RequestError: INVALID_ARGUMENT: the name is no string.
    """
    name = document.get("signature_name", "")
    if type(name) is not str:
        raise RequestError.invalid(f"'signature_name' is {kind_of(name)}; it must be a string")
    return name


def dump(document: object, finite: bool = True) -> bytes:
    """JSON of plain values, numpy arrays and numpy numbers, in UTF-8.

    A float32 gets as many digits as it needs: 0.1, not 0.10000000149011612.

    Args:
        document: dicts, lists, text, numbers; strings in arrays are text.
        finite: whether it has no NaN and no infinity, which takes a slower way.

    Example:

    ```python
    dump({"outputs": np.float32([0.1, np.nan])}, finite=False)  # b'{"outputs": [0.1, NaN]}'
    ```
    """
    if finite:
        return orjson.dumps(document, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(document, default=_plain, ensure_ascii=False).encode()


def from_message(given: message.Message) -> dict:
    """A protobuf message as TF Serving prints it: all fields, under their names in the `.proto`."""
    return json_format.MessageToDict(given, including_default_value_fields=True, preserving_proto_field_name=True)


def is_bytes(value: object) -> bool:
    """Whether a value of a document is `{"b64": "..."}`."""
    return type(value) is dict and len(value) == 1 and type(value.get(_BASE64)) is str


def to_bytes(value: object) -> bytes:
    """A string's UTF-8, or what is in `{"b64": "..."}`.

    Raises:
        ValueError: it is neither.
    """
    if type(value) is str:
        return value.encode()
    if not is_bytes(value):
        raise ValueError(f'is {kind_of(value)}; it must be a string, or {{"{_BASE64}": "..."}} for bytes')
    encoded = value[_BASE64]
    try:
        # TF Serving takes it without padding too.
        padding = "" if "=" in encoded else "=" * (-len(encoded) % 4)
        return base64.b64decode(encoded + padding, validate=True)
    except ValueError as error:
        raise ValueError(f"is no base64: {error}") from error


def from_bytes(value: bytes) -> dict[str, str]:
    """The inverse of `to_bytes`: `{"b64": "..."}`."""
    return {_BASE64: base64.b64encode(value).decode()}


def kind_of(value: object) -> str:
    """What a value of a document is, for errors: "a list", or the number itself."""
    return {dict: "an object", list: "a list", str: "a string"}.get(type(value)) or json.dumps(value)


def _parse_with_nan(body: bytes) -> object:
    try:
        document = json.loads(body.decode(), parse_int=_integer)
        # Half a character in an escape passes, and nothing could be done with it.
        json.dumps(document, ensure_ascii=False).encode()
    except ValueError as error:
        raise RequestError.invalid(f"the body is no JSON: {error}") from error
    except RecursionError as error:
        raise RequestError.invalid("the body is nested too deep") from error
    return document


def _integer(text: str) -> int | float:
    # What no integer of 64 bits can hold is read as orjson and TF Serving read it.
    return int(text) if len(text) <= _INT64_DIGITS else float(text)


def _plain(value: np.ndarray | np.generic) -> object:
    # By way of text, since a float32 that becomes a float gets digits that it did not have.
    exact = value.astype(str).astype(float) if np.issubdtype(value.dtype, np.floating) else value
    return exact.tolist()
