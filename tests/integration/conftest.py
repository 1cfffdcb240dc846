"""Real runs of the `ctrl` command, each a process of its own."""

from __future__ import annotations

import contextlib
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

import pytest

CTRL = [sys.executable, "-c", "import sys; from pipeline.cli import main; sys.exit(main())"]
REPOSITORY = pathlib.Path(__file__).parents[2]


class Ctrl:
    """Starts the command with an environment that holds none of the tests' own settings, but these variables."""

    def __init__(self, **variables: str):
        self._environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "CUDA_", "GRPC_"))}
        self._environment |= {"PYTHONPATH": str(REPOSITORY), **variables}

    def __call__(self, *arguments, check: bool = True, timeout: float = 800) -> subprocess.CompletedProcess:
        """Runs to the end. With `check`, a failure fails the test with the output."""
        done = subprocess.run(
            [*CTRL, *map(str, arguments)], env=self._environment, capture_output=True, text=True, timeout=timeout)
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self, *arguments) -> subprocess.Popen:
        """Starts in a process group of its own; standard output is a pipe."""
        return subprocess.Popen(
            [*CTRL, *map(str, arguments)], env=self._environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    @contextlib.contextmanager
    def serving(self, root: pathlib.Path, port_file: pathlib.Path):
        """Serves the model below a root until the context ends; yields the process and its `host:port`."""
        server = self.start("serve", "--root", root, "--port", 0, "--port-file", port_file)
        try:
            for _ in range(240):
                if port_file.exists() and port_file.read_text().strip():
                    break
                assert server.poll() is None, server.stdout.read()
                time.sleep(0.25)
            yield server, f"127.0.0.1:{port_file.read_text().strip()}"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(20)

    def kill_in(self, component: str, *arguments, after: float = 1.0) -> str:
        """Runs until a component has worked for `after` seconds, then SIGKILLs. Returns the output."""
        process = self.start(*arguments)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.rstrip().endswith(f"] {component}"):
                time.sleep(after)
                break
        running = process.poll() is None
        if running:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert running, f"ended before it could be killed in {component}: {''.join(lines)}"
        return "".join(lines)


def components(output: str) -> dict[str, str]:
    """Component to `reused`, `done in ...` or "" (it did not end), from a run's output."""
    found, current = {}, None
    for line in output.splitlines():
        if not line:  # The summary follows.
            current = None
        elif line.startswith("[") and "] " in line:
            current = line.split("] ", 1)[1].strip()
            found[current] = ""
        elif current and line.startswith("        "):
            found[current] = line.strip()
    return found


def peak_memory() -> int:
    """Bytes of the largest process that was started and has ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


@pytest.fixture(scope="session")
def ctrl() -> Ctrl:
    return Ctrl()
