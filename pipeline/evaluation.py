"""What the Evaluator computes and what the gate asks."""

from __future__ import annotations

import tensorflow_model_analysis as tfma

from models.spec.dataset_spec import LABEL, DatasetSpec
from pipeline.evaluated import AUC, CALIBRATION, COUNT, LOGLOSS
from pipeline.settings.evaluation import Evaluation


def eval_config(spec: DatasetSpec, gate: Evaluation | None) -> tfma.EvalConfig:
    """TFMA's configuration: metrics overall and per slice.

    Args:
        spec: the dataset; its slices are evaluated.
        gate: thresholds, on the whole test split only; None evaluates without a gate.
    """
    value = {AUC: None, LOGLOSS: None, CALIBRATION: None, COUNT: None}
    if gate:
        value[AUC] = tfma.MetricThreshold(
            value_threshold=tfma.GenericValueThreshold(lower_bound={"value": gate.min_auc}),
            change_threshold=tfma.GenericChangeThreshold(
                direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -gate.max_auc_drop}))
        value[LOGLOSS] = tfma.MetricThreshold(
            change_threshold=tfma.GenericChangeThreshold(
                direction=tfma.MetricDirection.LOWER_IS_BETTER, absolute={"value": gate.max_logloss_rise}))
        value[CALIBRATION] = tfma.MetricThreshold(
            value_threshold=tfma.GenericValueThreshold(
                lower_bound={"value": 1 - gate.max_calibration_error},
                upper_bound={"value": 1 + gate.max_calibration_error}))
    metrics = [
        _metric("AUC", AUC, value[AUC], '"num_thresholds": 10000'),
        _metric("BinaryCrossEntropy", LOGLOSS, value[LOGLOSS]),
        _metric("Calibration", CALIBRATION, value[CALIBRATION]),
        _metric("ExampleCount", COUNT, value[COUNT]),
    ]
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(
            signature_name="serving_default", prediction_key="probability", label_key=LABEL)],
        slicing_specs=[tfma.SlicingSpec(), *(tfma.SlicingSpec(feature_keys=[name]) for name in spec.slices)],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
    )


def _metric(class_name: str, name: str, threshold, options: str = "") -> tfma.MetricConfig:
    config = tfma.MetricConfig(
        class_name=class_name, config="{" + ", ".join(filter(None, [f'"name": "{name}"', options])) + "}")
    if threshold:
        # A threshold applies to every slice unless its slices are named; small slices are noise.
        config.per_slice_thresholds.append(
            tfma.PerSliceMetricThreshold(slicing_specs=[tfma.SlicingSpec()], threshold=threshold))
    return config
