"""Executor of DailyTransform."""

from __future__ import annotations

from tfx.components.transform import executor as tfx_executor
from tfx.types import artifact_utils
from tfx.utils import json_utils


class Executor(tfx_executor.Executor):
    """TFX's executor, with the place of the vocabularies in `custom_config`; see `component.DailyTransform`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Runs the transformation."""
        inputs = dict(input_dict)
        vocabularies = artifact_utils.get_single_uri(inputs.pop("vocabularies"))
        config = {**json_utils.loads(exec_properties["custom_config"]), "vocabularies": vocabularies}
        super().Do(inputs, output_dict, {**exec_properties, "custom_config": json_utils.dumps(config)})
