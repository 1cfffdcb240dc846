"""Measures the naive alignment and ours, and writes the table."""

from __future__ import annotations

import glob
import logging
import os
import pathlib
import shutil
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.alignment_cost_table import table
from benchmarks.journal import Journal, task_config
from benchmarks.prepared_data import PreparedData
from benchmarks.report import machine
from benchmarks.sentence_rows import SentenceRows, SentenceStage
from benchmarks.slices import ALL, Slices
from models import raw_example
from models.alignment_model import AlignmentModel
from models.ctr_model import CTRModel
from models.language_model import LanguageModel
from models.spec.errors import UserError
from pipeline.config import RunConfig
from pipeline.console import LOGGER
from pipeline.run_fns.alignment import compile_alignment, new_alignment_model
from pipeline.run_fns.stage import Stage

_log = logging.getLogger(f"{LOGGER}.alignment_cost")
WAYS = ("naive", "ours", "plain")


class AlignmentCost:
    """The benchmark on one dataset.

    Args:
        data: what is trained on.
        config: the configuration of both ways.
        click_batch: rows a step of the training on clicks after either.
        rows: rows that are aligned both ways.
        output: the table; the JSONL file is beside it.
        work: folder of the sample and of checkpoints.

    Attributes:
        sample: the rows that are aligned both ways.

    Raises:
        UserError: the training split has less than two batches of alignment.

    Example:

    ```python
    AlignmentCost(data, config, 512, 20_480, pathlib.Path("cost.md"), work).measure([1, 2, 3], 5, "# Cost")
    ```
    """

    def __init__(self, data: PreparedData, config: RunConfig, click_batch: int, rows: int, output: pathlib.Path,
                 work: pathlib.Path):
        self._data = data
        self._config = config
        self._click_batch = click_batch
        self._output = output
        self._work = work
        self._journal = Journal(output.with_suffix(".jsonl"))
        self.sample = SentenceRows.write(
            data.textualised, data.graph, data.spec, LanguageModel.load(config.language_model), rows,
            work / f"rows-{rows}.gz")
        if self.sample.count < 2 * config.alignment.batch_size:
            raise UserError(f"the training split has {self.sample.count:,} rows; two batches of alignment, 2 times "
                            f"{config.alignment.batch_size} (alignment.batch_size), are needed, for the first step is "
                            "not timed")

    def measure(self, seeds: list[int], epochs: int, heading: str) -> None:
        """Measures rates and quality, and writes the table.

        Args:
            seeds: of the quality, and of the naive rate, which is taken from the same trainings.
            epochs: over which the encoding is spread besides one.
            heading: the lines above the table.
        """
        encoding = self._known("encoding", {}, self._encode_texts)
        whole = self._known("ours, whole split", {"seed": seeds[0]}, lambda: self._align_whole(seeds[0]))
        quality = {
            way: [self._known(way, {"seed": seed}, lambda w=way, s=seed: self._quality(w, s)) for seed in seeds]
            for way in WAYS}
        text = table(self._data.rows["train"], encoding, whole["rows_per_second"], epochs, quality)
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._output.write_text(f"{heading}\n\n{text}\n", encoding="utf-8")

    def _known(self, what: str, more: dict[str, Any], measure: Callable[[], dict]) -> dict:
        """A result from the journal, or a new one. A rate belongs to the machine that it was measured on."""
        task = {"what": what, **more, "config": task_config(self._config), "spec": self._data.spec.to_json(),
                "splits": self._data.rows, "rows": self.sample.count, "tokens": self.sample.tokens,
                "click_batch": self._click_batch, "machine": machine()}
        _log.info("%s %s", what, ", ".join(f"{k} {v}" for k, v in more.items()))
        result = self._journal.get(task)
        if result is None:
            keras.utils.clear_session()
            result = measure()
            self._journal.add(task, result, what=what, **more)
        _log.info("        %s", ", ".join(f"{k} {v:,.4f}" for k, v in result.items() if v is not None))
        return result

    def _encode_texts(self) -> dict:
        files = sorted(glob.glob(os.path.join(self._data.texts, "Split-*", "*.gz")))
        records = tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()
        texts = sorted({raw_example.decode(r)["text"][0].decode("utf-8", "replace") for r in records})
        model = LanguageModel.load(self._config.language_model)
        started = time.perf_counter()
        model.encode(texts, self._config.max_tokens)
        return {"texts": len(texts), "seconds": time.perf_counter() - started}

    def _align_whole(self, seed: int) -> dict:
        config = self._config.model_copy(update={"seed": seed})
        return {"rows_per_second": self._align(self._data.stage("ours", config, self._work, text=True))[1]}

    def _quality(self, way: str, seed: int) -> dict:
        """Validation AUC after alignment and clicks on the same rows; the rate of the alignment."""
        config = self._config.model_copy(update={
            "seed": seed, "training": self._config.training.model_copy(update={"batch_size": self._click_batch})})
        sample = [self.sample.file]
        # A model that reads sentences is built on rows that have some.
        files = {"train": sample, "validation": sample}
        clicks = {"train": sample}
        if way == "plain":
            stage = self._data.stage("plain", config, self._work, files=clicks)
            return {"rows_per_second": None, "auc": self._on_clicks(stage, way, stage.new_ctr_model())}
        if way == "naive":
            stage = self._data.stage(way, config, self._work, files=files, kind=SentenceStage)
        else:
            stage = self._data.stage(way, config, self._work, text=True, files=files)
        model, rate = self._align(stage)
        stage = self._data.stage("clicks", config, self._work, files=clicks)
        model.ctr_model.reset_output_layer(stage.log_odds)
        return {"rows_per_second": rate, "auc": self._on_clicks(stage, way, model.ctr_model)}

    def _align(self, stage: Stage) -> tuple[AlignmentModel, float]:
        options = stage.config.alignment
        batch_size = min(options.batch_size, stage.rows("train"))
        model = new_alignment_model(stage)
        compile_alignment(model, options, stage.rows("train") // batch_size * options.epochs)
        clock = _Clock(batch_size)
        model.fit(stage.dataset("train", batch_size, training_order=True), epochs=options.epochs, verbose=0,
                  callbacks=[clock])
        return model, clock.rows_per_second

    def _on_clicks(self, stage: Stage, way: str, model: CTRModel) -> float:
        training = stage.config.training
        # What an interrupted call left belongs to another alignment.
        shutil.rmtree(stage.checkpoint_dir, ignore_errors=True)
        stage.compile(model)
        stage.fit_on_clicks(model, way, training.epochs)
        shutil.rmtree(stage.checkpoint_dir, ignore_errors=True)
        rows = stage.dataset("validation", training.batch_size)
        logits = model.predict(rows.map(lambda features, label: features), verbose=0)
        return Slices.of(stage, "validation").figures(np.reshape(logits, -1))[ALL]["auc"]


class _Clock(keras.callbacks.Callback):
    """Rows a second without the first step, which builds the graph."""

    def __init__(self, batch_size: int):
        super().__init__()
        self._batch_size = batch_size
        self._steps = 0
        self.rows_per_second = None

    def on_train_batch_end(self, batch, logs=None):
        self._steps += 1
        if self._steps == 1:
            self._started = self._now()

    def on_train_end(self, logs=None):
        if self._steps > 1:
            self.rows_per_second = self._batch_size * (self._steps - 1) / (self._now() - self._started)

    def _now(self) -> float:
        # Reading a weight waits for the steps that are still under way on a GPU.
        int(self.model.optimizer.iterations)
        return time.perf_counter()
