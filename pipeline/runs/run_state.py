"""What became of a run."""

from __future__ import annotations

import enum


class RunState(str, enum.Enum):
    """What became of a run.

    `RUNNING`: it goes on, or goes on elsewhere as far as can be told from here. `COMPLETE`: it
    came to a verdict, whatever that was. `FAILED`: a component raised an error. `INTERRUPTED`:
    it was stopped, by Ctrl-C or a kill, and the same command goes on from there.

    Example:

    ```python
    RunState("failed") is RunState.FAILED
    ```
    """

    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
