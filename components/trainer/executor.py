"""Executor of Trainer."""

from __future__ import annotations

from tfx.components.trainer import executor as tfx_executor
from tfx.types import artifact_utils
from tfx.utils import json_utils

from models.language_model_source import LanguageModelSource


class Executor(tfx_executor.GenericExecutor):
    """TFX's generic trainer; hands the text vectors to `run_fn` through `custom_config`.

    `fn_args.custom_config["text_vectors"]` is the URI of the vectors, or None.
    """

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Trains, and writes on the model what it was made with."""
        super().Do(input_dict, output_dict, exec_properties)
        config = json_utils.loads(exec_properties["custom_config"])["config"]
        model = artifact_utils.get_single_instance(output_dict["model"])
        for name in ("backbone", "language_model", "text_mode"):
            if name in config:
                model.set_string_custom_property(name, config[name])
        if "language_model" in config:
            pretrained = LanguageModelSource(config["language_model"]).pretrained
            model.set_int_custom_property("language_model_pretrained", int(pretrained))

    def _GetFnArgs(self, input_dict, output_dict, exec_properties):
        vectors = input_dict.get("text_vectors")
        fn_args = super()._GetFnArgs(input_dict, output_dict, exec_properties)
        fn_args.custom_config = {
            **(fn_args.custom_config or {}),
            "text_vectors": artifact_utils.get_single_uri(vectors) if vectors else None,
        }
        return fn_args
