"""Executor of Trainer."""

from __future__ import annotations

import hashlib
import json

from tfx.components.trainer import executor as tfx_executor
from tfx.types import artifact_utils
from tfx.utils import json_utils

from components.example_gen.executor import SPAN
from components.text_encoder.executor import ADAPTED
from components.trainer import workers
from models.language_model_source import LanguageModelSource
from models.spec.dataset_spec import DatasetSpec

# Custom property of a model: what it was trained for, see `task_fingerprint`.
TASK = "task"


class Executor(tfx_executor.GenericExecutor):
    """TFX's generic trainer; hands the text to `run_fn` through `custom_config`.

    Where `TF_CONFIG` names several machines it trains on all of them, see `workers`.

    `fn_args.custom_config` holds the URIs `text_vectors`, `adapted_language_model`,
    `base_run`, `raw_examples`, `earlier_model`, `plain_model` and `vocabularies`, or None where
    there is no such input.
    """

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Trains, and writes on the model what it was made with."""
        custom = json_utils.loads(exec_properties["custom_config"])
        config = custom["config"]
        if workers.wanted(config):
            exec_properties = {
                **exec_properties, "run_fn": workers.RUN_FN, workers.ANNOUNCED_RUN_FN: exec_properties["run_fn"]}
        super().Do(input_dict, output_dict, exec_properties)
        model = artifact_utils.get_single_instance(output_dict["model"])
        spec = DatasetSpec.from_json(custom["dataset_spec"])
        if custom.get("span") is not None:
            model.set_int_custom_property(SPAN, custom["span"])
        model.set_string_custom_property(TASK, task_fingerprint(spec))
        for name in ("backbone", "language_model", "text_mode"):
            if name in config:
                model.set_string_custom_property(name, config[name])
        if "language_model" in config:
            pretrained = LanguageModelSource(config["language_model"]).pretrained
            model.set_int_custom_property("language_model_pretrained", int(pretrained))
            model.set_int_custom_property(ADAPTED, int(_adapted(input_dict)))

    def _GetFnArgs(self, input_dict, output_dict, exec_properties):
        fn_args = super()._GetFnArgs(input_dict, output_dict, exec_properties)
        fn_args.custom_config = {
            **(fn_args.custom_config or {}),
            workers.ANNOUNCED_RUN_FN: exec_properties.get(workers.ANNOUNCED_RUN_FN),
            **{
                name: artifact_utils.get_single_uri(input_dict[name]) if input_dict.get(name) else None
                for name in ("text_vectors", "adapted_language_model", "base_run", "raw_examples", "earlier_model",
                             "plain_model", "vocabularies")
            },
        }
        return fn_args


def _adapted(input_dict) -> bool:
    """Whether the language model read the domain's texts before it was fine-tuned, or encoded them."""
    return bool(input_dict.get("adapted_language_model")) or any(
        vectors.get_int_custom_property(ADAPTED) for vectors in input_dict.get("text_vectors") or ())


def task_fingerprint(spec: DatasetSpec) -> str:
    """The same for two specifications whose models can be compared on the same test rows.

    It covers the ID model's features and their kinds, the label's rule and the split.
    """
    task = {
        "features": sorted((f.name, f.kind) for f in spec.model_features),
        "label": spec.label.model_dump(mode="json"),
        "split": spec.split.model_dump(mode="json"),
    }
    return hashlib.sha256(json.dumps(task, sort_keys=True).encode()).hexdigest()[:16]
