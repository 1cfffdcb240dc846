"""The configuration of a run."""

from __future__ import annotations

import difflib
import pathlib
import typing
from typing import Any, Literal

import pydantic
import yaml

from models.spec.errors import UserError
from models.spec.text_form import PROSE, TextForm
from pipeline.settings.adaptation import Adaptation
from pipeline.settings.alignment import Alignment
from pipeline.settings.beam import Beam
from pipeline.settings.cold_start import ColdStart
from pipeline.settings.data import Data
from pipeline.settings.distillation import Distillation
from pipeline.settings.distribution import Distribution
from pipeline.settings.evaluation import Evaluation
from pipeline.settings.ingestion import Ingestion
from pipeline.settings.part import Part
from pipeline.settings.report import Report
from pipeline.settings.resources import Resources
from pipeline.settings.rolling import Rolling
from pipeline.settings.training import Training

CONFIGS = pathlib.Path(__file__).parent / "configs"

# Of the image tensorflow/serving: the version of TensorFlow that trains.
SERVING_TAG = "2.16.1"
SERVING_IMAGE = f"tensorflow/serving:{SERVING_TAG}"


class RunConfig(Part):
    """Everything about a run that is not about its data.

    Args:
        backbone: name of the ID model's backbone.
        backbone_options: its own options.
        embedding_dim: width of an embedding.
        history_pooling: how a history becomes one vector: `mean`, or `din` or
            `din_softmax`, attention from the item at hand (arXiv 1706.06978).
        language_model: `minilm`, `minilm-random` (its architecture, untrained), `tiny-random`, a
            keras-hub preset, or a local directory.
        text_mode: `frozen` encodes each distinct text once; `finetune` trains the
            language model on each row's sentence, as the paper does.
        text_form: how a row's text reads; see `models.sentence_writer.SentenceWriter`.
        max_tokens: a longer text is cut.
        plain_backbone: train the backbone without alignment too, to report the gain.
        infra_validation: whether the student is loaded in stock TensorFlow Serving before
            it is pushed, by Docker: `auto` does so where its image is there already, `on`
            fetches it.
        mixed_precision: whether models compute in half precision while they are trained:
            `auto` does so on a GPU, in bfloat16, or float16 where it has none. Weights, losses
            and what is served are float32.
        seed: of initial weights and shuffling.
        model_name: under which the model is served.
    """

    backbone: str = "autoint"
    backbone_options: dict[str, Any] = {}
    embedding_dim: int = pydantic.Field(32, ge=1)
    history_pooling: Literal["mean", "din", "din_softmax"] = "mean"
    language_model: str = "minilm"
    text_mode: Literal["frozen", "finetune"] = "frozen"
    text_form: TextForm = PROSE
    max_tokens: int = pydantic.Field(64, ge=8)
    plain_backbone: bool = True
    infra_validation: Literal["auto", "on", "off"] = "auto"
    mixed_precision: Literal["auto", "on", "off"] = "auto"
    seed: int = 1
    model_name: str = pydantic.Field("ctr", pattern=r"^[A-Za-z0-9_-]+$")
    ingestion: Ingestion = Ingestion()
    data: Data = Data()
    training: Training = Training()
    distribution: Distribution = Distribution()
    adaptation: Adaptation = Adaptation()
    alignment: Alignment = Alignment()
    distillation: Distillation = Distillation()
    cold_start: ColdStart = ColdStart()
    evaluation: Evaluation = Evaluation()
    rolling: Rolling = Rolling()
    report: Report = Report()
    beam: Beam = Beam()
    resources: Resources = Resources()

    @pydantic.field_validator("infra_validation", "mixed_precision", mode="before")
    @classmethod
    def _on_and_off_are_words(cls, value):
        # YAML reads a bare `on` or `off` as a truth value.
        return ("on" if value else "off") if isinstance(value, bool) else value

    @classmethod
    def load(
        cls, dataset: str, path: str | None = None, settings: list[str] | None = None, smoke: bool = False
    ) -> RunConfig:
        """The configuration for a dataset: built-in values, then a file, then single keys.

        Args:
            dataset: the dataset's name; `configs/<name>.yaml` is used when there is one.
            path: a YAML file whose keys win over those.
            settings: `KEY=VALUE` pairs, as `alignment.epochs=2`, that win over both.
            smoke: shrink the training to seconds, to see that everything runs.

        Raises:
            UserError: naming the file or setting, the key, the value and what would be right.
        """
        values: dict = {}
        builtin = CONFIGS / f"{dataset}.yaml"
        if builtin.exists():
            _merge(values, _read(builtin))
        if path:
            loaded = _read(pathlib.Path(path))
            _validated(cls, loaded, path)
            _merge(values, loaded)
        if smoke:
            _merge(values, _read(CONFIGS / "smoke.yaml"))
        for setting in settings or []:
            key, separator, text = setting.partition("=")
            if not separator or not key:
                raise UserError(f"--set {setting}: is not KEY=VALUE, as alignment.epochs=2")
            nested: Any = _parse(text, setting)
            for part in reversed(key.split(".")):
                nested = {part: nested}
            _validated(cls, nested, f"--set {setting}")
            _merge(values, nested)
        config = _validated(cls, values, path or str(builtin))
        config.check()
        config.beam.check()
        return config

    def check(self, devices: int | None = None) -> None:
        """Checks keys that may come from different places, and do not go together.

        Args:
            devices: those that a model is trained on; None while only `distribution.strategy` says something of it.

        Raises:
            UserError: naming the keys, their values and what would be right.
        """
        if self.distillation.feature_weight and self.distillation.folds > 1:
            raise UserError(
                f"distillation.feature_weight is {self.distillation.feature_weight:g} with distillation.folds of "
                f"{self.distillation.folds}: it compares with one teacher's representation; set folds to 1")
        if self.alignment.jit_compile and self.alignment.chunk_size:
            raise UserError("alignment.jit_compile compiles no step that works in chunks; set it to false, or "
                            "alignment.chunk_size to 0")
        several = devices > 1 if devices else self.distribution.strategy in ("mirrored", "multi_worker", "tpu")
        one_device_only = {
            "alignment.chunk_size": (self.alignment.chunk_size, 0),
            "alignment.jit_compile": (self.alignment.jit_compile, False),
            "training.jit_compile": (self.training.jit_compile, False),
            "distribution.embedding_device": (self.distribution.embedding_device, "auto"),
        }
        for key, (value, right) in one_device_only.items():
            if several and value != right:
                raise UserError(f"{key} is {value}, which is for one device, with distribution.strategy of "
                                f"{self.distribution.strategy}; set it to {str(right).lower()}, or the strategy to "
                                "one_device")


