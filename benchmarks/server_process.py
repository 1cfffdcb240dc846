"""`ctrl serve` in a process of its own."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile
import time

import psutil

_CTRL = [sys.executable, "-c", "import sys; from pipeline.cli import main; sys.exit(main())"]
_PATIENCE = 180


class ServerProcess:
    """The embedded server with its default options, on a free port, until the context ends.

    Args:
        root: as of `ctrl serve`; it holds one model.

    Attributes:
        target: `host:port`.

    Raises:
        RuntimeError: it ends or does not answer.

    Example:

    ```python
    with ServerProcess(root) as server:
        closed_loop(server.target, requests, clients=1, operations=1000)
    ```
    """

    def __init__(self, root: pathlib.Path):
        self._root = root

    def __enter__(self) -> ServerProcess:
        with tempfile.TemporaryDirectory() as folder:
            port_file = pathlib.Path(folder, "port")
            # Its lines go where this process's diagnostics go.
            self._process = subprocess.Popen(
                [*_CTRL, "serve", "--server", "embedded", "--root", str(self._root), "--port", "0",
                 "--port-file", str(port_file)], stdout=2)
            try:
                self.target = f"127.0.0.1:{self._port(port_file)}"
            except BaseException:
                self.__exit__()
                raise
        self._status = psutil.Process(self._process.pid)
        return self

    def __exit__(self, *_) -> None:
        self._process.terminate()
        self._process.wait()

    @property
    def cpu_seconds(self) -> float:
        """CPU time that it has used so far."""
        times = self._status.cpu_times()
        return times.user + times.system

    @property
    def memory_mib(self) -> float:
        """Resident memory."""
        return self._status.memory_info().rss / 2**20

    def _port(self, port_file: pathlib.Path) -> str:
        end = time.monotonic() + _PATIENCE
        while not port_file.exists():
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended with status {self._process.returncode}")
            if time.monotonic() > end:
                raise RuntimeError(f"the server did not answer within {_PATIENCE} s")
            time.sleep(0.05)
        return port_file.read_text(encoding="utf-8").strip()
