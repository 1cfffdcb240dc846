"""What stands above every table: data, rows, split, seeds, configuration."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.config import RunConfig

if TYPE_CHECKING:
    from benchmarks.prepared_data import PreparedData

_FACTS = """- **Rows** train / validation / test: {rows}; {dropped:,} dropped by the label rule.
- **Split**: by {split}. **Seeds**: {seeds}.{smoke}
- **Fields** of the ID model: {fields}.
- {backbone}**Language model**: {language_model}. **Configuration** beside its defaults: {config}"""


def facts(data: PreparedData, config: RunConfig, seeds: Sequence[int] | Mapping[str, Sequence[int]],
          smoke: bool) -> str:
    """The lines of a heading that say what was measured on.

    Args:
        data: what was trained on.
        config: the configuration that all started from.
        seeds: of its backbone, or those of each backbone.
        smoke: whether it was a smoke run.
    """
    several = isinstance(seeds, Mapping)
    changed = config.model_dump(exclude_defaults=True, mode="json", exclude={"backbone"})
    return _FACTS.format(
        rows=" / ".join(f"{n:,}" for n in data.rows.values()), dropped=data.ingestion["dropped"],
        split=data.spec.split.by, seeds=_shown(seeds),
        smoke=" **A smoke run: its figures mean nothing.**" if smoke else "",
        fields=", ".join(f.name for f in data.spec.model_features),
        backbone="" if several else f"**Backbone**: {config.backbone}. ",
        language_model=f"{config.language_model}, {config.text_mode}", config=f"`{json.dumps(changed)}`")


def mean_and_deviation(values: Sequence[float], sign: str = "") -> str:
    """The mean, and with several values their standard deviation, as tables show them.

    Example:

    ```python
    mean_and_deviation([0.5, 0.7])  # "0.6000 ± 0.1414"
    ```
    """
    spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.4f}{spread}"


def _shown(seeds: Sequence[int] | Mapping[str, Sequence[int]]) -> str:
    if not isinstance(seeds, Mapping):
        return ", ".join(map(str, seeds))
    if len({tuple(own) for own in seeds.values()}) == 1:
        return _shown(next(iter(seeds.values())))
    return "; ".join(f"{_shown(own)} for {backbone}" for backbone, own in seeds.items())


def machine() -> str:
    """The processor and, where there are any, the GPUs."""
    import tensorflow as tf

    gpus = [tf.config.experimental.get_device_details(g).get("device_name", "GPU")
            for g in tf.config.list_physical_devices("GPU")]
    return ", ".join([f"{os.cpu_count()} CPU cores", *gpus])
