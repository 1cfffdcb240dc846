"""Settings that must stand before the first import of TensorFlow, and the runner of Beam pipelines."""

import os

# TensorFlow Transform asks for Keras 2 where nothing else is said.
os.environ["TF_USE_LEGACY_KERAS"] = "0"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

from pipeline.local_beam_runner import LocalBeamRunner  # noqa: E402 - after the settings

# As in a run: executors that a test calls by itself download nothing either.
LocalBeamRunner.make_default()
