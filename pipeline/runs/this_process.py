"""Whether the process of a run still goes on."""

from __future__ import annotations

import os
import pathlib
import platform

_BOOT_ID = pathlib.Path("/proc/sys/kernel/random/boot_id")


def identify(pid: int | None = None) -> str | None:
    """What tells a process from every other on this host, also from later ones with its number.

    Args:
        pid: its number; this process when absent.

    Returns:
        The host's boot, the number, and the clock ticks between the boot and its start; None when
        there is no such process. Source: proc(5), `/proc/[pid]/stat`, field 22.
    """
    pid = os.getpid() if pid is None else pid
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field, the program's name in brackets, may hold spaces and brackets itself.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else f"{_BOOT_ID.read_text().strip()}/{pid}/{fields[18]}"


def is_gone(host: str, pid: int, identity: str) -> bool:
    """Whether a process has surely ended; one on another host may go on.

    Args:
        host: where it ran.
        pid: its number there.
        identity: what `identify` said of it.
    """
    return host == platform.node() and identify(pid) != identity
