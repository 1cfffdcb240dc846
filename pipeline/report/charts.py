"""The charts, as Vega-Lite specifications made by Altair.

Colours are the page's CSS variables: a chart is light or dark, and printed, as the page is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import altair as alt
import numpy as np

from pipeline.report.estimate import Estimate
from pipeline.report.run_report import BASELINE_MODEL, PLAIN_MODEL, STUDENT_MODEL
from pipeline.report.scores import ScoredRows
from pipeline.report.training_curves import TrainingCurve

# Short: a legend has to fit on a phone.
_NAMES = {STUDENT_MODEL: "student", PLAIN_MODEL: "plain", BASELINE_MODEL: "last blessed"}
_COLOURS = {
    "student": "var(--student)", "plain": "var(--plain)", "last blessed": "var(--baseline)",
    "teachers": "var(--teacher)", "alignment": "var(--student)", "language model": "var(--student)",
    "not clicked": "var(--plain)", "clicked": "var(--student)",
    "before": "var(--plain)", "after": "var(--student)",
}
# Rows of a batch whose similarities are drawn.
_MATRIX_ROWS = 28
_HEIGHT = 260

CONFIG = {
    "background": None,
    # That of style.css, and not its variable: Vega measures texts outside the page.
    "font": 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif',
    "autosize": {"type": "fit-x", "contains": "padding"},
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--muted)", "titleFontWeight": "normal", "labelFontSize": 12,
        "titleFontSize": 12, "gridColor": "var(--line)", "domainColor": "var(--line)", "tickColor": "var(--line)",
        "labelPadding": 6, "titlePadding": 10, "tickSize": 4},
    "axisY": {"domain": False, "ticks": False},
    "legend": {
        "orient": "top", "direction": "horizontal", "title": None, "labelColor": "var(--ink)", "labelFontSize": 12,
        "symbolSize": 90, "columnPadding": 16, "offset": 8, "labelLimit": 200,
        # Two of one chart, below each other: side by side they would not fit.
        "layout": {"top": {"direction": "vertical", "anchor": "start", "margin": 4}}},
    "rule": {"color": "var(--muted)"},
}

Spec = dict


def curves(rows: ScoredRows) -> dict[str, Spec]:
    """Reliability, histogram, ROC and precision-recall of every model that scored the rows."""
    models = list(rows.scores)
    return {
        "reliability": _reliability({m: rows.reliability(m) for m in models}),
        "histogram": _histogram(rows.histogram(STUDENT_MODEL)),
        "roc": _curve({m: rows.roc(m) for m in models}, "False positive rate", "True positive rate",
                      [(0, 0), (1, 1)]),
        "precision-recall": _curve({m: rows.precision_recall(m) for m in models}, "Recall", "Precision",
                                   [(0, float(rows.labels.mean())), (1, float(rows.labels.mean()))]),
    }


def _curve(points: Mapping[str, Sequence[tuple[float, float]]], x: str, y: str, chance: list) -> Spec:
    lines = _chart([
        {"model": _NAMES[m], "x": a, "y": b, "order": i}
        for m, found in points.items() for i, (a, b) in enumerate(found)
    ]).mark_line(strokeWidth=2, interpolate="linear").encode(
        _x("x", x, domain=(0, 1)), _y("y", y, domain=(0, 1)), _colour("model", [_NAMES[m] for m in points]),
        order="order:Q", tooltip=["model:N", _tip("x", x), _tip("y", y)])
    return _spec(_line(chance) + lines, f"{y} by {x.lower()}")


def _reliability(bins: Mapping[str, Sequence[tuple[float, Estimate, int]]]) -> Spec:
    base = _chart([
        {"model": _NAMES[m], "predicted": x, "rate": e.value, "low": e.low, "high": e.high, "rows": n}
        for m, found in bins.items() for x, e, n in found])
    highest = max(e.high for found in bins.values() for _, e, _ in found)
    x, y = _x("predicted", "Predicted probability"), _y("rate", "Click rate, with 95 % interval")
    colour = _colour("model", [_NAMES[m] for m in bins])
    tips = ["model:N", _tip("predicted", "Predicted"), _tip("rate", "Click rate"), _tip("low", "from"),
            _tip("high", "to"), alt.Tooltip("rows:Q", title="Rows", format=",")]
    bars = base.mark_rule(strokeWidth=1.5, opacity=0.55).encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), colour)
    lines = base.mark_line(strokeWidth=1.5, opacity=0.55).encode(x, y, colour)
    points = base.mark_circle(size=48, opacity=1).encode(x, y, colour, tooltip=tips)
    return _spec(_line([(0, 0), (highest, highest)]) + bars + lines + points, "Click rate by predicted probability")


def _histogram(bins: Sequence[tuple[float, float, int, float]]) -> Spec:
    names = ("not clicked", "clicked")
    chart = _chart([{"from": a, "to": b, "class": names[label], "share": share} for a, b, label, share in bins])
    return _spec(chart.mark_bar(opacity=0.62, binSpacing=1).encode(
        alt.X("from:Q", bin="binned", title="Predicted probability", scale=alt.Scale(domain=(0, 1)),
              axis=alt.Axis(grid=False)),
        alt.X2("to:Q"), alt.Y("share:Q", title="Share of the class's rows", stack=None, axis=_axis("%")),
        _colour("class", names),
        tooltip=["class:N", _tip("from", "from"), _tip("to", "to"), alt.Tooltip("share:Q", format=".1%")]),
        "Histogram of predicted probabilities by class")


def differences(found: Iterable[tuple[str, str, int, Estimate]], metric: str) -> Spec:
    """Differences with their intervals: name, the other model, rows, the difference."""
    rows = [{"name": n, "other": f"over {_NAMES[m]}", "rows": r, "value": e.value, "low": e.low, "high": e.high}
            for n, m, r, e in found]
    names = list(dict.fromkeys(r["name"] for r in rows))
    others = list(dict.fromkeys(r["other"] for r in rows))
    base = _chart(rows)
    y = alt.Y("name:N", sort=names, title=None, axis=alt.Axis(
        grid=False, labelColor="var(--ink)", labelLimit=150, domain=False, ticks=False))
    offset = alt.YOffset("other:N", sort=others, scale=alt.Scale(paddingOuter=0.3))
    colour = alt.Color("other:N", scale=alt.Scale(domain=others, range=["var(--student)", "var(--baseline)"]),
                       legend=alt.Legend() if len(others) > 1 else None)
    x = alt.X("value:Q", title=f"{metric} gained, 95 % interval", axis=alt.Axis(
        format="+.3~f", tickCount=5))
    bars = base.mark_rule(strokeWidth=2, opacity=0.6).encode(
        alt.X("low:Q"), alt.X2("high:Q"), y, offset, colour)
    points = base.mark_circle(size=70, opacity=1).encode(x, y, offset, colour, tooltip=[
        alt.Tooltip("name:N", title="Rows with"), "other:N", _tip("value", "Difference", "+.4f"),
        _tip("low", "from", "+.4f"), _tip("high", "to", "+.4f"), alt.Tooltip("rows:Q", title="Rows", format=",")])
    zero = _chart([{"x": 0}]).mark_rule(strokeDash=[3, 3]).encode(alt.X("x:Q"))
    return _spec(zero + bars + points, f"{metric} gained, by slice", height=len(names) * (18 + 14 * len(others)))


def by_frequency(feature: str, found: Sequence[tuple[str, int, Estimate]]) -> Spec:
    """The AUC gained over the plain backbone by training rows of a user or an item."""
    spec = differences([(name, PLAIN_MODEL, rows, gain) for name, rows, gain in found], "AUC")
    return {**spec, "description": f"AUC gained by training rows of {feature}"}


def training(found: Sequence[TrainingCurve], metric: str, title: str) -> Spec | None:
    """One metric by epoch, a line a model and split; None where nobody measured it."""
    return _training(found, metric, title, _model_of)


def training_by_run(found: Sequence[TrainingCurve], metric: str, title: str, runs: Sequence[str]) -> Spec | None:
    """The same of several runs, whose ids stand in place of the curves' parts."""
    colours = [f"var(--run-{n % 6 + 1})" for n in range(len(runs))]
    return _training(found, metric, title, str, alt.Color(
        "model:N", scale=alt.Scale(domain=list(runs), range=colours), legend=alt.Legend(columns=1)))


