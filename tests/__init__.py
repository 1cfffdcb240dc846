"""Tests. A regular package: without this file the name `tests` can resolve to a dependency's own tests."""
