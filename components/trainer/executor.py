"""Executor of Trainer."""

from __future__ import annotations

from tfx.components.trainer import executor as tfx_executor
from tfx.types import artifact_utils


class Executor(tfx_executor.GenericExecutor):
    """TFX's generic trainer; hands the text vectors to `run_fn` through `custom_config`.

    `fn_args.custom_config["text_vectors"]` is the URI of the vectors, or None.
    """

    def _GetFnArgs(self, input_dict, output_dict, exec_properties):
        vectors = input_dict.get("text_vectors")
        fn_args = super()._GetFnArgs(input_dict, output_dict, exec_properties)
        fn_args.custom_config = {
            **(fn_args.custom_config or {}),
            "text_vectors": artifact_utils.get_single_uri(vectors) if vectors else None,
        }
        return fn_args
