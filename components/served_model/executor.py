"""Executor of ServedModel."""

from __future__ import annotations

import logging
import os

import tensorflow as tf
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from components.trainer.executor import TASK, task_fingerprint
from models.spec.dataset_spec import DatasetSpec

_log = logging.getLogger("ctrl.served_model")
# Custom property of the model: the version's folder.
SERVED_FROM = "served_from"


class Executor(base_executor.BaseExecutor):
    """Copies the newest version; see `component.ServedModel`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Copies."""
        self._log_startup(input_dict, output_dict, exec_properties)
        model = artifact_utils.get_single_instance(output_dict["model"])
        version = newest_version(exec_properties["serving_dir"])
        if version is None:
            _log.info("%s: nothing is served yet, so there is no baseline", exec_properties["serving_dir"])
            return
        task = task_fingerprint(DatasetSpec.from_json(exec_properties["dataset_spec"]))
        if _task(os.path.join(version, exec_properties["spec_file"])) != task:
            _log.info("%s: has other features, another label or split, so it is no baseline", version)
            return
        io_utils.copy_dir(version, path_utils.serving_model_dir(model.uri))
        model.set_string_custom_property(SERVED_FROM, version)
        model.set_string_custom_property(TASK, task)


def newest_version(serving_dir: str) -> str | None:
    """The folder of the highest version that holds a SavedModel, or None.

    Example:

    ```python
    newest_version("gs://bucket/clicks/serving/ctr")  # "gs://bucket/clicks/serving/ctr/1718000000"
    ```
    """
    if not fileio.exists(serving_dir):
        return None
    # On object storage a folder's name ends with a slash.
    names = [name for name in (n.rstrip("/") for n in fileio.listdir(serving_dir)) if name.isdecimal()]
    folders = (os.path.join(serving_dir, name) for name in sorted(names, key=int, reverse=True))
    return next((f for f in folders if fileio.exists(os.path.join(f, tf.saved_model.SAVED_MODEL_FILENAME_PB))), None)


def _task(path: str) -> str | None:
    """The task of a served version's specification; None where it has none that can be read."""
    if not fileio.exists(path):
        return None
    with fileio.open(path) as file:
        try:
            return task_fingerprint(DatasetSpec.from_json(file.read()))
        except ValueError:
            return None
