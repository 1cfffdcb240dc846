"""What a run prints at its end, and keeps as JSON."""

from __future__ import annotations

import dataclasses
import pathlib
import shlex

from models.catalogue_rows import read_summary
from models.spec.dataset_spec import DatasetSpec
from pipeline.config import RunConfig
from pipeline.evaluated import AUC, CALIBRATION, COUNT, LOGLOSS, Evaluated
from pipeline.gate import GATE
from pipeline.layout import RunLayout
from pipeline.local_runner import ComponentRun, LocalRunner
from pipeline.metadata_uri import describe
from pipeline.pipeline import COLD_START, PLAIN_EVALUATOR
from pipeline.run_inspection import RunInspection
from pipeline.verdict import NOT_PUSHED, PUSHED

FIGURES_HEADER = f"  {'test split':<28}{'AUC':>9}{'logloss':>10}{'calibration':>13}{'rows':>11}"


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """A run's outcome.

    Attributes:
        run_id: in ML Metadata.
        dataset: name of the dataset.
        language_model: name, text mode, whether it was pre-trained, and for how many epochs
            it was adapted to the log's texts.
        backbone: name of the backbone.
        fields: names of the features the ID model reads.
        ingestion: counts of rows, see `components.artifacts.IngestionReport`.
        components: how each component went.
        seconds: wall time of everything.
        cold_start: by feature, how many new values got a row and what share of the rows'
            variance texts explain; empty where it is off.
        texts: in daily operation, how many texts were encoded and how many taken over.
        plain: figures of the plain backbone, when it was trained.
        student: figures of the student.
        verdict: `PUSHED` or `NOT PUSHED`.
        reasons: why not.
        pushed_path: the pushed version, also when an earlier run pushed it.
        layout: where everything is.
        metadata: the ML Metadata store, without user and password.
    """

    run_id: str
    dataset: str
    language_model: dict
    backbone: str
    fields: tuple[str, ...]
    ingestion: dict
    components: list[ComponentRun]
    seconds: float
    cold_start: dict[str, dict]
    texts: dict[str, int] | None
    plain: Evaluated | None
    student: Evaluated
    verdict: str
    reasons: list[str]
    pushed_path: str | None
    layout: RunLayout
    metadata: str

    def to_dict(self) -> dict:
        """As plain JSON values."""
        values = dataclasses.asdict(self)
        values["layout"] = str(self.layout.root)
        return values

    def facts(self) -> dict:
        """What ML Metadata keeps of it: attributes of `pipeline.runs.run.Run`."""
        return {
            "rows": sum(self.ingestion["rows"].values()),
            "plain": dataclasses.asdict(self.plain) if self.plain else None,
            "student": dataclasses.asdict(self.student),
            "verdict": self.verdict,
            "reasons": self.reasons,
            "pushed": self.pushed_path,
        }

    def render(self, path: pathlib.Path, report: pathlib.Path | None = None) -> str:
        """As text for the terminal.

        Args:
            path: where the JSON is kept.
            report: the page for the browser, where there is one.
        """
        rows = self.ingestion["rows"]
        epochs = self.language_model["adaptation_epochs"]
        lines = [
            "",
            f"Run {self.run_id} of {self.dataset}",
            f"  rows        {self.ingestion['read']:,} read, {self.ingestion['dropped']:,} dropped by the label rule, "
            f"{self.ingestion['rejected']:,} rejected",
            "  splits      " + ", ".join(
                f"{name} {count:,} ({self.ingestion['positive'][name] / max(count, 1):.1%} positive)"
                for name, count in rows.items()) + f"; by {self.ingestion['split_by']}",
            f"  fields      {len(self.fields)}: {', '.join(self.fields)}",
            f"  text        {self.language_model['name']}, {self.language_model['text_mode']}"
            + (f", adapted for {epochs} epoch{'s' * (epochs > 1)}" if epochs else "")
            + ("" if self.language_model["pretrained"] else " (UNTRAINED: for tests only)"),
            *([f"  vectors     {self.texts['encoded']:,} texts encoded, {self.texts['reused']:,} taken over"]
              if self.texts else []),
            *([f"  cold start  {self._new_rows}"] if self.cold_start else []),
            f"  time        {self.seconds:.0f} s: {self._times}",
            "",
            FIGURES_HEADER,
        ]
        if self.plain:
            lines.append(figures(f"plain {self.backbone}", self.plain.overall))
        lines.append(figures("student", self.student.overall))
        if self.plain:
            lines.append(_differences(self.plain.overall, self.student.overall))
        lines += ["", f"  verdict     {self.verdict}" + "".join(f"\n              {r}" for r in self.reasons)]
        if self.pushed_path:
            lines.append(f"  model       {self.pushed_path}")
            # The folder of a version has the model's name.
            model = pathlib.PurePath(self.pushed_path).parent.name
            lines.append(f"  deployment  {self.layout.deployment(model)}")
        lines += [
            f"  rejected    {self.ingestion['dead_letters']}",
            f"  summary     {path}",
            *([f"  report      {report}"] if report else []),
            f"  metadata    {self.metadata}",
            f"  curves      tensorboard --logdir {shlex.quote(str(self.layout.artifacts))}",
            f"  next        {self._next}",
        ]
        return "\n".join(lines)

    @property
    def _times(self) -> str:
        # Of the nodes of single days only those that had something to do.
        shown = [c for c in self.components if not (c.cached and "-" in c.node)]
        times = [f"{c.node} " + ("reused" if c.cached else f"{c.seconds:.0f} s") for c in shown]
        others = len(self.components) - len(shown)
        return ", ".join(times + [f"{others} more of single days reused"] * (others > 0))

    @property
    def _new_rows(self) -> str:
        # The share is measured on entries left out, where a useless map is below 0.
        return "the student has rows made from texts: " + ", ".join(
            f"{values['rows']:,} of {name} ({max(0.0, values['explained']):.1%} explained)"
            for name, values in self.cold_start.items())

    @property
    def _next(self) -> str:
        if self.verdict == PUSHED:
            folder = self.layout.root
            return f"ctrl serve --root {shlex.quote(str(folder.parent))} --dataset {folder.name}"
        return "what is served stays as it was; see the reasons above, and the figures in the summary"


