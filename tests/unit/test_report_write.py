import logging
import types

import pytest

from pipeline.layout import RunLayout
from pipeline.report import write
from pipeline.report.write import report_at_end, write_page
from tests.unit.generated_store import GeneratedStore

RUN = "2026-01-01T10:00:00.000"
RUNNER = types.SimpleNamespace(run_id=RUN)


@pytest.fixture
def store(tmp_path):
    return GeneratedStore(tmp_path / "metadata.sqlite")


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "ctrl")
    return lambda: [r.getMessage() for r in caplog.records if r.name == "ctrl"]


def test_a_run_ends_with_its_report(store, tmp_path, said):
    layout = RunLayout(tmp_path)
    with report_at_end(store.connection, RUNNER, layout) as report:
        store.complete(RUN, graph={"ExampleGen": []})
        assert report.path is None
    assert report.path == tmp_path / "runs" / "2026-01-01T100000.000" / "report.html"
    assert "Pushed" in report.path.read_text() and said() == []


def test_a_failed_run_has_a_report_and_keeps_its_error(store, tmp_path, said):
    layout = RunLayout(tmp_path)
    with pytest.raises(ValueError, match="no such file"), report_at_end(store.connection, RUNNER, layout):
        with store.record(RUN, current="Transform", dataset="sample", graph={"ExampleGen": [], "Transform": []}):
            raise ValueError("no such file")
    path = layout.report(RUN)
    assert "The run failed in Transform." in path.read_text()
    assert said() == [f"report: {path}"]


def test_a_report_that_cannot_be_written_fails_nothing(store, tmp_path, said, monkeypatch):
    def broken(*_):
        raise RuntimeError("first line\nthe disk is full")

    monkeypatch.setattr(write, "write_report", broken)
    with report_at_end(store.connection, RUNNER, RunLayout(tmp_path)) as report:
        pass
    assert report.path is None
    assert said() == ["WARNING: the report could not be written: RuntimeError: the disk is full"]
    with pytest.raises(KeyError), report_at_end(store.connection, RUNNER, RunLayout(tmp_path)):
        raise KeyError("of the run")


def test_it_can_be_left_out(store, tmp_path):
    with report_at_end(store.connection, RUNNER, RunLayout(tmp_path), enabled=False) as report:
        store.complete(RUN)
    assert report.path is None and not (tmp_path / "runs").exists()


def test_a_page_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "deep" / "page.html"
    for text in ("old", "ü new"):
        assert write_page(text, path).read_text(encoding="utf-8") == text
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]
