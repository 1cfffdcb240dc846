"""Memory that nothing uses any more, given back to the system."""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Frees what only refers to itself, then makes the C library return what is free.

    A TensorFlow graph is such a thing, and where everything else stays Python's own collection comes late: a server
    grew by a graph with every version. The C library keeps freed memory in the hope of using it again, and to load a
    model takes more than to keep it; only glibc has a function to return it, with others none is. Takes a part of
    a second. See https://man7.org/linux/man-pages/man3/malloc_trim.3.html.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
