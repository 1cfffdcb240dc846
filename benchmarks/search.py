"""A small random search, the same for every arm."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from typing import Any

from pipeline.config import RunConfig

SPACE = {
    "training.learning_rate": (3e-4, 1e-3, 3e-3),
    "training.weight_decay": (0.0, 1e-5, 1e-3, 1e-1),
    "training.embedding_l2": (1e-4, 1e-3, 1e-2, 1e-1),
    "backbone_options.dropout": (0.0, 0.1, 0.2, 0.4),
}
# Of the search only: the seeds that are reported start from other weights.
SEED = 0


def candidates(trials: int) -> list[dict[str, float]]:
    """Settings to try: those of the configuration first (`{}`), then random points of `SPACE`.

    They are the same in every call, so that each arm is searched at the same points: none has
    a larger budget, nor better luck in the draw.

    Args:
        trials: how many.

    Example:

    ```python
    candidates(8)[1]["training.learning_rate"]
    ```
    """
    points = [dict(zip(SPACE, values)) for values in itertools.product(*SPACE.values())]
    return [{}, *random.Random(SEED).sample(points, trials - 1)]


def with_settings(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """A configuration with some keys set; a key of a group has a dot, as in `SPACE`.

    Example:

    ```python
    with_settings(config, {"training.learning_rate": 3e-3}).training.learning_rate  # 0.003
    ```
    """
    values = config.model_dump(mode="json")
    for key, value in settings.items():
        group, _, name = key.rpartition(".")
        (values[group] if group else values)[name] = value
    return RunConfig.model_validate(values)
