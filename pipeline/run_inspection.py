"""Reads what a run recorded in ML Metadata and wrote as artifacts."""

from __future__ import annotations

import tensorflow_model_analysis as tfma
from ml_metadata import proto as mlmd_proto
from tfx.orchestration import metadata

from components.example_gen.executor import SPAN
from components.text_encoder.executor import ENCODED, REUSED
from pipeline.evaluated import AUC, CALIBRATION, COUNT, LOGLOSS, Evaluated
from pipeline.ingestion_counts import read_counts
from pipeline.local_runner import ComponentRun

_CHANGE_KEYS = {AUC: "evaluation.max_auc_drop", LOGLOSS: "evaluation.max_logloss_rise"}


class RunInspection:
    """The artifacts of one run's components.

    Args:
        connection: the ML Metadata store's connection configuration.
        components: the run's components, as the runner recorded them.
    """

    def __init__(self, connection, components: list[ComponentRun]):
        self._outputs: dict[str, dict[str, list]] = {}
        with metadata.Metadata(connection) as handle:
            store = handle.store
            by_execution = {c.execution_id: c.node for c in components}
            events = store.get_events_by_execution_ids(list(by_execution))
            wanted = [e for e in events if e.type in (
                mlmd_proto.Event.OUTPUT, mlmd_proto.Event.DECLARED_OUTPUT)]
            artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in wanted])}
            for event in wanted:
                key = event.path.steps[0].key
                self._outputs.setdefault(by_execution[event.execution_id], {}).setdefault(key, []).append(
                    artifacts[event.artifact_id])

    def uri(self, node: str, key: str) -> str | None:
        """URI of a component's output, or None when it has none."""
        found = self._outputs.get(node, {}).get(key)
        return found[-1].uri if found else None

    def flag(self, node: str, key: str, name: str) -> int | None:
        """An integer custom property of a component's output."""
        found = self._outputs.get(node, {}).get(key)
        return found[-1].custom_properties[name].int_value if found and name in found[-1].custom_properties else None

    def text(self, node: str, key: str, name: str) -> str | None:
        """A string custom property of a component's output."""
        found = self._outputs.get(node, {}).get(key)
        return found[-1].custom_properties[name].string_value if found else None

    def ingestion(self) -> dict:
        """Ingestion's summary: counts and split sizes; of daily logs, the newest day is the test as a whole."""
        days = sorted((outputs["examples"][-1].custom_properties[SPAN].int_value, node)
                      for node, outputs in self._outputs.items() if node.partition("-")[0] == "ExampleGen")
        return read_counts([self.uri(node, "report") for _, node in days])

    def texts(self) -> dict[str, int] | None:
        """In daily operation, how many texts were encoded and how many were taken over; else None."""
        encoded = self.flag("TextEncoder", "text_vectors", ENCODED)
        if self.flag("TextEncoder", "text_vectors", SPAN) is None or encoded is None:
            return None
        return {"encoded": encoded, "reused": self.flag("TextEncoder", "text_vectors", REUSED)}

    def evaluated(self, node: str) -> Evaluated | None:
        """The figures that an Evaluator computed, or None when it did not run."""
        uri = self.uri(node, "evaluation")
        return read_evaluated(uri) if uri else None

    def gate_failures(self, node: str) -> list[str]:
        """Why the gate refused, one line a threshold: the metric, its value, what it needs, the key."""
        result = tfma.load_validation_result(self.uri(node, "evaluation"))
        failures = [f for per_slice in result.metric_validations_per_slice for f in per_slice.failures]
        return [_explain(f) for f in failures] or [f"the evaluation lacks slices or metrics: {result}"]


def read_evaluated(uri: str, model: str = "candidate") -> Evaluated | None:
    """The figures of one model out of an Evaluator's `evaluation`.

    Args:
        uri: of the artifact.
        model: `candidate`, or `baseline`, for which there is None where nothing was compared with.
    """
    overall, slices = {}, {}
    # With a baseline there are two models in it, by TFX's names; without, one that has none.
    models = {m.name for m in tfma.load_eval_results(uri).get_results()[0].config.model_specs}
    if model not in models and model != "candidate":
        return None
    for key, outputs in tfma.load_eval_result(uri, model_name=model if model in models else None).slicing_metrics:
        values = {
            name: metric.get("doubleValue", float("nan"))
            for name, metric in outputs[""][""].items() if name in (AUC, LOGLOSS, CALIBRATION, COUNT)
        }
        if key:
            slices[", ".join(f"{k} = {_text(v)}" for k, v in key)] = values
        else:
            overall = values
    return Evaluated(overall, slices)


def _text(value) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _explain(failure) -> str:
    """A TFMA `ValidationFailure` in words."""
    name, value = failure.metric_key.name, failure.metric_value.double_value.value
    if failure.metric_threshold.HasField("change_threshold"):
        key, allowed = _CHANGE_KEYS[name], abs(failure.metric_threshold.change_threshold.absolute.value)
        return (f"{name} changed by {value:+.4f} against the last blessed model; {allowed:g} for the worse is "
                f"allowed ({key})")
    threshold = failure.metric_threshold.value_threshold
    if name == CALIBRATION:
        return (f"{name} is {value:.4f}; it must lie between {threshold.lower_bound.value:g} and "
                f"{threshold.upper_bound.value:g} (evaluation.max_calibration_error)")
    return f"{name} is {value:.4f}; it must be at least {threshold.lower_bound.value:g} (evaluation.min_{name})"
