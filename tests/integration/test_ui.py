"""`ctrl ui` in a browser, on a store in which a run goes on."""

import re

import pytest
from ml_metadata import proto as mlmd_proto

from tests import browser
from tests.unit.generated_store import GeneratedStore

RUN = "2026-01-02T10:00:00.000"
GRAPH = {"ExampleGen": [], "Transform": ["ExampleGen"]}


@pytest.fixture
def address(ctrl, tmp_path):
    (tmp_path / "root" / "sample").mkdir(parents=True)
    store = GeneratedStore(tmp_path / "root" / "sample" / "metadata.sqlite")
    record = store.record(RUN, dataset="sample", graph=GRAPH, backbone="<img src=x onerror=alert(1)>")
    record.__enter__()
    store.execution("sample", RUN, "ExampleGen", state=mlmd_proto.Execution.RUNNING)
    server = ctrl.start("ui", "--root", tmp_path / "root", "--port", 0)
    try:
        yield re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline()).group(), store, record
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()


@pytest.mark.skipif(browser.missing() is not None, reason=str(browser.missing()))
def test_a_run_is_followed_until_its_report(address, tmp_path):
    url, store, record = address
    with browser.Browser(tmp_path) as window:
        window.open(url, width=390, scheme="dark")
        assert window.run("return document.querySelector('tr[data-run] .current').innerText") == "ExampleGen"
        assert window.run("return document.documentElement.scrollWidth") <= 390
        window.run("document.querySelector('tr[data-run] a').click()")
        state = "return document.querySelector('li[data-node={}]')?.dataset.state"
        window.wait_for(f"{state.format('ExampleGen')} === 'running'")
        assert window.run(state.format("Transform")) == "open"
        # The page is not loaded anew while only a component moves on.
        window.run("window.stillHere = true")
        store.execution("sample", RUN, "Transform", state=mlmd_proto.Execution.RUNNING)
        window.wait_for(f"{state.format('Transform')} === 'running'")
        assert window.run("return window.stillHere")
        assert window.run("return document.querySelector('li[data-node=Transform] .state').innerText") == "running"
        # The report is there before its run is done: nobody is led to one of before.
        report = tmp_path / "root" / "sample" / "runs" / RUN.replace(":", "") / "report.html"
        report.parent.mkdir(parents=True)
        report.write_text('<link rel="icon" href="data:,"><title>the report</title>')
        record.complete(verdict="PUSHED")
        window.wait_for("return document.title === 'the report'")
        assert window.console() == []


def test_it_says_why_it_cannot_start(ctrl, tmp_path):
    failed = ctrl("ui", "--root", tmp_path, check=False)
    assert failed.returncode == 2 and "holds no run's ML Metadata" in failed.stderr


def test_a_port_that_is_taken_is_told(ctrl, address, tmp_path):
    port = address[0].rstrip("/").rpartition(":")[2]
    failed = ctrl("ui", "--root", tmp_path / "root", "--port", port, check=False)
    assert failed.returncode == 2 and f"--port {port}: cannot listen on 127.0.0.1:{port}" in failed.stderr
