"""The configuration of a run."""

from __future__ import annotations

import difflib
import pathlib
from typing import Any, Literal

import pydantic
import yaml

from models.spec.errors import UserError
from models.spec.text_form import PROSE, TextForm

CONFIGS = pathlib.Path(__file__).parent / "configs"


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Ingestion(_Part):
    """Reading the log.

    Args:
        max_rejected_share: the run fails when more than this share of rows is malformed.
    """

    max_rejected_share: float = pydantic.Field(0.01, ge=0, le=1)


class Data(_Part):
    """What stops a run before anything is trained.

    Args:
        schema_path: a schema (`schema.pbtxt`) to import; inferred from the training split
            when absent.
        max_unknown_share: share of values outside a string feature's domain that is no
            anomaly.
        max_missing_share: share of rows in which a feature that the schema asks for may
            be missing.
        max_drift: largest distance of a feature between this run's training split and
            the one before: Jensen-Shannon divergence (numbers) or L-infinity (strings);
            0 turns it off.
    """

    schema_path: str | None = None
    max_unknown_share: float = pydantic.Field(0.1, ge=0, le=1)
    max_missing_share: float = pydantic.Field(0.05, ge=0, le=1)
    max_drift: float = pydantic.Field(0.3, ge=0, le=1)


# Of the image tensorflow/serving: the version of TensorFlow that trains.
SERVING_TAG = "2.16.1"
SERVING_IMAGE = f"tensorflow/serving:{SERVING_TAG}"


class Training(_Part):
    """How a model is trained on clicks: plain backbone, teacher and student alike.

    Args:
        epochs: at most so many; training stops early on the validation AUC.
        patience: epochs without a better validation AUC before it stops.
        batch_size: rows a step.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        embedding_l2: L2 penalty on the embeddings: its weight times the sum of their squares.
        ema_epochs: what is validated and kept is an exponential moving average of the
            weights over about so many epochs; 0 takes the weights themselves.
        shuffle_buffer: rows held in memory to shuffle.
    """

    epochs: int = pydantic.Field(10, ge=1)
    patience: int = pydantic.Field(2, ge=1)
    batch_size: int = pydantic.Field(4096, ge=2)
    learning_rate: float = pydantic.Field(1e-3, gt=0)
    weight_decay: float = pydantic.Field(1e-5, ge=0)
    embedding_l2: float = pydantic.Field(0.0, ge=0)
    ema_epochs: float = pydantic.Field(0.7, ge=0)
    shuffle_buffer: int = pydantic.Field(200_000, ge=1)


class Adaptation(_Part):
    """Masked-LM training of the language model on the log's own texts, before anything else reads them.

    Args:
        epochs: passes over the distinct texts; 0 leaves the language model as it is.
        batch_size: texts a step.
        learning_rate: AdamW's peak.
        max_texts: so many texts are read at most.
    """

    epochs: int = pydantic.Field(0, ge=0)
    batch_size: int = pydantic.Field(32, ge=1)
    learning_rate: float = pydantic.Field(5e-5, gt=0)
    max_texts: int = pydantic.Field(200_000, ge=1)


class Alignment(_Part):
    """Stage 1 (arXiv 2306.02841, sec. 4.2).

    Args:
        epochs: passes over the training split.
        batch_size: rows a step, and so the number of in-batch negatives plus one.
        learning_rate: AdamW's peak; warmed up from `warmup_from`.
        warmup_from: learning rate of the first step.
        weight_decay: of AdamW.
        warmup_share: share of all steps spent warming up.
        temperature: of the contrastive loss. The paper's 0.7 goes with its own,
            unstated, scale of the similarity.
        learn_temperature: whether it is trained, from there.
        num_subspaces: the number M of sub-vectors of the fine-grained similarity.
        subspace_width: dimensions of one sub-vector.
        normalize: whether sub-vectors have unit length.
        chunk_size: rows that are encoded and compared at once, by gradient caching (arXiv
            2101.06983), for batches larger than memory; 0 takes the whole batch.
        masked_features: weight of recovering hidden fields from the text (FLIP, arXiv
            2310.19453) beside the contrastive loss; 0 leaves it out.
        mask_share: share of a row's categorical and numeric fields that is hidden.
    """

    epochs: int = pydantic.Field(1, ge=1)
    batch_size: int = pydantic.Field(1024, ge=2)
    learning_rate: float = pydantic.Field(5e-4, gt=0)
    warmup_from: float = pydantic.Field(1e-5, gt=0)
    weight_decay: float = pydantic.Field(1e-5, ge=0)
    warmup_share: float = pydantic.Field(0.1, ge=0, lt=1)
    temperature: float = pydantic.Field(0.1, gt=0)
    learn_temperature: bool = False
    num_subspaces: int = pydantic.Field(2, ge=1)
    subspace_width: int = pydantic.Field(64, ge=1)
    normalize: bool = True
    chunk_size: int = pydantic.Field(0, ge=0)
    masked_features: float = pydantic.Field(0.0, ge=0)
    mask_share: float = pydantic.Field(0.15, gt=0, lt=1)


