"""What TF_CONFIG says on each of several machines, which here are processes."""

from __future__ import annotations

import contextlib
import json
import socket


def task_configs(count: int) -> list[str]:
    """The variable's value for each of `count` workers on this machine, with ports that are free."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for bound in sockets:
            bound.bind(("127.0.0.1", 0))
        hosts = [f"127.0.0.1:{bound.getsockname()[1]}" for bound in sockets]
    return [json.dumps({"cluster": {"worker": hosts}, "task": {"type": "worker", "index": i}}) for i in range(count)]
