"""Keeps a language model that was adapted to a domain, and loads it again."""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
from typing import Any

import tensorflow as tf

from models.language_model import LanguageModel
from models.spec.errors import UserError

RECORD = "adaptation.json"


def save(model: LanguageModel, uri: str, **facts: Any) -> None:
    """Writes an adapted language model as a keras-hub preset, with a record of its origin.

    Nothing else is needed to load it. A local folder is a language model like any other:
    `language_model: <folder>` uses it in other runs.

    Args:
        model: the model, whose backbone was trained since it was loaded.
        uri: folder, on any file system that TensorFlow knows.
        **facts: what else the record says, as JSON.

    Example:

    ```python
    save(model, "gs://bucket/adapted", epochs=2)
    load("gs://bucket/adapted").encode(["a man is eating food"], max_tokens=64)
    ```
    """
    with tempfile.TemporaryDirectory(prefix="language_model_") as folder:
        model.backbone.save_to_preset(folder)
        model.tokenizer.save_to_preset(folder)
        record = {"language_model": model.name, "fingerprint": model.fingerprint, **facts}
        pathlib.Path(folder, RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        _copy(folder, uri)


def load(uri: str) -> LanguageModel:
    """Loads what `save` wrote.

    Raises:
        UserError: it cannot be loaded.
    """
    # keras-hub reads local folders only.
    with tempfile.TemporaryDirectory(prefix="language_model_") as folder:
        _copy(uri, folder)
        return LanguageModel.load(folder)


def origin(uri: str) -> dict[str, Any]:
    """The record: `language_model`, `fingerprint` (of the weights before), and `save`'s facts.

    Raises:
        UserError: there is none.
    """
    path = os.path.join(uri, RECORD)
    if not tf.io.gfile.exists(path):
        raise UserError(f"{uri}: holds no adapted language model: no {RECORD}")
    with tf.io.gfile.GFile(path) as file:
        return json.load(file)


def _copy(source: str, target: str) -> None:
    for folder, _, files in tf.io.gfile.walk(source):
        inner = os.path.relpath(folder, source)
        copied = target if inner == "." else os.path.join(target, inner)
        tf.io.gfile.makedirs(copied)
        for name in files:
            tf.io.gfile.copy(os.path.join(folder, name), os.path.join(copied, name), overwrite=True)
