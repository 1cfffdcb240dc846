import base64
import datetime
import hashlib
import html.parser
import json
import re

import numpy as np
import pytest

from pipeline.evaluated import Evaluated
from pipeline.report import comparison_page, page, run_page
from pipeline.report.data_section import ExampleRow, FeatureStatistics, Rejected
from pipeline.report.run_report import RunReport
from pipeline.report.scores import OVERALL, ScoredRows
from pipeline.report.training_curves import TrainingCurve
from pipeline.runs.component_execution import ComponentExecution
from pipeline.runs.data_file import DataFile
from pipeline.runs.run import Run
from pipeline.runs.run_state import RunState

HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>\" onmouseover=\"alert(2)"
NOW = datetime.datetime(2026, 11, 25, 16, 43, tzinfo=datetime.timezone.utc)


def component(node, state="complete", seconds=2.0, **values):
    return ComponentExecution(node, f"tfx.{node}", state, NOW, seconds, 1, (), (), {}, **values)


def make_run(**values):
    facts = dict(id="2026-11-25T16:43:47.954", dataset="sample", state=RunState.COMPLETE, started=NOW,
                 ended=NOW + datetime.timedelta(seconds=90), verdict="PUSHED", graph={"A": [], "B": ["A"]})
    return Run(**{**facts, **values})


def report(run=None, hostile="film", **values):
    run = run or make_run()
    found = RunReport(run, [component("A"), component("B", seconds=30.0)], **values)
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 300)
    found.scored = ScoredRows(
        labels, {m: np.clip(labels * s + random.uniform(0, 1 - s, 300), 0, 1) for m, s in (
            ("student", 0.3), ("plain", 0.1))},
        {"title": [[hostile] if i % 3 else [] for i in range(300)]}, {"title": random.integers(0, 20, 300)})
    found.scored_rows = (300, 300)
    for name in found.scored.slices:
        found.figures[name] = {m: found.scored.figures(name, m, others={"plain": {}} if m == "student" else {})
                               for m in found.scored.scores}
    found.ingestion = {"read": 10, "dropped": 1, "rejected": 1, "split_by": "time",
                       "rows": {"train": 6, "test": 2}, "positive": {"train": 3, "test": 1}}
    found.rejected = [Rejected(hostile, 1, hostile)]
    found.rows = [ExampleRow({"title": hostile, hostile: "1"}, 1, hostile)]
    found.statistics = {"train": {hostile: FeatureStatistics(0.1, unique=2, top=((hostile, 0.5),), bars=(1.0, 0.5))}}
    found.anomalies = [hostile]
    found.curves = {"PlainTrainer": [TrainingCurve("plain", m, s, [0.5, 0.6]) for m in ("auc", "logloss")
                                     for s in ("train", "validation")]}
    return found


