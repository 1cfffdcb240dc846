"""What is taken away from the method, or changed in it, one thing at a time."""

from __future__ import annotations

import dataclasses
from typing import Any

from models.language_model_source import MINILM_RANDOM
from models.spec.errors import UserError
from models.spec.text_form import TEXT_FORMS
from pipeline.config import RunConfig

REFERENCE = "reference"
_TEMPERATURES = (0.05, 0.1, 0.2, 0.7)
_BATCH_SIZES = (256, 1024, 4096, 6400)
_SUBSPACES = (1, 2, 4, 8)
_MASKED_FEATURES = (0.1, 1.0)
# The paper says nothing of the weight: a whole contrastive loss, and one of the size of the click loss.
_JOINT_WEIGHTS = (1.0, 0.1)


@dataclasses.dataclass(frozen=True)
class Ablation:
    """One line of the table.

    Args:
        group: what `--only` calls it.
        shown: what is changed, in words.
        value: to what.
        settings: keys of the configuration, as `with_settings` takes them.
        arm: as of `Arms`.
        joint_weight: of the arm `joint`.
    """

    group: str
    shown: str
    value: str
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    arm: str = "aligned"
    joint_weight: float = 1.0


def ablations(config: RunConfig) -> list[Ablation]:
    """All ablations of a configuration, the reference first.

    Several may be the configuration itself, as that of its own temperature. The sub-spaces
    divide the same total width.

    Raises:
        UserError: the total width does not divide, or the text is not frozen.

    Example:

    ```python
    {a.group for a in ablations(RunConfig())}
    ```
    """
    if config.text_mode != "frozen":
        raise UserError(f"text_mode is {config.text_mode!r}; the ablations compare text vectors on the same examples, "
                        "which only 'frozen' has")
    width = config.alignment.num_subspaces * config.alignment.subspace_width
    if width % max(_SUBSPACES):
        raise UserError(f"alignment: num_subspaces times subspace_width is {width}, which does not divide into "
                        f"{max(_SUBSPACES)} sub-spaces; take a multiple, as {max(_SUBSPACES) * 16}")

    def subspaces(count: int) -> dict[str, Any]:
        return {"alignment.num_subspaces": count, "alignment.subspace_width": width // count}

    return [
        Ablation(REFERENCE, "nothing", "as configured"),
        Ablation("plain", "no alignment", "plain backbone", arm="plain"),
        Ablation("random_weights", "language model", "the same architecture, untrained",
                 {"language_model": MINILM_RANDOM}),
        Ablation("cosine", "max-sim", "cosine", {**subspaces(1), "alignment.normalize": True}),
        *(Ablation("subspaces", "sub-spaces M", f"{m} of width {width // m}", subspaces(m)) for m in _SUBSPACES),
        *(Ablation("temperature", "temperature", f"{t:g}", {"alignment.temperature": t}) for t in _TEMPERATURES),
        *(Ablation("batch_size", "batch of alignment", f"{b:,}", {"alignment.batch_size": b}) for b in _BATCH_SIZES),
        *(Ablation("text_form", "text form", form, {"text_form": form}) for form in TEXT_FORMS),
        *(Ablation("masked_features", "masked features besides", f"weight {w:g}", {"alignment.masked_features": w})
          for w in _MASKED_FEATURES),
        Ablation("adaptation", "language model", "adapted to the log's texts, 1 epoch", {"adaptation.epochs": 1}),
        *(Ablation("joint", "two stages", f"end to end, contrastive weight {w:g}", arm="joint", joint_weight=w)
          for w in _JOINT_WEIGHTS),
    ]


def one_of_each(found: list[Ablation]) -> list[Ablation]:
    """The last of each group, for a smoke run."""
    return list({a.group: a for a in found}.values())
