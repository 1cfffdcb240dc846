"""Runs a command and watches the memory of all its processes."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import threading
from collections.abc import Sequence

import psutil

# Seconds between two looks.
_INTERVAL = 0.1


def peak_memory(command: Sequence[str], output: pathlib.Path) -> tuple[int, int]:
    """Runs a command to its end.

    Args:
        command: the command.
        output: file that its output is added to.

    Returns:
        Its exit status, and the largest sum of resident memory that it and its children had at
        once, in bytes; a process that lives shorter than 0.1 s may be missed.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with open(output, "a", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        ended, peak = threading.Event(), [0]
        watch = threading.Thread(target=_watch, args=(process.pid, ended, peak), daemon=True)
        watch.start()
        try:
            status = process.wait()
        finally:
            ended.set()
            watch.join()
            if process.poll() is None:
                process.kill()
    return status, peak[0]


def python(module: str, *arguments) -> list[str]:
    """The command that runs a module in this interpreter."""
    return [sys.executable, "-m", module, *map(str, arguments)]


def _watch(pid: int, ended: threading.Event, peak: list[int]) -> None:
    while not ended.wait(_INTERVAL):
        peak[0] = max(peak[0], _resident(pid))


def _resident(pid: int) -> int:
    total = 0
    try:
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
    except psutil.NoSuchProcess:
        pass
    return total