class _Page(html.parser.HTMLParser):
    """Elements and text outside scripts, and the scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.scripts, self._script = [], [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self._script = dict(attrs) if tag == "script" else None

    def handle_endtag(self, tag):
        self._script = None

    def handle_data(self, data):
        if self._script is None:
            self.text.append(data)
        else:
            self.scripts.append((self._script.get("type"), data))


@pytest.fixture(scope="module")
def hostile_page():
    run = make_run(
        state=RunState.FAILED, failed_component=HOSTILE, error=HOSTILE, command_line=f"ctrl run --set {HOSTILE}",
        config={"key": HOSTILE}, backbone=HOSTILE, language_model=HOSTILE, files=(DataFile(HOSTILE),), host=HOSTILE)
    return run_page.render(report(run, HOSTILE, problems=[HOSTILE]))


def test_what_stands_in_the_data_is_text(hostile_page):
    found, plain = _Page(hostile_page), _Page(run_page.render(report()))
    assert set(found.tags) <= {*plain.tags, "ul", "li", "details", "summary", "dt", "dd", "div", "pre"}
    assert "img" not in found.tags and not [name for name, _ in found.attributes if name.startswith("on")]
    assert len(found.scripts) == len(plain.scripts) == 3
    shown = "".join(found.text)
    # Reason, its example, an anomaly, a value, a name, a sentence, the error, the command, ...
    assert shown.count(HOSTILE) >= 10
    # In a chart's data it arrives as it was.
    kind, data = next(s for s in found.scripts if s[0] == "application/json")
    assert kind and json.loads(data) and "<" not in data
    assert json.dumps(HOSTILE)[1:-1].replace("<", "\\u003c") in data


def test_a_page_runs_its_own_scripts_only_and_loads_nothing(hostile_page):
    found = _Page(hostile_page)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', hostile_page).group(1).replace(
        "&#39;", "'")
    assert policy.startswith("default-src 'none'") and "unsafe-eval" not in policy
    for kind, script in found.scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert (kind == "application/json") != (f"'sha256-{digest}'" in policy)
    assert all(value.startswith(("#", "data:")) for name, value in found.attributes if name in ("src", "href"))
    assert len(hostile_page.encode()) < 2e6


def test_the_library_can_stand_in_a_page():
    library = page._library()
    assert "</script" not in library.lower() and "<!--" not in library
    assert "window.vegaEmbed=" in library


def test_figures_stand_in_the_page_as_they_are():
    made = report()
    text = run_page.render(made)
    student = made.figures[OVERALL]["student"]
    for metric in ("auc", "logloss", "calibration"):
        assert f"{student.figures[metric].value:.4f}" in text
    assert f"{student.against['plain']['auc'].value:+.4f}" in text
    assert f"{student.figures['auc'].low:.4f} to {student.figures['auc'].high:.4f}" in text


@pytest.mark.parametrize(("values", "said"), [
    ({}, ("good", "Pushed", "The student passed the gate and is served. It ranks")),
    ({"verdict": "NOT PUSHED"}, ("bad", "Not pushed", "The gate refused the student")),
    ({"state": RunState.FAILED, "failed_component": "Transform"}, ("bad", "Failed", "The run failed in Transform")),
    ({"state": RunState.RUNNING}, ("note", "Running", "The run goes on")),
    ({"state": RunState.INTERRUPTED}, ("note", "Interrupted", "The run was stopped in B")),
])
def test_the_headline_says_what_became_of_the_run(values, said):
    colour, word, sentence = run_page.headline(report(make_run(**values)))
    assert (colour, word) == said[:2] and sentence.startswith(said[2])


@pytest.mark.parametrize(("others", "said"), [
    ({"plain", "baseline"}, "The student against the backbone that never saw a text, and against the model that was"),
    ({"plain"}, "The student against the backbone that never saw a text."),
    ({"baseline"}, "The student against the model that was last let through."),
    (set(), "The student on the test split."),
])
def test_it_says_what_the_student_is_compared_with(others, said):
    made = report()
    every = made.figures[OVERALL]
    made.figures[OVERALL] = {"student": every["student"], **{other: every["plain"] for other in others}}
    assert said in " ".join(_Page(run_page.render(made)).text)


def test_rows_that_cannot_tell_do_not_boast():
    made = report()
    labels = np.tile([1, 0], 50)
    same = ScoredRows(labels, {"student": labels * 0.5, "plain": labels * 0.5})
    made.figures[OVERALL] = {"student": same.figures(OVERALL, "student", others={"plain": {}})}
    assert "cannot tell it from the plain backbone" in run_page.headline(made)[2]


def test_a_run_that_came_to_nothing_has_a_page():
    run = make_run(state=RunState.FAILED, verdict=None, failed_component="A", error="No such file: log.csv",
                   graph={"A": [], "B": ["A"]})
    text = run_page.render(RunReport(run, [component("A", "failed", error="No such file: log.csv")]))
    assert "The run failed in A." in text and "No such file: log.csv" in text
    assert 'data-node="A" data-state="failed"' in text and 'data-node="B" data-state="open"' in text
    # Nothing to draw, so no library either.
    assert len(text) < 60_000


def test_an_older_versions_run_has_figures_without_intervals():
    made = RunReport(make_run(graph={}), [component("A")])
    made.evaluated = {"student": Evaluated({"auc": 0.7, "logloss": 0.5, "calibration": 1.0, "example_count": 9.0}, {})}
    made._read_evaluations()
    text = run_page.render(made)
    assert "0.7000" in text and "DeLong" not in text


def test_runs_are_compared():
    figures = Evaluated({"auc": 0.75}, {"a = <b>": {"auc": 1}})
    other = report(make_run(id="2026-12-01", config={"seed": 2}, student=figures))
    first = report(make_run(config={"seed": 1}, student=Evaluated({"auc": 0.7}, {})))
    text = comparison_page.render([first, other])
    assert "2 runs beside each other" in text and "+0.0500" in text and "a = &lt;b&gt;" in text
    assert re.search(r"<code>seed</code></th><td class=\"path\">1</td><td class=\"path\">2</td>", text)