class Distillation(_Part):
    """Stage 2 (arXiv 2306.02841, sec. 4.3, and a soft-label term of ours).

    Args:
        weight: of the teacher's soft labels; 0 is the paper, and trains no teacher.
        temperature: of the soft labels.
        folds: teachers, each trained on all rows but its fold of them, on which it makes
            the soft labels: none is of a row that its teacher had seen. 1: a single
            teacher of all rows.
        feature_weight: of the distance of the student's representation from the
            teacher's; 0 leaves that term out. Only with `folds` of 1.
        teacher_epochs: at most so many.
    """

    weight: float = pydantic.Field(2.0, ge=0)
    temperature: float = pydantic.Field(1.0, gt=0)
    folds: int = pydantic.Field(4, ge=1)
    feature_weight: float = pydantic.Field(0.0, ge=0)
    teacher_epochs: int = pydantic.Field(8, ge=1)


class ColdStart(_Part):
    """Embedding rows for items and users without clicks, made from their texts; with frozen text only.

    Args:
        enabled: whether the student is exported with rows for values that got none in
            training, where text explains something of the rows that were trained.
        catalogue: a CSV or JSONL file of further entries, with the log's columns.
        side: whose entries they are: `item` or `user`.
    """

    enabled: bool = True
    catalogue: str | None = None
    side: Literal["item", "user"] = "item"


class Evaluation(_Part):
    """The gate, on the whole test split.

    Args:
        min_auc: a student below it is not pushed.
        max_auc_drop: nor one that loses more than this against the last blessed model.
        max_logloss_rise: nor one whose logloss rises more than this against it.
        max_calibration_error: largest distance of mean prediction over mean label from 1.
    """

    min_auc: float = pydantic.Field(0.55, ge=0, le=1)
    max_auc_drop: float = pydantic.Field(0.002, ge=0, le=1)
    max_logloss_rise: float = pydantic.Field(0.01, ge=0)
    max_calibration_error: float = pydantic.Field(0.5, ge=0)


class Beam(_Part):
    """The Beam pipelines.

    Args:
        args: flags of the Beam pipelines, as `--direct_num_workers=2`. With none, Beam's
            DirectRunner works in this process; with any, TFX packages itself anew for
            every component unless `--setup_file` or an image is among them.
    """

    args: tuple[str, ...] = ()


class RunConfig(_Part):
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
    adaptation: Adaptation = Adaptation()
    alignment: Alignment = Alignment()
    distillation: Distillation = Distillation()
    cold_start: ColdStart = ColdStart()
    evaluation: Evaluation = Evaluation()
    beam: Beam = Beam()

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
        # Of keys that may come from different places.
        if config.distillation.feature_weight and config.distillation.folds > 1:
            raise UserError(
                f"distillation.feature_weight is {config.distillation.feature_weight:g} with distillation.folds of "
                f"{config.distillation.folds}: it compares with one teacher's representation; set folds to 1")
        return config


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
        part = part.model_fields[group].annotation
    near = difflib.get_close_matches(str(key), part.model_fields, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{where}: {path} is no known key; {hint}there are: {', '.join(part.model_fields)}"