def summarise(
    connection, runner: LocalRunner, spec: DatasetSpec, config: RunConfig, layout: RunLayout,
    pretrained: bool, seconds: float,
) -> RunSummary:
    """Gathers a finished run's summary from its artifacts."""
    inspection = RunInspection(connection, runner.components)
    pushed = inspection.flag("Pusher", "pushed_model", "pushed") == 1
    return RunSummary(
        run_id=runner.run_id,
        dataset=spec.name,
        language_model={
            "name": config.language_model, "text_mode": config.text_mode, "pretrained": pretrained,
            "adaptation_epochs": config.adaptation.epochs},
        backbone=config.backbone,
        fields=tuple(f.name for f in spec.model_features),
        ingestion=inspection.ingestion(),
        components=runner.components,
        seconds=seconds,
        cold_start=read_summary(run) if (run := inspection.uri(COLD_START, "model_run")) else {},
        texts=inspection.texts(),
        plain=inspection.evaluated(PLAIN_EVALUATOR),
        student=inspection.evaluated(GATE),
        verdict=PUSHED if pushed else NOT_PUSHED,
        reasons=[] if pushed else inspection.gate_failures(GATE),
        pushed_path=inspection.text("Pusher", "pushed_model", "pushed_destination") if pushed else None,
        layout=layout,
        metadata=describe(connection).removeprefix("sqlite:///"),
    )


def figures(name: str, values: dict[str, float]) -> str:
    """One model's line below `FIGURES_HEADER`."""
    return (f"  {name:<28}{values[AUC]:>9.4f}{values[LOGLOSS]:>10.4f}{values[CALIBRATION]:>13.3f}"
            f"{int(values[COUNT]):>11,}")


def _differences(plain: dict[str, float], student: dict[str, float]) -> str:
    return f"  {'difference':<28}{student[AUC] - plain[AUC]:>+9.4f}{student[LOGLOSS] - plain[LOGLOSS]:>+10.4f}"
