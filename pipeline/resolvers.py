"""Which earlier artifact a run is compared with.

TFX's own strategies take the latest artifact there is, which in a repeated run is the
run's own: the student would be its own baseline, the Evaluator's inputs would change,
and nothing after it could be reused. These take the latest one that is older than the
current run's.
"""

from __future__ import annotations

from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies import latest_blessed_model_strategy


class PreviousBlessedModelStrategy(latest_blessed_model_strategy.LatestBlessedModelStrategy):
    """Resolves `model` to the latest blessed model older than the one of `candidate`.

    Example:

    ```python
    resolver = Resolver(
        strategy_class=PreviousBlessedModelStrategy,
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
        candidate=trainer.outputs["model"],
    )
    ```
    """

    def resolve_artifacts(self, store, input_dict):
        """See the class. Returns `model` and `model_blessing`, empty when there is none."""
        current = max(a.id for a in input_dict["candidate"])
        older = [m for m in input_dict["model"] if m.id < current]
        found = self._resolve(
            {"model": older, "model_blessing": list(input_dict["model_blessing"])}, "model", "model_blessing")
        return {**found, "candidate": input_dict["candidate"]}


class PreviousArtifactStrategy(resolver.ResolverStrategy):
    """Resolves `previous` to the latest artifact older than the one of `current`."""

    def resolve_artifacts(self, store, input_dict):
        """See the class. Returns an empty list for `previous` when there is none."""
        current = max(a.id for a in input_dict["current"])
        older = sorted((a for a in input_dict["previous"] if a.id < current), key=lambda a: a.id)
        return {"previous": older[-1:], "current": input_dict["current"]}
