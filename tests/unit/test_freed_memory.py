import ctypes
import weakref

import numpy as np
import psutil
import pytest

from serving.freed_memory import give_back


def _resident() -> int:
    return psutil.Process().memory_info().rss


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc has malloc_trim")
def test_what_was_freed_is_given_back():
    # Small enough not to be mapped one by one, and too much to be kept by chance.
    held = [np.ones(8_000) for _ in range(2_000)]
    last = np.ones(8_000)
    full = _resident()
    del held
    give_back()
    assert _resident() < full - 100_000_000
    assert last.sum() == 8_000


def test_what_refers_to_itself_is_freed():
    class Graph:
        def __init__(self):
            self.graph = self

    graph = weakref.ref(Graph())
    assert graph() is not None
    give_back()
    assert graph() is None


def test_another_c_library_has_no_such_function(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    give_back()
