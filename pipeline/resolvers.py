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
from components.example_gen.executor import SPAN
from components.text_encoder.executor import FINGERPRINT, MAX_TOKENS
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


class EarlierDayModelStrategy(latest_blessed_model_strategy.LatestBlessedModelStrategy):
    """Resolves `model` to the last blessed model of a day before a run's newest.

    A refused model is passed over, and one that the same day's run made before is none:
    a repeated run starts from what it started from the first time.

    Args:
        span: number of the run's newest day.

    Example:

    ```python
    resolver = Resolver(
        strategy_class=EarlierDayModelStrategy,
        config={"span": 19875},
        model=Channel(type=Model),
        model_blessing=Channel(type=ModelBlessing),
    )
    ```
    """

    def __init__(self, span: int):
        self._span = span

    def resolve_artifacts(self, store, input_dict):
        """See the class. Returns `model` and `model_blessing`, empty when there is none."""
        blessings = list(input_dict["model_blessing"])
        earlier = _before(input_dict["model"], self._span)
        for span in sorted({a.get_int_custom_property(SPAN) for a in earlier}, reverse=True):
            models = [a for a in earlier if a.get_int_custom_property(SPAN) == span]
            found = self._resolve({"model": models, "model_blessing": blessings}, "model", "model_blessing")
            if found["model"]:
                return found
        return {"model": [], "model_blessing": []}


class EarlierTextVectorsStrategy(resolver.ResolverStrategy):
    """Resolves `previous` to the newest text vectors of a day before that can be taken over.

    Args:
        span: number of the run's newest day.
        language_model_fingerprint: what they must have been encoded with.
        max_tokens: what texts must have been cut at.

    Example:

    ```python
    resolver = Resolver(
        strategy_class=EarlierTextVectorsStrategy,
        config={"span": 19875, "language_model_fingerprint": "a1b2", "max_tokens": 64},
        previous=Channel(type=Examples, producer_component_id="TextEncoder"),
    )
    ```
    """

    def __init__(self, span: int, language_model_fingerprint: str, max_tokens: int):
        self._span = span
        self._made_with = (language_model_fingerprint, max_tokens)

    def resolve_artifacts(self, store, input_dict):
        """See the class. Returns an empty list where there are none."""
        fitting = [
            a for a in _before(input_dict["previous"], self._span)
            if (a.get_string_custom_property(FINGERPRINT), a.get_int_custom_property(MAX_TOKENS)) == self._made_with]
        return {"previous": sorted(fitting, key=lambda a: (a.get_int_custom_property(SPAN), a.id))[-1:]}


def _before(artifacts, span: int) -> list:
    return [a for a in artifacts if a.has_custom_property(SPAN) and a.get_int_custom_property(SPAN) < span]
