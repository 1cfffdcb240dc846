"""Executor of LanguageAdapter."""

from __future__ import annotations

import hashlib
import heapq
import json
import logging
import os
from collections.abc import Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import beam_io
from models import adapted_language_model, raw_example, training
from models.language_model import LanguageModel
from models.language_model_source import LanguageModelSource
from models.masked_language_model import MaskedLanguageModel
from models.spec.errors import UserError

_log = logging.getLogger("ctrl.train")
# As BERT was trained; biases and normalisations are left out.
_WEIGHT_DECAY = 0.01
_WARMUP_SHARE = 0.1
# Texts that are tokenised at once.
_BATCH = 1024
# Steps between two saves within an epoch, at least: a save costs some steps' time.
_SAVE_EVERY = 200


class Executor(base_executor.BaseExecutor):
    """Trains a language model on the domain's texts; see `component.LanguageAdapter`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Runs the adaptation.

        Raises:
            UserError: the language model cannot be loaded or adapted, or is not the one
                whose fingerprint was given; or no text has a word.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        source = artifact_utils.get_single_instance(input_dict["texts"])
        target = artifact_utils.get_single_instance(output_dict["adapted_language_model"])
        name = exec_properties["language_model"]
        LanguageModelSource(name).check(exec_properties["language_model_fingerprint"])
        texts = sample(_texts(source), exec_properties["max_texts"])
        keras.utils.set_random_seed(exec_properties["seed"])
        language_model = LanguageModel.load(name)
        # Checkpoints belong to these very texts and settings: anything else starts afresh.
        key = json.dumps([source.uri, exec_properties], sort_keys=True)
        history = adapt(
            language_model, texts,
            max_tokens=exec_properties["max_tokens"], epochs=exec_properties["epochs"],
            batch_size=exec_properties["batch_size"], learning_rate=exec_properties["learning_rate"],
            seed=exec_properties["seed"],
            checkpoint_dir=os.path.join(
                exec_properties["checkpoint_dir"], hashlib.sha256(key.encode()).hexdigest()[:16]),
            log_dir=artifact_utils.get_single_uri(output_dict["model_run"]))
        facts = {"epochs": exec_properties["epochs"], "texts": len(texts), "loss": history["loss"]}
        adapted_language_model.save(language_model, target.uri, **facts)
        target.set_string_custom_property("language_model", name)
        target.set_int_custom_property("texts", len(texts))
        target.set_float_custom_property("loss", history["loss"][-1])


def adapt(
    language_model: LanguageModel, texts: list[str], *, max_tokens: int, epochs: int, batch_size: int,
    learning_rate: float, seed: int, checkpoint_dir: str, log_dir: str | None = None,
) -> dict[str, list[float]]:
    """Trains a language model's backbone on texts, in place; see `component.LanguageAdapter`.

    Returns:
        `loss` and `accuracy` at masked tokens, a value an epoch.

    Raises:
        UserError: the language model cannot be adapted, or no text has a word.
    """
    tokenizer = language_model.tokenizer
    special = sorted({*tokenizer.special_token_ids, language_model.pad_id})
    token_ids = np.concatenate([np.zeros((0, max_tokens), np.int32), *(
        language_model.tokenize(texts[start:start + _BATCH], max_tokens) for start in range(0, len(texts), _BATCH))])
    # A text without a word, as that of a row whose values are missing, has nothing to guess.
    token_ids = token_ids[~np.all(np.isin(token_ids, special), axis=1)]
    if not len(token_ids):
        raise UserError("no text has a word to learn from; check the phrases and openings of the dataset "
                        "specification with `ctrl preview`, or set adaptation.epochs to 0")
    longest = int(np.sum(token_ids != language_model.pad_id, axis=1).max())
    dataset = tf.data.Dataset.from_tensor_slices(token_ids[:, :longest])
    dataset = dataset.shuffle(len(token_ids), seed=seed).batch(batch_size)

    model = MaskedLanguageModel(
        language_model.backbone, language_model.pad_id, tokenizer.mask_token_id, special, seed=seed)
    steps = len(dataset) * epochs
    warmup = int(steps * _WARMUP_SHARE)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else learning_rate, decay_steps=max(1, steps - warmup), alpha=0.0,
        warmup_target=learning_rate if warmup else None, warmup_steps=warmup)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=_WEIGHT_DECAY)
    optimizer.exclude_from_weight_decay(var_names=training.NOT_DECAYED)
    model.compile(optimizer=optimizer, jit_compile=False)
    return training.fit(
        model, dataset, epochs=epochs, checkpoint_dir=checkpoint_dir, log_dir=log_dir,
        save_every_steps=max(_SAVE_EVERY, len(dataset) // 10),
        progress=lambda line: _log.info("language model: %s", line)).history


def sample(texts: Iterable[str], size: int) -> list[str]:
    """Distinct texts, `size` at most, that depend neither on the order nor on repetitions.

    Memory is bounded by `size`, whatever the number of texts.

    Example:

    ```python
    sample(["a", "b", "a"], 10)  # "a" and "b"
    ```
    """
    kept: dict[bytes, str] = {}
    for text in texts:
        kept[hashlib.blake2b(text.encode(), digest_size=16).digest()] = text
        if len(kept) > 2 * size:
            kept = dict(heapq.nsmallest(size, kept.items()))
    return [text for _, text in heapq.nsmallest(size, kept.items())]


def _texts(artifact) -> Iterator[str]:
    for split in beam_io.splits_of(artifact):
        files = sorted(tf.io.gfile.glob(os.path.join(beam_io.split_dir(artifact.uri, split), "*.gz")))
        for serialized in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
            yield from (text.decode("utf-8", "replace") for text in raw_example.decode(serialized)["text"])
