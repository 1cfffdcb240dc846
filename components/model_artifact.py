"""What is in an artifact of type `Model`."""

from __future__ import annotations

import os

import tensorflow as tf
from tfx.dsl.io import fileio
from tfx.types import Artifact
from tfx.utils import path_utils


def holds_a_model(artifact: Artifact) -> bool:
    """Whether there is a SavedModel in it; a baseline has none before the first model is pushed.

    Example:

    ```python
    baselines = [artifact for artifact in input_dict.get("baseline_model", ()) if holds_a_model(artifact)]
    ```
    """
    path = path_utils.serving_model_path(artifact.uri, path_utils.is_old_model_artifact(artifact))
    return fileio.exists(os.path.join(path, tf.saved_model.SAVED_MODEL_FILENAME_PB))
