"""Time spans and sizes in the units that people read, in the terminal and on pages."""

from __future__ import annotations


def duration(seconds: float | None) -> str:
    """A time span in its two greatest units; empty where it is not known.

    Example:

    ```python
    [duration(s) for s in (0.3, 12.4, 152, 3900)]  # ["0.3 s", "12 s", "2 min 32 s", "1 h 5 min"]
    ```
    """
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(count: int) -> str:
    """Bytes in the unit that fits.

    Example:

    ```python
    [size(n) for n in (999, 1_250_000)]  # ["999 B", "1.2 MB"]
    ```
    """
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{count} B" if unit == "B" else f"{value:,.1f} {unit}"
