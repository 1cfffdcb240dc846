"""Pushes a blessed model, each time as a version of its own."""

from __future__ import annotations

from tfx.components.pusher import component as tfx_component
from tfx.dsl.components.base import executor_spec

from components.pusher import executor


class Pusher(tfx_component.Pusher):
    """TFX's Pusher, with versions that two runs at the same time do not share.

    Inputs, outputs and settings are those of
    [TFX's](https://www.tensorflow.org/tfx/guide/pusher).

    Example:

    ```python
    pusher = Pusher(
        model=trainer.outputs["model"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory="ctrl_root/sample/serving/ctr")))
    ```
    """

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
