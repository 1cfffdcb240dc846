"""The page of one run."""

from __future__ import annotations

import numpy as np
import yaml

from pipeline.evaluated import AUC, CALIBRATION, LOGLOSS
from pipeline.log_pipeline import ADAPTER
from pipeline.pipeline import ALIGNMENT, PLAIN, STUDENT
from pipeline.report import charts, formats, page
from pipeline.report.estimate import Estimate
from pipeline.report.run_report import BASELINE_MODEL, PLAIN_MODEL, STUDENT_MODEL, RunReport
from pipeline.report.scores import OVERALL
from pipeline.report.steps import STATES, Picture, state_of
from pipeline.runs.run_state import RunState
from pipeline.verdict import PUSHED

_TITLES = {AUC: "AUC", LOGLOSS: "Logloss", CALIBRATION: "Calibration"}
_NAMES = {STUDENT_MODEL: "student", PLAIN_MODEL: "plain backbone", BASELINE_MODEL: "last blessed"}
# Slices whose differences are drawn; the table has them all.
_DRAWN_SLICES = 20
_RANKS = (1, 2, 4, 8, 16, 32)


def render(report: RunReport) -> str:
    """The page, HTML."""
    return page.render(
        "run.html",
        charts=_charts(report),
        report=report,
        run=report.run,
        headline=headline(report),
        titles=_TITLES,
        names=_NAMES,
        overall=report.figures.get(OVERALL, {}),
        slices=[name for name in report.figures if name != OVERALL],
        shown_models=[m for m in (STUDENT_MODEL, PLAIN_MODEL, BASELINE_MODEL)
                      if m in report.figures.get(OVERALL, {})],
        others=[m for m in (PLAIN_MODEL, BASELINE_MODEL) if m in _against(report)],
        picture=Picture.of(report.run, report.components),
        states=STATES,
        others_of=lambda feature: [(name, split[feature]) for name, split in list(report.statistics.items())[1:]
                                   if feature in split],
        config=yaml.safe_dump(report.run.config, sort_keys=False, allow_unicode=True) if report.run.config else "",
        retrieval={when: retrieval_accuracy(s) for when, s in report.snapshots.items()},
        ranks=_RANKS,
    )


def headline(report: RunReport) -> tuple[str, str, str]:
    """What became of the run: the colour's name, the verdict, and one sentence without its full stop."""
    run = report.run
    if run.state == RunState.FAILED:
        said = f"The run failed in {run.failed_component or 'its first steps'}"
    elif run.state == RunState.RUNNING:
        running = next((c.node for c in report.components if c.state == "running"), None)
        said = f"The run goes on{f': {running}' if running else ''}"
    elif run.state == RunState.INTERRUPTED:
        last = report.components[-1].node if report.components else None
        said = f"The run was stopped{f' in {last}' if last else ''}"
    else:
        gain = _gain(_against(report).get(PLAIN_MODEL, {}).get(AUC))
        said = ("The student passed the gate and is served" if run.verdict == PUSHED else
                "The gate refused the student: what is served stays as it was") + gain
    return *state_of(run), said


def _gain(gain: Estimate | None) -> str:
    if gain is None:
        return ""
    if gain.differs is False:
        return ". Test rows cannot tell it from the plain backbone"
    word = "better" if gain.value > 0 else "worse"
    return f". It ranks test rows {word} than the plain backbone, by {formats.number(abs(gain.value))} of AUC"


def _against(report: RunReport) -> dict[str, dict[str, Estimate]]:
    student = report.figures.get(OVERALL, {}).get(STUDENT_MODEL)
    return student.against if student else {}


def retrieval_accuracy(snapshot: dict[str, np.ndarray]) -> list[float]:
    """Share of the texts whose own row is among the k most similar rows, for each k of `_RANKS`.

    Rows with the same text are left out, as in training.
    """
    similarity = np.where(snapshot["same_text"], -np.inf, snapshot["similarity"])
    rank = (similarity > np.diag(similarity)[:, None]).sum(axis=1)
    return [float((rank < k).mean()) for k in _RANKS]


def _charts(report: RunReport) -> dict[str, dict]:
    found: dict[str, dict | None] = {}
    students = {name: figures[STUDENT_MODEL] for name, figures in report.figures.items() if STUDENT_MODEL in figures}
    against = [
        (name or "all rows", other, figures.rows, values[AUC])
        for name, figures in sorted(students.items(), key=lambda item: -item[1].rows)
        for other, values in figures.against.items() if AUC in values and values[AUC].low is not None]
    if against:
        kept = list(dict.fromkeys(name for name, *_ in against))[:_DRAWN_SLICES + 1]
        found["differences"] = charts.differences([a for a in against if a[0] in kept], "AUC")
    if report.scored:
        found.update(charts.curves(report.scored))
        if PLAIN_MODEL in report.scored.scores:
            for feature in report.scored.train_rows:
                if buckets := report.scored.by_frequency(feature, STUDENT_MODEL, PLAIN_MODEL):
                    found[f"frequency-{feature}"] = charts.by_frequency(feature, buckets)
    clicks = [c for node in (PLAIN, STUDENT) for c in report.curves.get(node, [])]
    found["training-auc"] = charts.training(clicks, "auc", "AUC")
    found["training-logloss"] = charts.training(clicks, "logloss", "Logloss")
    found["training-alignment"] = charts.training(report.curves.get(ALIGNMENT, []), "loss", "Contrastive loss")
    found["training-retrieval"] = charts.training(
        report.curves.get(ALIGNMENT, []), "text_to_tabular_accuracy", "Retrieval accuracy")
    found["training-language-model"] = charts.training(report.curves.get(ADAPTER, []), "loss", "Masked-LM loss")
    found.update(_alignment_charts(report))
    return {name: spec for name, spec in found.items() if spec}


def _alignment_charts(report: RunReport) -> dict[str, dict]:
    if not report.snapshots:
        return {}
    before, after = report.snapshots["before"], report.snapshots["after"]
    highest = float(max(s["similarity"].max() for s in (before, after)))
    found = {
        "similarity-before": charts.similarity(before["similarity"], highest),
        "similarity-after": charts.similarity(after["similarity"], highest),
        "retrieval": charts.retrieval({w: retrieval_accuracy(s) for w, s in report.snapshots.items()}, _RANKS),
    }
    # Unlike accuracies, these two do not depend on the size of a batch, so that epochs and snapshots compare.
    epochs = {c.metric: c.values for c in report.curves.get(ALIGNMENT, []) if c.split == "validation"}
    points = [("before", before["alignment"], before["uniformity"])] + [
        (f"epoch {n}", a, u) for n, (a, u) in enumerate(zip(epochs["alignment"], epochs["uniformity"]), 1)]
    found["geometry"] = charts.geometry([(name, float(a), float(u)) for name, a, u in points])
    return found