def _training(found, metric: str, title: str, name: Callable[[str], str], colour: alt.Color | None = None):
    own = [c for c in found if c.metric == metric]
    if not own:
        return None
    rows = [{"part": c.part, "model": name(c.part), "split": c.split, "epoch": epoch, "value": value}
            for c in own for epoch, value in enumerate(c.values, 1)]
    epochs = max(r["epoch"] for r in rows)
    chart = _chart(rows).mark_line(point=alt.OverlayMarkDef(size=26), strokeWidth=2).encode(
        alt.X("epoch:Q", title="Epoch", scale=alt.Scale(domain=(1, max(2, epochs)), nice=False),
              axis=alt.Axis(grid=False, values=list(range(1, epochs + 1, 1 + epochs // 12)), format="d")),
        alt.Y("value:Q", title=title, scale=alt.Scale(zero=False), axis=_axis("~g")),
        colour or _colour("model", list(dict.fromkeys(r["model"] for r in rows))),
        alt.StrokeDash("split:N", scale=alt.Scale(domain=["validation", "train"], range=[[1, 0], [4, 4]]),
                       legend=alt.Legend(symbolType="stroke", symbolStrokeColor="var(--ink)")),
        opacity=alt.condition("datum.split == 'train'", alt.value(0.5), alt.value(1)), detail="part:N",
        tooltip=["part:N", "split:N", "epoch:Q", _tip("value", title, ".4f")])
    return _spec(chart, f"{title} by epoch")


def similarity(matrix: np.ndarray, highest: float) -> Spec:
    """The similarity of each text of a batch with each row's IDs.

    Args:
        matrix: float `[texts, rows]`.
        highest: the similarity that is drawn darkest, the same for two matrices side by side.
    """
    part = matrix[:_MATRIX_ROWS, :_MATRIX_ROWS]
    rows = [{"text": i + 1, "row": j + 1, "value": round(float(v), 3)} for (i, j), v in np.ndenumerate(part)]
    size = list(range(1, len(part) + 1))

    def axis(name: str) -> dict:
        return {"title": name, "sort": size, "axis": alt.Axis(labels=False, ticks=False, domain=False, grid=False)}

    return _spec(_chart(rows).mark_rect(color="var(--student)").encode(
        alt.X("row:O", **axis("IDs of row")), alt.Y("text:O", **axis("Text of row")),
        alt.Opacity("value:Q", scale=alt.Scale(domain=(0, highest), range=[0.03, 1], clamp=True), legend=None),
        tooltip=["text:O", alt.Tooltip("row:O", title="IDs"), _tip("value", "Similarity")]),
        "Similarity of texts and rows of one batch")


def geometry(points: Sequence[tuple[str, float, float]]) -> Spec:
    """Alignment against uniformity (Wang & Isola, arXiv 2005.10242): name, alignment, uniformity, in their order."""
    base = _chart([{"when": n, "alignment": a, "uniformity": u, "order": i} for i, (n, a, u) in enumerate(points)])
    x = alt.X("uniformity:Q", title="Uniformity (lower is better)", scale=alt.Scale(zero=False, nice=True, padding=24))
    y = alt.Y("alignment:Q", title="Alignment (lower is better)", scale=alt.Scale(zero=False, padding=24))
    line = base.mark_line(color="var(--teacher)", strokeWidth=1.5).encode(x, y, order="order:Q")
    dots = base.mark_circle(size=70, opacity=1, color="var(--student)").encode(
        x, y, tooltip=["when:N", _tip("alignment", "Alignment"), _tip("uniformity", "Uniformity")])
    names = base.mark_text(dy=-12, color="var(--ink)", fontSize=12).encode(x, y, text="when:N")
    return _spec(line + dots + names, "Alignment against uniformity")


def retrieval(found: Mapping[str, Sequence[float]], ranks: Sequence[int]) -> Spec:
    """The share of texts whose own row is among the k most similar ones, by k, before and after."""
    rows = [{"when": when, "k": k, "share": share} for when, shares in found.items()
            for k, share in zip(ranks, shares)]
    return _spec(_chart(rows).mark_line(point=alt.OverlayMarkDef(size=40), strokeWidth=2).encode(
        alt.X("k:Q", title="k", scale=alt.Scale(type="log", base=2, nice=False), axis=alt.Axis(
            grid=False, values=list(ranks), format="d")),
        alt.Y("share:Q", title="Own row among the k nearest", axis=_axis("%"), scale=alt.Scale(domain=(0, 1))),
        _colour("when", list(found)), tooltip=["when:N", "k:Q", alt.Tooltip("share:Q", format=".1%")]),
        "Retrieval accuracy by k")


def compared(rows: Sequence[tuple[str, str, Estimate]], metric: str) -> Spec:
    """A metric of several runs: name of the run, model, estimate."""
    names = list(dict.fromkeys(n for n, _, _ in rows))
    base = _chart([{"name": n, "model": _NAMES[m], "value": e.value, "low": e.low, "high": e.high}
                   for n, m, e in rows])
    models = list(dict.fromkeys(_NAMES[m] for _, m, _ in rows))
    y = alt.Y("name:N", sort=names, title=None, axis=alt.Axis(grid=False, labelColor="var(--ink)", labelLimit=170))
    offset, colour = alt.YOffset("model:N", sort=models), _colour("model", models)
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=2, opacity=0.6).encode(
        alt.X("low:Q"), alt.X2("high:Q"), y, offset, colour)
    points = base.mark_circle(size=70, opacity=1).encode(
        alt.X("value:Q", title=f"{metric}, 95 % interval", scale=alt.Scale(zero=False), axis=_axis("~g")),
        y, offset, colour, tooltip=["name:N", "model:N", _tip("value", metric, ".4f"), _tip("low", "from", ".4f"),
                                    _tip("high", "to", ".4f")])
    return _spec(bars + points, f"{metric} by run", height=len(names) * (18 + 14 * len(models)))


def _model_of(part: str) -> str:
    return "teachers" if part.startswith("teacher") else part


def _chart(rows: list[dict]) -> alt.Chart:
    return alt.Chart(alt.Data(values=rows))


def _spec(chart: alt.TopLevelMixin, description: str, height: int = _HEIGHT) -> Spec:
    spec = chart.properties(width="container", height=height, description=description).to_dict()
    # Altair's own theme; the page's is given when a chart is drawn.
    spec.pop("config", None)
    return spec


def _x(name: str, title: str, domain=None) -> alt.X:
    return alt.X(f"{name}:Q", title=title, axis=alt.Axis(grid=False, tickCount=6),
                 **({"scale": alt.Scale(domain=domain)} if domain else {}))


def _y(name: str, title: str, domain=None) -> alt.Y:
    return alt.Y(f"{name}:Q", title=title, axis=alt.Axis(tickCount=5),
                 **({"scale": alt.Scale(domain=domain)} if domain else {}))


def _axis(form: str) -> alt.Axis:
    return alt.Axis(format=form, tickCount=5)


def _tip(name: str, title: str, form: str = ".3f") -> alt.Tooltip:
    return alt.Tooltip(f"{name}:Q", title=title, format=form)


def _colour(name: str, values: Sequence[str]) -> alt.Color:
    colours = [_COLOURS.get(v, "var(--teacher)") for v in values]
    return alt.Color(f"{name}:N", scale=alt.Scale(domain=list(values), range=colours),
                     legend=alt.Legend() if len(values) > 1 else None)


def _line(points: list[tuple[float, float]]) -> alt.Chart:
    """A reference line."""
    return _chart([{"x": x, "y": y} for x, y in points]).mark_line(
        color="var(--muted)", strokeDash=[3, 3], strokeWidth=1, opacity=0.7).encode(alt.X("x:Q"), alt.Y("y:Q"))
