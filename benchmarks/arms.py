"""The models whose gain is measured: trained by the pipeline's own functions."""

from __future__ import annotations

import os
import pathlib
import shutil

import keras
import numpy as np

from benchmarks.prepared_data import PreparedData
from benchmarks.slices import ALL, Slices
from pipeline.config import RunConfig
from pipeline.run_fns import alignment, distillation, joint, plain
from pipeline.run_fns.alignment import ALIGNED
from pipeline.run_fns.stage import Stage
from pipeline.settings.distillation import Distillation
from pipeline.settings.training import Training

ARMS = ("plain", "aligned", "distilled")
# Distillation without a language model: what of the student's gain is not the text's.
CONTROL = "plain_distilled"
# Keys that do not change what an arm becomes: changing them leaves its results valid.
_NEVER_READ = {
    "beam", "distribution", "evaluation", "infra_validation", "model_name", "plain_backbone", "report", "resources",
    "rolling"}
NOT_READ = {
    "plain": _NEVER_READ | {"language_model", "text_mode", "text_form", "max_tokens", "alignment", "distillation"},
    "aligned": _NEVER_READ | {"distillation"},
    "joint": _NEVER_READ | {"distillation"},
    "distilled": _NEVER_READ,
}
NOT_READ[CONTROL] = NOT_READ["plain"] - {"distillation"}


class Arms:
    """Trains one arm after the other and evaluates what comes out.

    `plain` is the backbone on clicks alone; `aligned` starts from the aligned weights and
    is trained on clicks, as in the paper (arXiv 2306.02841, sec. 4.3); `distilled` takes the
    teachers' soft labels too, and these are evaluated along with it, by the mean of their
    logits. `plain_distilled` is distilled from teachers that are plain backbones, a control:
    nothing in it has seen a text. `joint` is no step of the method but an ablation of it: both stages in one loss.

    Args:
        data: what is trained on.
        work: folder of checkpoints and aligned weights. Weights are kept there, since all
            arms but `plain` of a backbone and seed share them.

    Example:

    ```python
    arms = Arms(data, pathlib.Path("/tmp/work"))
    arms.run("plain", config)["plain"]["test"]["all"]["auc"]
    ```
    """

    def __init__(self, data: PreparedData, work: pathlib.Path):
        self._data = data
        self._work = work
        self._slices: dict[str, Slices] = {}

    def run(self, arm: str, config: RunConfig, test: bool = True, joint_weight: float = 1.0) -> dict[str, dict]:
        """Trains one arm.

        Args:
            arm: `plain`, `aligned`, `distilled`, `plain_distilled` or `joint`.
            config: backbone, seed and all else; `distillation` counts for the distilled only.
            test: whether the test split is evaluated; a search must not look at it.
            joint_weight: of the contrastive loss in `joint`.

        Returns:
            Model (the arm, and `teacher` beside `distilled`) to split to the figures of
            `Slices`, those of the validation split on all rows only.
        """
        # Otherwise graphs and weights of all arms before would stay in memory.
        keras.utils.clear_session()
        splits = ("validation", "test") if test else ("validation",)
        stage, logits = self._train(arm, config, joint_weight, splits)
        found = {name: {split: self._figures(stage, split, of_splits[split]) for split in splits}
                 for name, of_splits in logits.items()}
        for figures in found.values():
            figures["validation"] = {ALL: figures["validation"][ALL]}
        shutil.rmtree(stage.checkpoint_dir, ignore_errors=True)
        return found

    def _train(self, arm: str, config: RunConfig, joint_weight: float, splits) -> tuple[Stage, dict[str, dict]]:
        """The stage, and logits of each split by each model."""
        if arm == "plain":
            stage = self._data.stage("plain", config, self._work)
            return stage, {arm: _logits(stage, plain.train(stage), splits)}
        if arm == CONTROL:
            stage = self._data.stage(arm, config, self._work)
            student = distillation.distil(stage, stage.new_ctr_model, stage.new_ctr_model)
            return stage, {arm: _logits(stage, student, splits)}
        if arm == "joint":
            stage = self._data.stage("joint", config, self._work, text=True)
            return stage, {arm: _logits(stage, joint.train(stage, joint_weight), splits)}
        if arm == "aligned":
            without = {"weight": 0.0, "feature_weight": 0.0}
            config = config.model_copy(update={"distillation": config.distillation.model_copy(update=without)})
        stage = self._data.stage(arm, config, self._work, text=True, base_model=self._aligned(config))
        taught: list[dict[str, np.ndarray]] = []
        student = distillation.train(stage, lambda teacher: taught.append(_logits(stage, teacher, splits)))
        logits = {arm: _logits(stage, student, splits)}
        if taught:
            logits["teacher"] = {split: np.mean([t[split] for t in taught], axis=0) for split in splits}
        return stage, logits

    def _aligned(self, config: RunConfig) -> pathlib.Path:
        """Folder of the aligned weights; they are trained when they are not there."""
        stage = self._data.stage("alignment", _read_by_alignment(config), self._work, text=True)
        # The stage has named its checkpoints by its data and its configuration.
        folder = self._work / "aligned" / pathlib.Path(stage.checkpoint_dir).name
        if not (folder / ALIGNED).exists():
            model = alignment.train(stage)
            folder.mkdir(parents=True, exist_ok=True)
            partial = folder / f"partial.{ALIGNED}"
            model.save_weights(partial)
            os.replace(partial, folder / ALIGNED)
            shutil.rmtree(stage.checkpoint_dir, ignore_errors=True)
        return folder

    def _figures(self, stage: Stage, split: str, logits: np.ndarray) -> dict:
        if split not in self._slices:
            self._slices[split] = Slices.of(stage, split)
        return self._slices[split].figures(logits)


def _logits(stage: Stage, model: keras.Model, splits) -> dict[str, np.ndarray]:
    """A model's logits of each split, `[rows]`."""
    found = {}
    for split in splits:
        rows = stage.dataset(split, stage.click_batch)
        found[split] = np.reshape(model.predict(rows.map(lambda features, label: features), verbose=0), -1)
    return found


def _read_by_alignment(config: RunConfig) -> RunConfig:
    """The configuration with all that alignment does not read set back, so that its result is shared."""
    read = config.training.model_dump(include={"embedding_l2", "shuffle_buffer"})
    return config.model_copy(update={"training": Training(**read), "distillation": Distillation()})
