"""Who may write below a root now: one process, or several that do not get in each other's way.

The locks are the kernel's (flock), so that a process that was killed holds none.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import socket
import time
from collections.abc import Callable, Iterator

from models.spec.errors import UserError

_POLL_SECONDS = 0.5


class RunLock:
    """The lock that a file stands for, held while the context lasts.

    Processes that hold it shared run at the same time; one that holds it exclusively runs
    alone. The file says who they are.

    Args:
        path: the file, created in a folder that is there. It stays.
        exclusive: see above.
        purpose: what the process does, as `ctrl run`, for the messages of others.

    Example:

    ```python
    with held(RunLock(layout.locks / "run", exclusive=True, purpose="ctrl run"), wait=False) as lock:
        ...
        if lock.alone():
            shutil.rmtree(layout.checkpoints)
    ```
    """

    def __init__(self, path: pathlib.Path, *, exclusive: bool, purpose: str):
        self._path = path
        self._mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        self._holder = {"pid": os.getpid(), "host": socket.gethostname(), "purpose": purpose}
        self._file = None

    def acquire(self, wait: bool, waiting: Callable[[str], None]) -> None:
        """Takes the lock.

        Args:
            wait: until it is free.
            waiting: told once who holds it, before the waiting.

        Raises:
            UserError: others hold it and `wait` is false, the file cannot be written, or the file
                system knows no locks.
        """
        try:
            self._file = open(self._path, "a+", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{self._path}: cannot be written: {error.strerror}") from error
        if not self._take(self._mode):
            if not wait:
                self._file.close()
                raise UserError(
                    f"{self._path}: is locked by {self._holders()}; wait for its end with --wait, or give another "
                    "--root. With the metadata on a server (--metadata mysql://... or postgresql://...), runs below "
                    "one root go side by side")
            waiting(self._holders())
            while not self._take(self._mode):
                time.sleep(_POLL_SECONDS)
        # Lines of shared holders stay until the next exclusive one.
        if self._mode == fcntl.LOCK_EX:
            self._file.truncate(0)
        self._holder["since"] = datetime.datetime.now().isoformat(timespec="seconds")
        self._introduce()

    def release(self) -> None:
        """Gives it back."""
        self._file.close()

    def identify(self, run_id: str) -> None:
        """Adds the id of the run to what others are told."""
        self._holder["run"] = run_id
        self._introduce()

    def alone(self) -> bool:
        """Tries to hold a shared lock exclusively.

        Returns:
            Whether it does. If not, it may hold the lock no longer: the kernel gives one back to take the other.
        """
        return self._take(fcntl.LOCK_EX)

    def _take(self, mode: int) -> bool:
        try:
            fcntl.flock(self._file, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise UserError(f"{self._path}: cannot be locked: {error.strerror}; the root must be on a file system that "
                            "has locks (flock)") from error
        return True

    def _introduce(self) -> None:
        self._file.write(json.dumps(self._holder) + "\n")
        self._file.flush()

    def _holders(self) -> str:
        """Those who introduced themselves and, as far as this machine can tell, still run."""
        lines = self._path.read_text(encoding="utf-8").splitlines()
        holders = {(h["host"], h["pid"]): h for h in map(json.loads, lines)}
        running = [h for (host, pid), h in holders.items()
                   if host != socket.gethostname() or pathlib.Path(f"/proc/{pid}").exists()]
        return "; ".join(
            f"{h['purpose']}{' ' * ('run' in h)}{h.get('run', '')} (process {h['pid']} on {h['host']}, since "
            f"{h['since']})" for h in running) or "another process"


@contextlib.contextmanager
def held(lock: RunLock, wait: bool = True, waiting: Callable[[str], None] = print) -> Iterator[RunLock]:
    """A context that holds a lock; see `RunLock.acquire`."""
    lock.acquire(wait, waiting)
    try:
        yield lock
    finally:
        lock.release()
