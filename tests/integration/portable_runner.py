"""Beam's own job server and worker pool, started by a test."""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

WORKERS = 2


@contextlib.contextmanager
def portable_runner(folder: pathlib.Path) -> Iterator[dict]:
    """`beam.options` for `PortableRunner` with two worker processes, which end with the context.

    Args:
        folder: gets the logs of both servers.
    """
    # The pool starts its workers by their name, and waits for ever where it does not find it.
    environment = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
                   "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    jobs, pool = _free_port(), _free_port()
    commands = {
        "jobs": ["apache_beam.runners.portability.local_job_service_main", f"--port={jobs}",
                 f"--staging_dir={folder}/staging"],
        "pool": ["apache_beam.runners.worker.worker_pool_main", f"--service_port={pool}"]}
    with contextlib.ExitStack() as stack:
        for name, command in commands.items():
            log = stack.enter_context(open(folder / f"{name}.log", "w"))
            process = subprocess.Popen(
                [sys.executable, "-m", *command], env=environment, stdout=log, stderr=subprocess.STDOUT,
                cwd=folder)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        for port in (jobs, pool):
            _wait_for(port)
        yield {"job_endpoint": f"127.0.0.1:{jobs}", "environment_type": "EXTERNAL",
               "environment_config": f"127.0.0.1:{pool}", "direct_num_workers": WORKERS}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for(port: int, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
