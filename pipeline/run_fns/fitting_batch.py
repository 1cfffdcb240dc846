"""Rows of a step, where the configuration leaves them open."""

_LEAST = 32


def fitting_batch(rows: int, steps: int, most: int) -> int:
    """Rows of a step that leave an epoch so many steps.

    With too few of them a model has hardly moved when it is judged, and training stops.

    Args:
        rows: of the training split.
        steps: of an epoch, at least, where that leaves a step 32 rows.
        most: rows of a step.

    Returns:
        A power of two from 32 to `most`.

    Example:

    ```python
    fitting_batch(rows=58_279, steps=100, most=4096)  # 512
    ```
    """
    fitting = 1 << max(1, rows // steps).bit_length() - 1
    return min(max(fitting, _LEAST), most)
