"""Which earlier artifact a run is compared with, or goes on from.

TFX's own strategies take the latest artifact there is, which in a repeated run is the
run's own: the student would be its own baseline, the Evaluator's inputs would change,
and nothing after it could be reused. The `Previous` ones take the latest that is older
than the current run's.
"""

from __future__ import annotations

from tfx.dsl.components.common import resolver
from tfx.dsl.input_resolution.strategies import latest_blessed_model_strategy

from components.data_validator.executor import STATISTICS_ID
from components.trainer.executor import TASK


class PreviousBlessedModelStrategy(latest_blessed_model_strategy.LatestBlessedModelStrategy):
    """Resolves `model` to the latest blessed model that is older than `candidate` and comparable with it.

    Comparable are models of the same features, label and split: another could not read
    the candidate's examples, or has been trained on the rows that now are the test.

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
        candidate = max(input_dict["candidate"], key=lambda a: a.id)
        task = candidate.get_string_custom_property(TASK)
        older = [
            m for m in input_dict["model"] if m.id < candidate.id and m.get_string_custom_property(TASK) == task]
        found = self._resolve(
            {"model": older, "model_blessing": list(input_dict["model_blessing"])}, "model", "model_blessing")
        return {**found, "candidate": input_dict["candidate"]}


class ArtifactsStrategy(resolver.ResolverStrategy):
    """Resolves each input to the one artifact that is named.

    Args:
        ids: artifact id by input.

    Example:

    ```python
    resolver = Resolver(
        strategy_class=ArtifactsStrategy, config={"ids": {"served": 23}}, served=Channel(type=Model))
    ```
    """

    def __init__(self, ids: dict[str, int]):
        self._ids = ids

    def resolve_artifacts(self, store, input_dict):
        """See the class."""
        return {key: [a for a in found if a.id == self._ids[key]] for key, found in input_dict.items()}


class PreviousStatisticsStrategy(resolver.ResolverStrategy):
    """Resolves `previous` to the latest accepted statistics older than those of `current`.

    Statistics whose validation stopped the run were not accepted: were they compared
    with, repeating a refused run would make its drift the norm.

    Example:

    ```python
    resolver = Resolver(
        strategy_class=PreviousStatisticsStrategy,
        previous=Channel(type=ExampleStatistics),
        anomalies=Channel(type=ExampleAnomalies),
        current=statistics_gen.outputs["statistics"],
    )
    ```
    """

    def resolve_artifacts(self, store, input_dict):
        """See the class. Returns an empty list for `previous` when there is none."""
        current = max(a.id for a in input_dict["current"])
        accepted = {a.get_int_custom_property(STATISTICS_ID) for a in input_dict["anomalies"]}
        older = sorted(
            (a for a in input_dict["previous"] if a.id < current and a.id in accepted), key=lambda a: a.id)
        return {**input_dict, "previous": older[-1:]}
