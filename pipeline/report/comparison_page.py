"""The page that puts runs beside each other."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.evaluated import AUC, CALIBRATION, LOGLOSS
from pipeline.pipeline import STUDENT
from pipeline.report import charts, page
from pipeline.report.run_report import PLAIN_MODEL, STUDENT_MODEL, RunReport
from pipeline.report.scores import OVERALL
from pipeline.report.steps import STATES, state_of
from pipeline.report.training_curves import TrainingCurve
from pipeline.runs.comparison import Comparison, changes

_TITLES = {AUC: "AUC", LOGLOSS: "Logloss", CALIBRATION: "Calibration"}


def render(reports: Sequence[RunReport]) -> str:
    """The page, HTML; the first run is what the others are compared with."""
    compared = Comparison.of([(r.run, r.components) for r in reports])
    drawn = {}
    for metric in (AUC, LOGLOSS):
        if rows := [(r.run.id, model, figures[model].figures[metric]) for r in reports
                    for figures in [r.figures.get(OVERALL, {})] for model in (STUDENT_MODEL, PLAIN_MODEL)
                    if model in figures and metric in figures[model].figures]:
            drawn[metric] = charts.compared(rows, _TITLES[metric])
    for metric in (AUC, LOGLOSS):
        if curves := [TrainingCurve(r.run.id, c.metric, c.split, c.values) for r in reports
                      for c in r.curves.get(STUDENT, []) if c.part == "student"]:
            drawn[f"training-{metric}"] = charts.training_by_run(
                curves, metric, _TITLES[metric], [r.run.id for r in reports])
    return page.render(
        "comparison.html", charts=drawn, reports=reports, compared=compared, titles=_TITLES, states=STATES,
        outcomes=[state_of(r.run) for r in reports], changes=changes,
        student=compared.figures["student"], nodes=list(dict.fromkeys(
            c.node for r in reports for c in r.components if not c.is_resolver)),
        times=[{c.node: c for c in r.components} for r in reports])
