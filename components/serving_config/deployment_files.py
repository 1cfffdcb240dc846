"""The files that stock TensorFlow Serving is started with, on one machine or on Kubernetes."""

from __future__ import annotations

import json
import pathlib
import re
import string
import textwrap

_TEMPLATES = pathlib.Path(__file__).parent / "templates"
# What the server itself reads; Compose mounts them, Kubernetes holds them in a ConfigMap.
CONFIGS = ("models.config", "batching_parameters.txt", "monitoring.config")
COMPOSE, KUBERNETES = "docker-compose.yaml", "kubernetes.yaml"


def deployment_files(model_name: str, image: str, model_dir: str) -> dict[str, str]:
    """The files by name, as text.

    Args:
        model_name: what the server calls the model: letters, digits, dashes, underscores.
        image: the container image, with its tag.
        model_dir: the folder of the model's versions, from where `docker-compose.yaml` will
            lie; where it is no folder (`gs://...`), whoever starts Compose names a copy.

    Example:

    ```python
    deployment_files("ctr", "tensorflow/serving:2.16.1", "../../serving/ctr")["models.config"]
    ```
    """
    values = {"model_name": model_name, "name": _object_name(model_name), "image": image,
              "model_dir": _source(model_dir)}
    files = {name: _filled(name, values) for name in (*CONFIGS, COMPOSE)}
    # `models.config` fills in `$models_config`.
    indented = {name.replace(".", "_"): textwrap.indent(files[name].rstrip(), "    ") for name in CONFIGS}
    return {**files, KUBERNETES: _filled(KUBERNETES, {**values, **indented})}


def _filled(name: str, values: dict[str, str]) -> str:
    return string.Template((_TEMPLATES / name).read_text(encoding="utf-8")).substitute(values)


def _source(model_dir: str) -> str:
    """The folder as Compose reads it: a quoted string in which `$` begins a variable."""
    escaped = model_dir.replace("$", "$$")
    return json.dumps(f"${{MODEL_DIR:?a copy of {escaped}}}" if "://" in model_dir else escaped, ensure_ascii=False)


def _object_name(model_name: str) -> str:
    """What Kubernetes and Compose call it: they take lower case and dashes only, 63 characters at most."""
    return re.sub("[^a-z0-9]+", "-", f"tf-serving-{model_name.lower()}")[:63].rstrip("-")
