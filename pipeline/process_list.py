"""What other users of the machine see of this process."""

from __future__ import annotations

import contextlib
import os

# In /proc/PID/stat, counted behind the command's name; see proc(5).
_ARG_START, _ARG_END = 45, 46


def hide(secret: str) -> None:
    """Overwrites a text in the process's own command line, as MySQL's client does with a password.

    Until then, a moment after the start, `ps` shows it. Where the kernel does not allow it, it
    stays.

    Args:
        secret: what is replaced by as many `x`.
    """
    found = os.fsencode(secret)
    with contextlib.suppress(OSError):
        with open("/proc/self/stat", encoding="utf-8", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            arguments = memory.read(end - start)
            memory.seek(start)
            memory.write(arguments.replace(found, b"x" * len(found)))
