import asyncio
import http.client
import json

import pytest
from ml_metadata import proto as mlmd_proto

from pipeline.report.server import RunServer, report_path
from pipeline.runs.run_stores import RunStores
from tests.unit.generated_store import GeneratedStore

GRAPH = {"ExampleGen": [], "Transform": ["ExampleGen"]}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    (root / "sample").mkdir()
    store = GeneratedStore(root / "sample" / "metadata.sqlite")
    store.complete("2026-01-01T10:00:00.000", graph=GRAPH, backbone="<b>dcn</b>")
    store.execution("sample", "2026-01-01T10:00:00.000", "ExampleGen")
    record = store.record("2026-01-02T10:00:00.000", dataset="sample", graph=GRAPH)
    record.__enter__()
    store.execution("sample", "2026-01-02T10:00:00.000", "ExampleGen")
    store.execution("sample", "2026-01-02T10:00:00.000", "Transform", state=mlmd_proto.Execution.RUNNING)
    with pytest.raises(ValueError), store.record(
            "2026-01-03T10:00:00.000", current="ExampleGen", dataset="sample", graph=GRAPH):
        raise ValueError("<script>no such file</script>")
    report = root / "sample" / "runs" / "2026-01-01T100000.000" / "report.html"
    report.parent.mkdir(parents=True)
    report.write_text("<p>the report</p>")
    (root / "sample" / "secret.txt").write_text("secret")
    return root


@pytest.fixture
def ask(root):
    """Asks a server for a path; returns status, headers and text."""
    loop = asyncio.new_event_loop()
    server = RunServer(lambda: RunStores.open(root, None), root)
    port = loop.run_until_complete(server.start(0))

    def get(path, host=None, method="GET"):
        def fetch():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.putrequest(method, path, skip_host=True)
            connection.putheader("Host", host or f"127.0.0.1:{port}")
            connection.endheaders()
            answer = connection.getresponse()
            found = answer.status, answer.headers, answer.read().decode()
            connection.close()
            return found

        return loop.run_until_complete(loop.run_in_executor(None, fetch))

    yield get
    loop.run_until_complete(server.stop())
    loop.close()


def test_all_runs_are_listed_newest_first(ask):
    status, headers, text = ask("/")
    assert status == 200 and headers["X-Content-Type-Options"] == "nosniff"
    rows = [text.index(f'data-run="2026-01-0{day}') for day in (3, 2, 1)]
    assert rows == sorted(rows)
    assert "&lt;b&gt;dcn&lt;/b&gt;" in text and "<b>dcn" not in text
    assert ask("/")[2].count("Pushed") == 1
    found = {run["id"][:10]: run for run in json.loads(ask("/api/runs")[2])}
    assert [found[f"2026-01-0{day}"]["state"] for day in (1, 2, 3)] == ["complete", "running", "failed"]
    assert found["2026-01-02"]["current"] == "Transform"


def test_a_run_under_way_shows_where_it_is(ask):
    text = ask("/runs/2026-01-02T10:00:00.000")[2]
    assert 'data-node="ExampleGen" data-state="complete"' in text
    assert 'data-node="Transform" data-state="running"' in text and "Under way" in text
    found = json.loads(ask("/api/runs/2026-01-02T10:00:00.000")[2])
    assert found["state"] == "running" and not found["has_report"]
    assert [(s["node"], s["word"]) for s in found["steps"]] == [("ExampleGen", "done"), ("Transform", "running")]


def test_a_failed_run_says_where_and_why(ask):
    text = ask("/runs/2026-01-03T10:00:00.000")[2]
    assert "&lt;script&gt;no such file" in text and "ctrl report 2026-01-03T10:00:00.000" in text


def test_a_report_is_served(ask):
    status, headers, _ = ask("/runs/2026-01-01T10:00:00.000")
    assert (status, headers["Location"]) == (302, "/runs/2026-01-01T10:00:00.000/report.html")
    status, headers, text = ask("/runs/2026-01-01T10:00:00.000/report.html")
    assert (status, text) == (200, "<p>the report</p>") and headers["Content-Type"] == "text/html; charset=utf-8"
    assert ask("/runs/2026-01-02T10:00:00.000/report.html")[0] == 404


@pytest.mark.parametrize("path", [
    "/nothing", "/runs/", "/runs/2026", "/runs/nobody", "/runs/../secret.txt", "/runs/..%2f..%2fsecret.txt",
    "/runs/..%2F..%2Fsecret.txt/report.html", "/runs/%2e%2e/report.html", "/runs/.%00/report.html",
    "/runs/2026-01-01T100000.000/report.html", "//etc/passwd", "/api/runs/%2fetc%2fpasswd"])
def test_other_paths_are_not_found(ask, path):
    status, headers, text = ask(path)
    assert status == 404 and "secret" not in text.replace("secret.txt", "")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(("host", "status"), [
    ("localhost:1", 200), ("localhost", 200), ("[::1]:99", 200), ("127.0.0.1", 200),
    ("evil.example:8080", 403), ("127.0.0.1.evil.example", 403), ("evil.example", 403)])
def test_only_this_machines_names_are_answered(ask, host, status):
    assert ask("/", host=host)[0] == status


def test_a_report_lies_below_the_root_wherever_the_store_is(root, tmp_path):
    store = RunStores.open(root, None).stores[0]
    run = store.get("2026-01-01T10:00:00.000")
    assert report_path(store, run, root) == root / "sample" / "runs" / "2026-01-01T100000.000" / "report.html"
    assert report_path(store, run, tmp_path) == tmp_path / "sample" / "runs" / "2026-01-01T100000.000" / "report.html"


def test_nothing_can_be_changed(ask):
    for method in ("POST", "PUT", "DELETE"):
        assert ask("/", method=method)[0] == 405
