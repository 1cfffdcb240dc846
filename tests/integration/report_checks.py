"""What a run's report must show, against the artifacts and in a browser."""

from __future__ import annotations

import html.parser
import json
import pathlib

import pytest
import tensorflow_data_validation as tfdv
import tensorflow_model_analysis as tfma

from tests import browser

NOTEBOOK = pathlib.Path(__file__).parents[2] / "docs" / "notebook" / "artifacts.ipynb"
CHARTS = {
    "differences", "reliability", "histogram", "roc", "precision-recall", "frequency-user_id", "frequency-item_id",
    "training-auc", "training-logloss", "training-alignment", "training-retrieval", "similarity-before",
    "similarity-after", "retrieval", "geometry"}
# Those that hold marks, not just axes.
_DRAWN = ("return [...document.querySelectorAll('.chart')].filter(p => p.querySelector("
          "'svg .mark-rect path, svg .mark-line path, svg .mark-symbol path')).map(p => p.dataset.chart)")
# Texts of charts, of which a part lies outside of the drawing.
_CUT = ("return [...document.querySelectorAll('.chart svg text')].filter(t => t.getBoundingClientRect().right > "
        "t.closest('svg').getBoundingClientRect().right + 1).map(t => t.textContent)")
SCREENS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]


class Tables(html.parser.HTMLParser):
    """The tables of a page: by their id a list of rows, each a list of what the cells hold."""

    def __init__(self, text: str):
        super().__init__()
        self.found: dict[str, list[list[dict]]] = {}
        self._table = self._cell = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "table":
            self._table = self.found.setdefault(values.get("id", ""), [])
        elif tag == "tr":
            self._table.append([])
        elif tag in ("td", "th"):
            self._cell = {"text": "", "value": values.get("data-value")}
            self._table[-1].append(self._cell)

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = None

    def handle_data(self, data):
        if self._cell is not None:
            self._cell["text"] += data

    def row(self, table: str, name: str) -> list[dict]:
        return next(row for row in self.found[table] if row[0]["text"].strip() == name)


def check_figures(page: pathlib.Path, artifacts: pathlib.Path) -> None:
    """The numbers in the page are those of the artifacts."""
    tables = Tables(page.read_text(encoding="utf-8"))
    for node, name in (("Evaluator", "student"), ("PlainEvaluator", "plain backbone")):
        (evaluation,) = artifacts.glob(f"{node}/evaluation/*")
        metrics = _evaluated(evaluation).get_metrics_for_slice()
        shown = tables.row("models", name)
        for cell, metric in zip(shown[1:], ("auc", "logloss", "calibration"), strict=False):
            assert float(cell["value"]) == pytest.approx(metrics[metric]["doubleValue"], rel=1e-9)
        assert int(shown[4]["text"].replace(",", "")) == metrics["example_count"]["doubleValue"]
    (evaluation,) = artifacts.glob("Evaluator/evaluation/*")
    slices = {key: metrics[""][""] for key, metrics in _evaluated(evaluation).slicing_metrics if key}
    for ((feature, value),), metrics in slices.items():
        shown = tables.row("slice-table", f"{feature} = {value}")
        assert int(shown[1]["value"]) == metrics["example_count"]["doubleValue"]
        assert float(shown[2]["value"]) == pytest.approx(metrics["auc"]["doubleValue"], rel=1e-9)
    (report,) = artifacts.glob("ExampleGen/report/*/summary.json")
    counts = json.loads(report.read_text())
    for split, rows in counts["rows"].items():
        shown = [cell["text"].replace(",", "") for cell in tables.row("splits", split)]
        assert shown[1:3] == [str(rows), str(counts["positive"][split])]
    (statistics,) = artifacts.glob("StatisticsGen/statistics/*/Split-train/FeatureStats.pb")
    (dataset,) = tfdv.load_stats_binary(str(statistics)).datasets
    for feature in dataset.features:
        if feature.HasField("string_stats"):
            shown = tables.row("features", feature.path.step[0])
            assert int(shown[3]["value"]) == feature.string_stats.unique


def _evaluated(uri: pathlib.Path):
    models = [m.name for m in tfma.load_eval_results(str(uri)).get_results()[0].config.model_specs]
    return tfma.load_eval_result(str(uri), model_name="candidate" if "candidate" in models else None)


def check_in_browser(page: pathlib.Path, folder: pathlib.Path) -> None:
    """It is quick, whole and quiet on a desk and on a phone, by day and by night; skipped without a browser."""
    if reason := browser.missing():
        pytest.skip(reason)
    assert page.stat().st_size < 5e6
    loads = []
    with browser.Browser(folder) as window:
        for width, scheme in SCREENS:
            window.open(page.as_uri(), width=width, scheme=scheme)
            window.wait_for("return document.documentElement.dataset.charts === 'drawn'", 60)
            loads.append(window.run("return performance.getEntriesByType('navigation')[0].loadEventEnd"))
            assert window.run("return document.getElementById('verdict').innerText.toLowerCase()") == "pushed"
            assert set(window.run(_DRAWN)) == CHARTS
            assert window.run("return document.documentElement.scrollWidth") <= width
            assert window.run(_CUT) == []
            assert window.console() == []
            ground = window.run("return getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
            assert (int(ground) > 128) == (scheme == "light")
        _check_sorting(window)
        # Nothing was asked of the network.
        assert window.run("return performance.getEntriesByType('resource').filter("
                          "r => !r.name.startsWith('data:')).length") == 0
    # The first one compiles the library; on a machine that does something else besides, any of them may be held up.
    assert min(loads) < 1000, loads


def _check_sorting(window: browser.Browser) -> None:
    sort = ("const table = document.getElementById('slice-table'); table.tHead.rows[0].cells[2].firstChild.click();"
            "return [...table.tBodies[0].rows].map(r => Number(r.cells[2].dataset.value))")
    ascending, descending = window.run(sort), window.run(sort)
    assert ascending == sorted(ascending) and descending == sorted(ascending, reverse=True)


def run_notebook() -> dict:
    """What the names in the notebook mean once all of its cells have run; `CTRL_ROOT` says where."""
    names: dict = {}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
    return names
