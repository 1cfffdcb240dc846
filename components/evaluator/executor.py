"""Executor of Evaluator."""

from __future__ import annotations

from tfx.components.evaluator import executor as tfx_executor
from tfx.types import standard_component_specs

from components.model_artifact import holds_a_model


class Executor(tfx_executor.Executor):
    """Leaves out an empty baseline; see `component.Evaluator`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Evaluates."""
        key = standard_component_specs.BASELINE_MODEL_KEY
        found = [a for a in input_dict.get(key) or () if holds_a_model(a)]
        super().Do({**input_dict, key: found}, output_dict, exec_properties)
