"""Says what is wrong in a specification's YAML: file, line, key, value, and what would be right."""

from __future__ import annotations

import difflib
import inspect
import re
import typing
from collections.abc import Iterable, Sequence

import pydantic
import yaml

from models.spec.errors import UserError

TYPES = {
    "string": 'text; put it in quotes, as "{}"',
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list, as [{}]",
    "dict": "a mapping, as {{key: value}}",
}


def did_you_mean(word: object, right: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the nearest of the right words, or "" when none is near."""
    close = difflib.get_close_matches(str(word).lower(), list(right), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def read_yaml(text: str, where: str) -> tuple[dict, yaml.Node]:
    """Parses YAML that has to be a mapping without repeated keys.

    Args:
        text: the file's text.
        where: the file's name, for errors.

    Returns:
        The mapping, and the node tree that knows each key's line.

    Raises:
        UserError: with line and column where YAML has them.
    """
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{where}{at}: is no valid YAML: {error.problem}; indent with blanks, and put text "
                        "that holds {} : # or | in quotes") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{where}: is no valid YAML: {error}") from error
    if not isinstance(data, dict):
        held = "nothing" if data is None else f"a {type(data).__name__}"
        raise UserError(f"{where}: holds {held}, not the keys of a dataset specification (name, source, "
                        "label, features, ...)")
    _reject_repeated_keys(tree, where)
    return data, tree


def explain(where: str, error: pydantic.ValidationError, model: type[pydantic.BaseModel], data: dict,
            tree: yaml.Node) -> str:
    """All of pydantic's errors, one readable line each.

    Args:
        where: the file's name.
        error: what pydantic raised for `data`.
        model: the class that `data` was to become.
        data: the parsed YAML.
        tree: the same as nodes, from `read_yaml`.
    """
    # A list whose entries are all wrong is reported as too short as well.
    errors = [e for e in error.errors() if e["type"] != "too_short" or not e["input"]]
    lines = (_line(where, e, model, data, tree) for e in errors)
    return "\n".join(dict.fromkeys(lines))  # the branches of a union say the same


def _line(where: str, error: dict, model: type, data: dict, tree: yaml.Node) -> str:
    path, owner, value = _follow(error["loc"], model, data)
    message = _message(error, owner, str(path[-1]) if path else "", value)
    line = _line_number(path, tree)
    at = f", line {line}" if path and line else ""
    return f"{where}{at}: {_key(path, data)}{message}"


def _follow(loc: Sequence, model: type, data: object) -> tuple[list, type | None, object]:
    """The part of `loc` that stands in the YAML, the class its last key belongs to, and the key's value."""
    path, owner, value, current = [], None, data, model
    for step in loc:
        inside = isinstance(value, list if isinstance(step, int) else dict)
        if not inside or isinstance(value, dict) and step not in value and step not in _fields(current):
            break  # what is left of `loc` names the branch of a union
        path.append(step)
        owner = current
        value = value.get(step) if isinstance(value, dict) else value[step]
        if isinstance(step, str):
            field = _fields(current).get(step)
            current = _part(field.annotation) if field else None
    return path, owner, value


def _fields(model: type | None) -> dict:
    return model.model_fields if model else {}


def _part(annotation) -> type | None:
    """The specification's class inside `X`, `X | None` or `tuple[X, ...]`, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    return next(filter(None, map(_part, typing.get_args(annotation))), None)


def _message(error: dict, owner: type | None, key: str, value: object) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return f" is missing{_purpose(owner, key)}"
    if kind == "extra_forbidden":
        allowed = list(_fields(owner))
        return f" is no known key{did_you_mean(key, allowed)}; the keys here are {', '.join(allowed)}"
    if value is None and (kind.endswith("_type") or kind == "literal_error"):
        return f" is empty{_purpose(owner, key)}"
    shown = "" if isinstance(value, (dict, list)) or not key else f": {value!r}"
    right = _right(error, kind, context, owner, key, value)
    return f"{shown}: {right}" if key else right


def _right(error: dict, kind: str, context: dict, owner: type | None, key: str, value: object) -> str:
    """What would have been right for a value of the wrong type or range."""
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        return f"is none of {', '.join(choices)}{did_you_mean(value, choices)}"
    if kind in ("model_type", "model_attributes_type"):
        return f"needs keys of its own{_example(owner, key)}"
    if kind == "string_pattern_mismatch":
        allowed = ("letters, digits, dashes and underscores, a letter or digit first"
                   if "_-]" in context["pattern"] else "letters, digits and underscores, a letter first")
        return f"has a character that is not allowed: use {allowed}"
    if kind == "too_short":
        return f"needs at least one entry{_example(owner, key)}"
    if kind in ("string_too_short", "string_too_long"):
        bound = context.get("min_length", context.get("max_length"))
        return f'needs {"one character" if bound == 1 else f"{bound} characters"}, in quotes, as "|" or "\\t"'
    if kind == "greater_than_equal":
        return f"needs to be at least {context['ge']}"
    base = kind.split("_")[0]
    if base in TYPES and kind.endswith(("_type", "_parsing", "_from_float")):
        return f"needs {TYPES[base].format(value)}"
    return error["msg"].removeprefix("Value error, ")


def _purpose(owner: type | None, key: str) -> str:
    """`: what the key is for, for example ...`, out of its class's docstring and examples."""
    documented = inspect.getdoc(owner) or ""
    found = re.search(rf"^    {re.escape(key)}: (.+?)(?=\n    \S|\n\n|\Z)", documented, re.M | re.S)
    purpose = ": " + re.sub(r"\s+", " ", found[1]).rstrip(".").replace("`", "") if found else ""
    return purpose + _example(owner, key)


def _example(owner: type | None, key: str) -> str:
    field = _fields(owner).get(key)
    return f"; for example {key}: {field.examples[0]}" if field and field.examples else ""


def _key(path: Sequence, data: object) -> str:
    """`features[age].text.phrase`: a feature is named rather than counted."""
    text, value = "", data
    for step in path:
        if isinstance(step, int):
            value = value[step]
            text += f"[{value.get('name', step) if isinstance(value, dict) else step}]"
        else:
            text += f".{step}" if text else step
            value = value.get(step) if isinstance(value, dict) else None
    return text


def _line_number(path: Sequence, tree: yaml.Node) -> int | None:
    """The line of the deepest part of `path` that stands in the file."""
    line, node = None, tree
    for step in path:
        if isinstance(node, yaml.SequenceNode):
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            pair = next((p for p in node.value if p[0].value == step), None) if (
                isinstance(node, yaml.MappingNode)) else None
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
    return line


def _reject_repeated_keys(node: yaml.Node, where: str) -> None:
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _reject_repeated_keys(child, where)
    elif isinstance(node, yaml.MappingNode):
        seen = {}
        for key, child in node.value:
            if key.value in seen:
                raise UserError(f"{where}, line {key.start_mark.line + 1}: the key {key.value!r} stands "
                                f"twice, first in line {seen[key.value]}; leave one of them out")
            seen[key.value] = key.start_mark.line + 1
            _reject_repeated_keys(child, where)
