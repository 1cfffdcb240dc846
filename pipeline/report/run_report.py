"""Everything that the page of one run shows, gathered from ML Metadata and the artifacts."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from models import alignment_snapshot
from pipeline.evaluated import AUC, CALIBRATION, LOGLOSS, Evaluated
from pipeline.gate import GATE
from pipeline.ingestion_counts import read_counts
from pipeline.log_pipeline import ADAPTER
from pipeline.pipeline import ALIGNMENT, PLAIN, PLAIN_EVALUATOR, SCORER, STUDENT
from pipeline.report import data_section
from pipeline.report.estimate import Estimate
from pipeline.report.gate_checks import GateCheck, read_checks
from pipeline.report.scores import OVERALL, ModelFigures, ScoredRows
from pipeline.report.training_curves import TrainingCurve, read_curves
from pipeline.run_fns.alignment import SNAPSHOTS
from pipeline.run_inspection import read_evaluated
from pipeline.runs.component_execution import ComponentExecution
from pipeline.runs.lineage import Lineage
from pipeline.runs.run import Run
from pipeline.runs.run_store import RunStore

STUDENT_MODEL, PLAIN_MODEL, BASELINE_MODEL = "student", "plain", "baseline"
_log = logging.getLogger("ctrl.report")


@dataclasses.dataclass
class RunReport:
    """Everything that the page of one run shows. What the run did not come to is None or empty.

    Attributes:
        run: what is known of it as a whole.
        components: how each went, in order; without those that were not reached.
        evaluated: figures on the test split by model, as the Evaluators computed them.
        figures: by slice and model, the same with intervals and differences, from scored rows.
        scored: the scored rows.
        scored_rows: how many there are, and how many the test split has.
        checks: of the gate.
        ingestion: counts of rows.
        rejected: why rows were rejected.
        statistics: by split and feature.
        anomalies: in words.
        drift: by feature.
        compared_with_earlier: whether drift was measured at all.
        daily: whether it read daily logs.
        rows: of the log, with their sentences.
        curves: of training, by stage.
        snapshots: of the alignment, `before` and `after`.
        lineage: what the pushed model was made of.
        problems: parts that could not be read, and why.
    """

    run: Run
    components: list[ComponentExecution]
    evaluated: dict[str, Evaluated] = dataclasses.field(default_factory=dict)
    figures: dict[str, dict[str, ModelFigures]] = dataclasses.field(default_factory=dict)
    scored: ScoredRows | None = None
    scored_rows: tuple[int, int] | None = None
    checks: list[GateCheck] = dataclasses.field(default_factory=list)
    ingestion: dict | None = None
    rejected: list[data_section.Rejected] = dataclasses.field(default_factory=list)
    statistics: dict[str, dict[str, data_section.FeatureStatistics]] = dataclasses.field(default_factory=dict)
    anomalies: list[str] = dataclasses.field(default_factory=list)
    drift: list[data_section.Drift] = dataclasses.field(default_factory=list)
    compared_with_earlier: bool = False
    daily: bool = False
    rows: list[data_section.ExampleRow] = dataclasses.field(default_factory=list)
    curves: dict[str, list[TrainingCurve]] = dataclasses.field(default_factory=dict)
    snapshots: dict[str, dict[str, np.ndarray]] = dataclasses.field(default_factory=dict)
    lineage: Lineage | None = None
    problems: list[str] = dataclasses.field(default_factory=list)

    @classmethod
    def gather(cls, store: RunStore, run_id: str) -> RunReport:
        """Reads a run, in whatever state it is. A part that cannot be read is told in `problems`.

        Raises:
            UserError: no run, or several, are meant.
        """
        run, components = store.get(run_id), store.components(run_id)
        report = cls(run, components)
        report._read_data()
        report._read_training()
        report._read_evaluations()
        if run.pushed and (pushed := report._output("Pusher", "pushed_model")):
            report._read("lineage", lambda: Lineage.trace(store, pushed.id), "lineage")
        return report

    def component(self, node: str) -> ComponentExecution | None:
        """How a component went; None where it was not reached."""
        return next((c for c in self.components if c.node == node), None)

    def uri(self, node: str, output: str) -> str | None:
        """Where a component's output lies; None where there is none, or its files were removed."""
        artifact = self._output(node, output)
        return artifact.uri if artifact and not artifact.deleted else None

    def _days(self, name: str, output: str) -> list[str]:
        """Where the output of the node of each day lies, in the order of the days; of a single log it is one."""
        nodes = [c.node for c in self.components if c.node.partition("-")[0] == name]
        # Days are named by a date or by a number.
        uris = [self.uri(node, output) for node in sorted(nodes, key=lambda node: (len(node), node))]
        return [uri for uri in uris if uri]

    def _output(self, node: str, output: str):
        component = self.component(node)
        if component is None or component.state not in ("complete", "cached"):
            return None
        return next((a for a in component.outputs if a.name == output), None)

    def _read(self, part: str, read: Callable[[], Any], *names: str) -> None:
        """Sets attributes to what is read, of several to one value each; without names nothing is set."""
        try:
            found = read()
            if names:
                for name, value in zip(names, found if len(names) > 1 else (found,), strict=True):
                    setattr(self, name, value)
        except Exception as error:
            # A page without a part is worth more than none.
            _log.warning("report: %s", part, exc_info=True)
            self.problems.append(f"{part}: {type(error).__name__}: {error}")

    def _read_data(self) -> None:
        self.daily = any(c.node.startswith("ExampleGen-") for c in self.components)
        if reports := self._days("ExampleGen", "report"):
            self._read("counts of rows", lambda: read_counts(reports), "ingestion")
            self._read("rejected rows", lambda: data_section.read_rejected(reports), "rejected")
        if statistics := self._days("StatisticsGen", "statistics"):
            self._read("statistics", lambda: _statistics(statistics), "statistics")
        validator = self.component("DataValidator")
        if validator:
            self.compared_with_earlier = any(a.name == "previous_statistics" for a in validator.inputs)
        if anomalies := self.uri("DataValidator", "anomalies"):
            self._read("anomalies and drift", lambda: data_section.read_anomalies(anomalies), "anomalies", "drift")
        if rows := self._days("Textualiser", "textualised_examples"):
            split = "train" if self.daily else "test"
            self._read("rows with their sentences", lambda: data_section.read_rows(rows[-1], split), "rows")

    def _read_training(self) -> None:
        for node, title in ((ADAPTER, "language model"), (ALIGNMENT, ""), (PLAIN, ""), (STUDENT, "")):
            if uri := self.uri(node, "model_run"):
                self._read(f"training curves of {node}", lambda node=node, uri=uri, title=title:
                          self.curves.__setitem__(node, read_curves(uri, title)))
        uri = self.uri(ALIGNMENT, "model_run")
        # A run of an older version wrote none.
        if uri and alignment_snapshot.exists(path := os.path.join(uri, SNAPSHOTS)):
            self._read("alignment", lambda: alignment_snapshot.load(path), "snapshots")

    def _read_evaluations(self) -> None:
        if uri := self.uri(PLAIN_EVALUATOR, "evaluation"):
            self._read("evaluation of the plain backbone", lambda: self._evaluated(PLAIN_MODEL, uri, "candidate"))
        if gate := self.uri(GATE, "evaluation"):
            self._read("evaluation", lambda: self._evaluated(STUDENT_MODEL, gate, "candidate"))
            self._read(
                "evaluation of the last blessed model", lambda: self._evaluated(BASELINE_MODEL, gate, "baseline"))
            if student := self.evaluated.get(STUDENT_MODEL):
                self._read(
                    "the gate", lambda: read_checks(gate, student, self.evaluated.get(BASELINE_MODEL)), "checks")
        if scored := self.uri(SCORER, "scored_rows"):
            self._read("scored rows", lambda: self._read_scores(scored))
        elif self.evaluated:
            self.figures = {
                name: {model: _figures(e.overall if name == OVERALL else e.slices[name])
                       for model, e in self.evaluated.items() if name == OVERALL or name in e.slices}
                for name in [OVERALL, *self._slices()]}

    def _evaluated(self, model: str, uri: str, name: str) -> None:
        found = read_evaluated(uri, name)
        if found:
            self.evaluated[model] = found

    def _slices(self) -> list[str]:
        student = self.evaluated.get(STUDENT_MODEL)
        return sorted(student.slices) if student else []

    def _read_scores(self, uri: str) -> None:
        self.scored = ScoredRows.read(uri)
        properties = self._output(SCORER, "scored_rows").properties
        self.scored_rows = properties["rows"], properties["rows_of_the_split"]
        for name in self.scored.slices:
            values = {m: e.overall if name == OVERALL else e.slices.get(name, {}) for m, e in self.evaluated.items()}
            self.figures[name] = {
                model: self.scored.figures(
                    name, model, values.get(model),
                    {o: values.get(o, {}) for o in self.scored.scores if o != model} if model == STUDENT_MODEL else {})
                for model in self.scored.scores}


def _statistics(uris: list[str]) -> dict[str, dict[str, data_section.FeatureStatistics]]:
    """By split; of daily logs those of the last day of training, with the newest day beside them."""
    if len(uris) == 1:
        return data_section.read_statistics(uris[0])
    found, newest = (data_section.read_statistics(uri) for uri in uris[-2:])
    return {**found, "newest day": newest["train"]}


def _figures(values: dict[str, float]) -> ModelFigures:
    return ModelFigures(int(values["example_count"]), {
        n: Estimate(values[n]) for n in (AUC, LOGLOSS, CALIBRATION) if n in values})
