"""Which run a user means."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from models.spec.errors import UserError


def choose(run_id: str, names: Collection[str]) -> str:
    """The name of the run that is meant.

    Args:
        run_id: its name, or the beginning of one that no other begins with.
        names: of all runs, newest first.

    Raises:
        UserError: no run, or several, are meant.

    Example:

    ```python
    choose("2026-04", ["2026-04-01T12:00", "2026-03-01T12:00"])  # "2026-04-01T12:00"
    ```
    """
    found = [name for name in names if run_id and name.startswith(run_id)]
    if run_id in names:
        return run_id
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(found[:5]) + (f" and {len(found) - 5:,} more" if len(found) > 5 else "")
        raise UserError(f"{run_id!r} is the beginning of several runs: {shown}; give more of one")
    if not names:
        raise UserError(f"there is no run {run_id!r}: the store holds none yet")
    near = difflib.get_close_matches(run_id, names, n=3, cutoff=0.5) or list(names)[:3]
    raise UserError(f"there is no run {run_id!r}; the nearest are {', '.join(near)}; `ctrl runs` lists them")
