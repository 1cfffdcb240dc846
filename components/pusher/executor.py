"""Executor of Pusher."""

from __future__ import annotations

import os
import time

from tfx.components.pusher import executor as tfx_executor
from tfx.dsl.io import fileio
from tfx.proto import pusher_pb2
from tfx.utils import proto_utils

_POLL_SECONDS = 0.05


class Executor(tfx_executor.Executor):
    """TFX's pusher, which gives every push a version of its own.

    A version is the second of its push. TFX's executor leaves out a push whose second has one
    already, and records it as done, so that what was pushed by another run would be taken for
    this one's model.
    """

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Waits for a second without a version, then pushes."""
        destination = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(exec_properties["push_destination"], destination)
        folder = destination.filesystem.base_directory
        while fileio.exists(os.path.join(folder, str(int(time.time())))):
            time.sleep(_POLL_SECONDS)
        super().Do(input_dict, output_dict, exec_properties)
