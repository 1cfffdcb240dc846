"""Memory that nothing uses any more, given back to the system."""

from __future__ import annotations

import ctypes


def give_back() -> None:
    """Makes the C library return what was freed; it keeps it otherwise, in the hope of using it again.

    To load a model takes more than to keep it, and its pieces lie between those of others: without this
    a server grew with each of its first versions. Only glibc has such a function; with others nothing happens.
    Takes milliseconds. See https://man7.org/linux/man-pages/man3/malloc_trim.3.html.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
