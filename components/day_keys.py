"""Keys of inputs that a component has one of for each day: Kubeflow Pipelines has no channel of many artifacts."""

from __future__ import annotations

# As many days as a window has at most.
MAX_DAYS = 31


def day_keys(name: str) -> tuple[str, ...]:
    """The keys of one input.

    Example:

    ```python
    day_keys("counts")[:2]  # ("counts_00", "counts_01")
    ```
    """
    return tuple(f"{name}_{day:02d}" for day in range(MAX_DAYS))
