"""What the gate asked of the student, and what came out."""

from __future__ import annotations

import dataclasses

import tensorflow_model_analysis as tfma

from pipeline.evaluated import AUC, CALIBRATION, LOGLOSS, Evaluated
from pipeline.report.formats import number, signed

_KEYS = {
    (AUC, False): "evaluation.min_auc", (AUC, True): "evaluation.max_auc_drop",
    (LOGLOSS, True): "evaluation.max_logloss_rise", (CALIBRATION, False): "evaluation.max_calibration_error"}
_NAMES = {AUC: "AUC", LOGLOSS: "Logloss", CALIBRATION: "Calibration"}


@dataclasses.dataclass(frozen=True)
class GateCheck:
    """One threshold.

    Attributes:
        question: what is asked for, in words.
        value: what it was, as text; empty where there was nothing to compare with.
        key: of the run configuration.
        passed: whether it was met; None where it did not apply.
    """

    question: str
    value: str
    key: str
    passed: bool | None


def read_checks(uri: str, student: Evaluated, baseline: Evaluated | None) -> list[GateCheck]:
    """The thresholds of an Evaluator's `evaluation`, in the order of its metrics.

    Args:
        uri: of the artifact.
        student: the candidate's figures.
        baseline: the last blessed model's.
    """
    (result,) = tfma.load_eval_results(uri).get_results()[:1]
    validation = tfma.load_validation_result(uri)
    failed = {
        (f.metric_key.name, f.metric_threshold.HasField("change_threshold"))
        for per_slice in validation.metric_validations_per_slice for f in per_slice.failures}
    found = []
    for metric in (m for spec in result.config.metrics_specs for m in spec.metrics):
        for threshold in (t.threshold for t in metric.per_slice_thresholds):
            name = next(n for n in _NAMES if f'"name": "{n}"' in metric.config)
            if threshold.HasField("value_threshold"):
                found.append(_value(name, threshold.value_threshold, student, (name, False) not in failed))
            if threshold.HasField("change_threshold"):
                found.append(_change(
                    name, threshold.change_threshold, student, baseline, (name, True) not in failed))
    return found


def _value(name: str, threshold: tfma.GenericValueThreshold, student: Evaluated, passed: bool) -> GateCheck:
    low = threshold.lower_bound.value
    asked = f"at least {low:g}"
    if threshold.HasField("upper_bound"):
        asked = f"between {low:g} and {threshold.upper_bound.value:g}"
    return GateCheck(f"{_NAMES[name]} is {asked}", number(student.overall[name]), _KEYS.get((name, False), ""), passed)


def _change(name: str, threshold: tfma.GenericChangeThreshold, student: Evaluated, baseline: Evaluated | None,
            passed: bool) -> GateCheck:
    word = "falls" if threshold.direction == tfma.MetricDirection.HIGHER_IS_BETTER else "rises"
    question = (f"{_NAMES[name]} {word} by no more than {abs(threshold.absolute.value):g} against the last blessed "
                "model")
    key = _KEYS.get((name, True), "")
    if baseline is None:
        return GateCheck(question, "", key, None)
    return GateCheck(question, signed(student.overall[name] - baseline.overall[name]), key, passed)
