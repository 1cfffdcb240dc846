"""What every training stage starts from."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from models import adapted_language_model, distribution, input_pipeline, precision, training
from models.ctr_model import CTRModel
from models.language_model import LanguageModel
from models.language_model_source import LanguageModelSource
from models.language_tower import LanguageTower
from models.preprocessing import FROZEN, fields
from models.sentence_tokenizer import SentenceTokenizer
from models.soft_labels import FEATURE_SPEC
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from models.text_table import TextTable
from models.text_tower import TextTower
from pipeline.config import RunConfig
from pipeline.run_fns.fitting_batch import fitting_batch

_log = logging.getLogger("ctrl.train")
# Steps between two saves within an epoch, at least: a save costs some steps' time.
_SAVE_EVERY = 200
# Rows whose sentences are measured.
_LOOKED_AT = 1_000


class Stage:
    """A training stage: its data, its models' parts, and where it can go on from.

    It sets Keras's seed, so that what is trained depends on nothing that went before.

    Args:
        name: short name, for progress lines.
        dataset_spec: the dataset specification, as JSON.
        config: the groups of `RunConfig` that the stage reads; defaults fill the others.
        transform_output: URI of the transform graph.
        files: split to the patterns of its files of transformed examples.
        checkpoint_dir: folder for the checkpoints of this kind of stage.
        log_dir: folder for TensorBoard's logs, a folder below it for each model.
        text_vectors: URI of the text vectors, or None for a stage that reads no text.
        adapted_language_model: URI of the language model that was adapted to the log, or None.
        language_model_fingerprint: that of the language model that is fine-tuned (or of the one
            that was adapted), or None.
        base_model: folder of the weights that training starts from, or None.
        earlier_model: URI of the model of an earlier day that training starts from, or None.

    Example:

    ```python
    stage = Stage.from_fn_args(fn_args, "plain backbone")
    model = stage.new_ctr_model()
    ```
    """

    def __init__(self, name: str, *, dataset_spec: str, config: Mapping[str, Any], transform_output: str,
                 files: Mapping[str, Sequence[str]], checkpoint_dir: str, log_dir: str,
                 text_vectors: str | None = None, adapted_language_model: str | None = None,
                 language_model_fingerprint: str | None = None, base_model: str | None = None,
                 earlier_model: str | None = None):
        self.name = name
        self.base_model = base_model
        self.earlier_model = earlier_model
        self.log_dir = log_dir
        self.spec = DatasetSpec.from_json(dataset_spec)
        self.config = RunConfig.model_validate(config)
        self.tft_output = tft.TFTransformOutput(transform_output)
        self.fields = fields(self.spec, self.tft_output)
        self._patterns = files
        self.text_tables = TextTable.load(text_vectors) if text_vectors else None
        self._adapted = adapted_language_model
        # Checkpoints belong to this very data and configuration: anything else starts afresh.
        key = json.dumps(
            [config, dataset_spec, transform_output, list(files["train"]), text_vectors, adapted_language_model,
             language_model_fingerprint, base_model, *filter(None, [earlier_model])], sort_keys=True)
        self.checkpoint_dir = os.path.join(checkpoint_dir, hashlib.sha256(key.encode()).hexdigest()[:16])
        self._counted: dict[tuple, tuple[int, int]] = {}
        keras.utils.set_random_seed(self.config.seed)

    @classmethod
    def from_fn_args(cls, fn_args, name: str) -> Stage:
        """The stage of a `run_fn`.

        Args:
            fn_args: what TFX's Trainer hands to it; `custom_config` holds `dataset_spec`,
                `config`, `checkpoint_dir`, `text_vectors`, `adapted_language_model` and, to
                fine-tune, `language_model_fingerprint`.
            name: short name, for progress lines.

        Raises:
            UserError: the language model is not the one whose fingerprint was given.
        """
        custom = fn_args.custom_config
        fingerprint = custom.get("language_model_fingerprint")
        if fingerprint and not custom.get("adapted_language_model"):
            LanguageModelSource(custom["config"]["language_model"]).check(fingerprint)
        return cls(
            name, dataset_spec=custom["dataset_spec"], config=custom["config"],
            transform_output=fn_args.transform_output,
            files={"train": fn_args.train_files, "validation": fn_args.eval_files},
            checkpoint_dir=custom["checkpoint_dir"], log_dir=fn_args.model_run_dir,
            text_vectors=custom.get("text_vectors"),
            adapted_language_model=custom.get("adapted_language_model"),
            language_model_fingerprint=fingerprint, base_model=fn_args.base_model,
            earlier_model=custom.get("earlier_model"))

    @functools.cached_property
    def strategy(self) -> tf.distribute.Strategy:
        """The devices that models are trained on."""
        strategy = distribution.new_strategy(self.config.distribution.strategy, self.config.distribution.tpu)
        self.config.check(strategy.num_replicas_in_sync)
        return strategy

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what is trained; of several machines, one does."""
        return distribution.is_chief(self.strategy)

    @contextlib.contextmanager
    def scope(self):
        """A context in which new models compute in the configured precision on the configured devices.

        Their training belongs there too.
        """
        with precision.precision(self.config.mixed_precision), contextlib.ExitStack() as stack:
            if self.strategy.num_replicas_in_sync > 1:
                stack.enter_context(self.strategy.scope())
            yield

    def new_ctr_model(self) -> CTRModel:
        """A new ID model with initial weights."""
        model = CTRModel(
            self.fields, backbone=self.config.backbone, embedding_dim=self.config.embedding_dim,
            backbone_options=self.config.backbone_options, embedding_l2=self.config.training.embedding_l2,
            history_pooling=self.config.history_pooling,
            embedding_device={"auto": None, "cpu": "cpu:0"}[self.config.distribution.embedding_device])
        model.output_layer.bias.assign([self.log_odds])
        return model

    @functools.cached_property
    def log_odds(self) -> float:
        """The logit of a click in the training split: what a model answers before it has learnt anything.

        From 0, a model of rare clicks would spend its first steps, and its embeddings, on how rare they are, and on a
        small log there are few steps.
        """
        rows, clicks = self._counts("train")
        # Half a row more of each, since a log may have none of one.
        return math.log((clicks + 0.5) / (rows - clicks + 0.5))

    def new_tower(self):
        """The text tower of the text mode."""
        if self.config.text_mode == FROZEN:
            return TextTower({name: table.vectors for name, table in self.text_tables.items()})
        language_model = self.language_model()
        return LanguageTower(language_model.backbone, language_model.pad_id)

    def language_model(self) -> LanguageModel:
        """The language model, adapted to the log where the run adapts it."""
        if self._adapted:
            return adapted_language_model.load(self._adapted)
        return LanguageModel.load(self.config.language_model)

    def vocabulary(self, feature: str) -> list[str]:
        """The values of a feature that have a row of their own, in the order of their ids, which begin at 1."""
        return [v.decode("utf-8", "replace") for v in self.tft_output.vocabulary_by_name(f"{feature}_vocabulary")]

    def build(self, model) -> None:
        """Creates a model's weights by running it on a few rows."""
        features, _ = next(iter(self.dataset("validation", 2, whole=True).take(1)))
        model(features)

    def dataset(
        self, split: str, batch_size: int, training_order: bool = False, text: bool = True, *,
        keep: Callable[[tf.Tensor], tf.Tensor] | None = None, with_records: bool = False,
        soft_labels: Sequence[str] | None = None, whole: bool = False,
    ) -> tf.data.Dataset:
        """Batches of (features, label) of a split; where several devices train, this process's parts of them.

        Args:
            split: `train`, `validation`, or another that the stage was given files of.
            batch_size: rows a batch.
            training_order: shuffle, and leave out the last, smaller batch.
            text: whether the text is read too, where the stage has any.
            keep: which rows are read, as for `make_dataset`.
            with_records: whether the features hold the serialized rows too.
            soft_labels: files that `write_soft_labels` made of the split, to be read in its place.
            whole: whole batches in any case.
        """
        shard = None if whole else distribution.input_shard(self.strategy)
        # A TPU's programs are compiled for one number of rows.
        equal = training_order or (shard is not None and isinstance(self.strategy, tf.distribute.TPUStrategy))
        feature_spec = self.tft_output.transformed_feature_spec()
        dataset = input_pipeline.make_dataset(
            soft_labels or self.files(split),
            {**feature_spec, **FEATURE_SPEC} if soft_labels else feature_spec,
            batch_size,
            shuffle_buffer=self.config.training.shuffle_buffer if training_order else 0,
            seed=self.config.seed,
            text_tables=self.text_tables if text else None,
            tokenize=self._tokenize if text else None,
            keep=keep,
            with_records=with_records,
            drop_remainder=equal,
            shard=shard,
        )
        # Known, so that progress can say how much of an epoch is done.
        rows = self.rows(split, keep)
        if shard is not None:
            steps = rows // batch_size if equal else shard.steps(rows, batch_size)
            return dataset.apply(tf.data.experimental.assert_cardinality(steps * shard.count))
        steps = rows // batch_size if equal else -(-rows // batch_size)
        return dataset.apply(tf.data.experimental.assert_cardinality(steps))

    @property
    def click_batch(self) -> int:
        """Rows of a step on clicks, as configured or as the training split has rows for."""
        return self.config.training.batch_size or fitting_batch(self.rows("train"), steps=100, most=4096)

    @property
    def alignment_batch(self) -> int:
        """Rows of a step of alignment, likewise."""
        return self.config.alignment.batch_size or fitting_batch(self.rows("train"), steps=50, most=1024)

    def batch_size(self, wanted: int, rows: int) -> int:
        """Rows of a step: fewer rows than a batch are one batch, and all devices have the same number.

        Raises:
            UserError: there are fewer rows than devices.
        """
        replicas = self.strategy.num_replicas_in_sync
        size = min(wanted, rows) // replicas * replicas
        if not size:
            raise UserError(f"{self.name}: a batch of {min(wanted, rows)} rows is too small for {replicas} devices")
        return size

    @functools.cached_property
    def _tokenize(self) -> SentenceTokenizer | None:
        if self.config.text_mode == FROZEN:
            return None
        # An adapted language model has the original's vocabulary.
        return SentenceTokenizer(LanguageModel.tokenizer_of(self.config.language_model), self.config.max_tokens)

    def rows(self, split: str, keep: Callable[[tf.Tensor], tf.Tensor] | None = None) -> int:
        """How many rows a split has; `keep` as for `dataset`."""
        return self._counts(split, keep)[0]

    def _counts(self, split: str, keep: Callable[[tf.Tensor], tf.Tensor] | None = None) -> tuple[int, int]:
        if (split, keep) not in self._counted:
            self._counted[split, keep] = input_pipeline.count_rows_and_clicks(self.files(split), keep)
        return self._counted[split, keep]

    def fit(self, model, part: str, train, validation, *, epochs: int, monitor: str, mode: str, patience: int):
        """Trains with checkpoints, progress lines and TensorBoard logs; see `training.fit`."""
        shard = distribution.input_shard(self.strategy)
        steps = len(train) // (shard.count if shard else 1)
        chief = self.is_chief
        return training.fit(
            model, train, validation,
            epochs=epochs, checkpoint_dir=os.path.join(self.checkpoint_dir, part),
            log_dir=os.path.join(self.log_dir, part) if chief else None,
            monitor=monitor, mode=mode, patience=patience,
            save_every_steps=max(_SAVE_EVERY, steps // 10),
            progress=self.progress if chief else None)

    def trained(self, model):
        """A model as it is exported: in float32, and on one device."""
        return distribution.on_one_device(precision.in_float32(model), self.strategy)

    def compile(self, model) -> None:
        """Gives a model of clicks its optimizer, loss and metrics."""
        options = self.config.training
        momentum = 0.0
        if options.ema_epochs:
            steps = max(1, self.rows("train") // self.click_batch)
            momentum = math.exp(-1 / (options.ema_epochs * steps))
        training.compile_ctr(model, learning_rate=options.learning_rate, weight_decay=options.weight_decay,
                             ema_momentum=momentum, large_table=options.large_table,
                             jit_compile=options.jit_compile)

    def fit_on_clicks(self, model, part: str, epochs: int, text: bool = True, **rows):
        """Trains on clicks until the validation AUC no longer rises.

        Args:
            model: compiled.
            part: names its checkpoints and logs.
            epochs: at most so many.
            text: as for `dataset`.
            **rows: which rows it is trained on, as for `dataset`.
        """
        options = self.config.training
        batch_size = self.batch_size(self.click_batch, self.rows("train", rows.get("keep")))
        return self.fit(
            model, part,
            self.dataset("train", batch_size, training_order=True, text=text, **rows),
            self.dataset("validation", self.click_batch, text=text),
            epochs=epochs, monitor="val_auc", mode="max", patience=options.patience)

    def tell_of_cut_sentences(self) -> None:
        """A line of progress where the first rows' sentences have more tokens than are read."""
        rows = input_pipeline.make_dataset(
            self.files("train"), self.tft_output.transformed_feature_spec(), _LOOKED_AT, tokenize=tf.identity)
        lengths = self._tokenize.lengths(next(iter(rows))[0][input_pipeline.TOKEN_IDS])
        cut = np.mean(lengths > self.config.max_tokens)
        if cut:
            self.progress(
                f"max_tokens {self.config.max_tokens} cuts {cut:.1%} of the first {len(lengths):,} rows' sentences, of "
                f"{np.median(lengths):.0f} tokens in the median and {lengths.max():,} at most")

    def progress(self, line: str) -> None:
        """Shows one line of progress."""
        _log.info("%s: %s", self.name, line)

    def files(self, split: str) -> list[str]:
        """The files of a split."""
        return sorted(file for pattern in self._patterns[split] for file in tf.io.gfile.glob(pattern))
