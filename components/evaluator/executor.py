"""Executor of Evaluator."""

from __future__ import annotations

import os

import tensorflow as tf
from tfx.components.evaluator import executor as tfx_executor
from tfx.dsl.io import fileio
from tfx.types import standard_component_specs
from tfx.utils import path_utils


class Executor(tfx_executor.Executor):
    """Leaves out an empty baseline; see `component.Evaluator`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Evaluates."""
        key = standard_component_specs.BASELINE_MODEL_KEY
        found = [a for a in input_dict.get(key) or () if _holds_a_model(a)]
        super().Do({**input_dict, key: found}, output_dict, exec_properties)


def _holds_a_model(artifact) -> bool:
    path = path_utils.serving_model_path(artifact.uri, path_utils.is_old_model_artifact(artifact))
    return fileio.exists(os.path.join(path, tf.saved_model.SAVED_MODEL_FILENAME_PB))
