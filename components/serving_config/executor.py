"""Executor of ServingConfig."""

from __future__ import annotations

import logging
import os

import tensorflow as tf
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.serving_config.deployment_files import deployment_files

_log = logging.getLogger("ctrl.serving_config")


class Executor(base_executor.BaseExecutor):
    """Writes the files, and copies those that are new where they are used; see `component.ServingConfig`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Writes and copies."""
        self._log_startup(input_dict, output_dict, exec_properties)
        target = exec_properties["deployment_dir"]
        files = deployment_files(
            exec_properties["model_name"], exec_properties["image"], _from(target, exec_properties["serving_dir"]))
        made = artifact_utils.get_single_uri(output_dict["deployment_files"])
        for name, text in files.items():
            _write(made, name, text)
        # The Pusher's output exists for a refused model too.
        if not artifact_utils.get_single_instance(input_dict["pushed_model"]).get_int_custom_property("pushed"):
            return
        for name, text in files.items():
            path = os.path.join(target, name)
            if not tf.io.gfile.exists(path):
                _write(target, name, text)
            elif _read(path) != text:
                _log.info("%s: stays as it is; this run would write %s", path, os.path.join(made, name))


def _from(start: str, path: str) -> str:
    """A folder as seen from another: both can be moved together. One that is remote stays as it is."""
    return path if "://" in path else os.path.relpath(path, start)


def _write(folder: str, name: str, text: str) -> None:
    tf.io.gfile.makedirs(folder)
    with tf.io.gfile.GFile(os.path.join(folder, name), "w") as stream:
        stream.write(text)


def _read(path: str) -> str:
    with tf.io.gfile.GFile(path) as stream:
        return stream.read()