def _read(path: pathlib.Path) -> dict:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    # A date that does not exist, as 2024-13-01, is a ValueError, and so is text that is not UTF-8.
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(loaded or {}, dict):
        raise UserError(f"{path}: holds {type(loaded).__name__}, not the keys of a configuration")
    return loaded or {}


def _parse(text: str, setting: str) -> Any:
    """The value of a `--set`, which is YAML: a number, a word, a list."""
    try:
        return yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise UserError(f"--set {setting}: the value {text!r} is no YAML: {reason}; text with special characters "
                        "needs quotes, a list its brackets") from error


def _merge(target: dict, extra: dict) -> None:
    for key, value in extra.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict) and key != "backbone_options":
            _merge(target[key], value)
        else:
            target[key] = value


def _validated(cls, values: dict, where: str) -> RunConfig:
    try:
        return cls.model_validate(values)
    except pydantic.ValidationError as error:
        raise UserError("\n".join(_explain(cls, where, e) for e in error.errors())) from error


def _explain(cls, where: str, error: dict) -> str:
    *groups, key = error["loc"]
    path = ".".join(map(str, error["loc"]))
    if error["type"] != "extra_forbidden":
        return f"{where}: {path}: {error['input']!r}: {error['msg'].removeprefix('Value error, ')}"
    part = cls
    for group in groups:
        # The keys of a mapping, as resources.components, are anybody's.
        part = part.model_fields[group].annotation if hasattr(part, "model_fields") else typing.get_args(part)[-1]
    near = difflib.get_close_matches(str(key), part.model_fields, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{where}: {path} is no known key; {hint}there are: {', '.join(part.model_fields)}"
