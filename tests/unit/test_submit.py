import http.server
import json
import sys
import threading
import types
import urllib.parse

import pytest
import yaml

from pipeline.cli import main
from pipeline.submission import Submission

LOG = "who,clicked\na,1\n"


def document(log="log-*.csv") -> dict:
    """A compiled pipeline of one step, as `ctrl compile` writes it."""
    parameters = {
        "files": {"parameterType": "STRING", "defaultValue": str(log), "isOptional": True},
        "fingerprint": {"parameterType": "STRING", "defaultValue": "old", "isOptional": True},
        "max_drift": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.3, "isOptional": True}}
    return {
        "pipelineInfo": {"name": "toy"}, "schemaVersion": "2.1.0", "defaultPipelineRoot": "gs://bucket/toy/artifacts",
        "deploymentSpec": {"executors": {"one": {"container": {"image": "i", "command": ["true"]}}}},
        "components": {"One": {"executorLabel": "one"}},
        "root": {"inputDefinitions": {"parameters": parameters}, "dag": {"tasks": {"One": {
            "componentRef": {"name": "One"}, "taskInfo": {"name": "One"}, "cachingOptions": {"enableCache": True}}}}}}


@pytest.fixture
def file(tmp_path):
    (tmp_path / "log-1.csv").write_text(LOG)
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(document(tmp_path / "log-*.csv")))
    return path


class Kubeflow(http.server.BaseHTTPRequestHandler):
    """As much of the API of Kubeflow Pipelines as a submission asks."""

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path.removeprefix("/apis/v2beta1/")
        state = self.server.state
        if "GET" in state["refuse"] and path == "healthz":
            self._answer(state["refuse"]["GET"], {})
        elif path == "healthz":
            self._answer(200, {"multi_user": state["multi_user"]})
        elif path.endswith("/versions"):
            self._answer(200, {"pipeline_versions": [{"pipeline_id": "p", "pipeline_version_id": "first"}]})
        else:
            key = "recurringRuns" if path == "recurringruns" else path
            self._answer(200, {key: state[path]} if state[path] else {})

    def do_POST(self):
        url = urllib.parse.urlsplit(self.path)
        path = url.path.removeprefix("/apis/v2beta1/")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((path, dict(urllib.parse.parse_qsl(url.query)), body.decode()))
        if path in self.server.state["refuse"]:
            self._answer(self.server.state["refuse"][path], {"error_message": "the specification is too large"})
        else:
            self._answer(200, {
                "pipelines/upload": {"pipeline_id": "p"},
                "pipelines/upload_version": {"pipeline_id": "p", "pipeline_version_id": "next"},
                "experiments": {"experiment_id": "e"}, "runs": {"run_id": "r"},
                "recurringruns": {"recurring_run_id": "c"}}[path])

    def do_DELETE(self):
        self.server.calls.append((f"DELETE {self.path.rpartition('/')[2]}", {}, ""))
        self._answer(200, {})

    def _answer(self, status, values):
        body = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Kubeflow) as started:
        started.calls, started.state = [], {
            "pipelines": [], "experiments": [], "recurringruns": [], "refuse": {}, "multi_user": False}
        started.url = f"http://127.0.0.1:{started.server_port}"
        thread = threading.Thread(target=started.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield started
        started.shutdown()
        thread.join()


def submit(file, server, *arguments):
    return main(["submit", str(file), "--host", server.url, *arguments])


def uploaded(body: str) -> dict:
    """The specification in the body of an upload."""
    return yaml.safe_load(body.split("\r\n\r\n", 1)[1].split("\r\n--")[0])


def test_a_first_submission_makes_the_pipeline_and_runs_it(file, server, capsys):
    assert submit(file, server, "--param", "max_drift=0.5") == 0
    assert capsys.readouterr().out == f"{server.url}/#/runs/details/r\n"
    upload, _, run = server.calls
    assert upload[:2] == ("pipelines/upload", {"name": "toy"})
    assert uploaded(upload[2]) == yaml.safe_load(file.read_text())
    body = json.loads(run[2])
    assert body["pipeline_version_reference"] == {"pipeline_id": "p", "pipeline_version_id": "first"}
    assert body["runtime_config"]["parameters"]["max_drift"] == 0.5
    assert len(body["runtime_config"]["parameters"]["fingerprint"]) == 64


def test_a_later_one_makes_a_new_version(file, server, capsys):
    server.state["pipelines"] = [{"pipeline_id": "p", "display_name": "toy"}]
    server.state["experiments"] = [{"experiment_id": "old"}]
    assert submit(file, server, "--no-cache") == 0
    (upload, query, package), run = server.calls
    assert upload == "pipelines/upload_version" and query["pipelineid"] == "p"
    assert "cachingOptions" not in uploaded(package)["root"]["dag"]["tasks"]["One"]
    assert json.loads(run[2])["pipeline_version_reference"]["pipeline_version_id"] == "next"
    assert json.loads(run[2])["experiment_id"] == "old"


def test_a_daily_run_takes_the_place_of_the_one_before(file, server, capsys):
    server.state["recurringruns"] = [
        {"recurring_run_id": "before", "display_name": "toy"}, {"recurring_run_id": "other", "display_name": "x"},
        {"recurring_run_id": "c", "display_name": "toy"}]
    assert submit(file, server, "--daily") == 0
    assert capsys.readouterr().out == f"{server.url}/#/recurringrun/details/c\n"
    body = json.loads(next(b for path, _, b in server.calls if path == "recurringruns"))
    assert body["trigger"]["cron_schedule"]["cron"] == "0 0 2 * * *"
    assert (body["max_concurrency"], body["no_catchup"]) == (1, True)
    assert [path for path, *_ in server.calls if path.startswith("DELETE")] == ["DELETE before"]
    # What its patterns match changes from day to day, so nothing comes from a cache.
    assert "cachingOptions" not in uploaded(server.calls[0][2])["root"]["dag"]["tasks"]["One"]


@pytest.mark.parametrize(("refuse", "message"), [
    ({"pipelines/upload": 400}, "refused (HTTP 400): the specification is too large"),
    ({"runs": 403}, "refused (HTTP 403): the specification is too large"),
    ({"GET": 401}, "asks who is there (HTTP 401); give --token-file"),
    ({"GET": 404}, "is no API of Kubeflow Pipelines 2: /apis/v2beta1/healthz answers HTTP 404"),
])
def test_what_the_server_refuses_is_told(file, server, capsys, refuse, message):
    server.state["refuse"] = refuse
    assert submit(file, server) == 2
    captured = capsys.readouterr()
    assert captured.err == f"ctrl submit: --host {server.url}: {message}\n" and captured.out == ""


def test_whose_run_it_is_has_to_be_said_where_there_are_several_users(file, server, capsys):
    server.state["multi_user"] = True
    assert submit(file, server) == 2
    assert "serves several users; say with --namespace whose run it is" in capsys.readouterr().err


def test_a_host_that_is_not_there(file, server, capsys):
    server.shutdown()
    server.server_close()
    assert submit(file, server) == 2
    assert f"--host {server.url}: cannot be reached: Connection refused" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "say where it runs: --host URL"),
    (["--vertex"], "--vertex needs --project and --region"),
    (["--host", "http://h", "--param", "max_drif=1"], "max_drif: is no parameter of the pipeline; did you mean max_dr"),
    (["--host", "http://h", "--param", "max_drift=much"], "--param max_drift=much: must be a number"),
    (["--host", "http://h", "--param", "max_drift"], "--param max_drift: is not NAME=VALUE"),
    (["--host", "http://h", "--cron", "0 0 2 * * *"], "--cron 0 0 2 * * *: must have five fields"),
    (["--host", "http://h", "--token-file", "nosuch"], "--token-file nosuch: cannot be read"),
])
def test_wrong_arguments(file, capsys, arguments, message):
    assert main(["submit", str(file), *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("text", "message"), [
    (None, "there is no such file; `ctrl compile` writes one"),
    ("a: b", "is not what `ctrl compile` writes: it holds no pipeline specification"),
    ("", "is not what `ctrl compile` writes"),
    ("{", "is not what `ctrl compile` writes"),
])
def test_a_file_that_is_no_pipeline(tmp_path, capsys, text, message):
    path = tmp_path / "pipeline.yaml"
    if text is not None:
        path.write_text(text)
    assert main(["submit", str(path), "--host", "http://h"]) == 2
    assert f"{path}: {message}" in capsys.readouterr().err


def test_a_log_that_cannot_be_seen_from_here_is_read_anew(file):
    file.write_text(yaml.safe_dump(document("/nosuch/*.csv")))
    first, second = (Submission.read(file).parameters["fingerprint"] for _ in range(2))
    assert first != second


@pytest.fixture
def vertex(monkeypatch):
    """A stand-in for google.cloud.aiplatform that keeps what it is called with."""
    from google.cloud import aiplatform

    called = types.SimpleNamespace(error=None)

    class PipelineJob:
        def __init__(self, **arguments):
            called.job = arguments
            called.template = yaml.safe_load(open(arguments["template_path"]))

        def submit(self, **arguments):
            if called.error:
                raise called.error
            called.submit = arguments

        def create_schedule(self, **arguments):
            called.schedule = arguments
            return types.SimpleNamespace(name="42")

        def _dashboard_uri(self):
            return "https://console/run"

    monkeypatch.setattr(aiplatform, "PipelineJob", PipelineJob)
    return called


VERTEX = ["--vertex", "--project", "shop", "--region", "europe-west4"]


def test_vertex_runs_the_same_file(file, vertex, capsys):
    assert main(["submit", str(file), *VERTEX, "--param", "max_drift=0.5", "--service-account", "a@b"]) == 0
    assert capsys.readouterr().out == "https://console/run\n"
    assert vertex.template == yaml.safe_load(file.read_text())
    assert (vertex.job["project"], vertex.job["location"]) == ("shop", "europe-west4")
    assert vertex.job["parameter_values"]["max_drift"] == 0.5 and vertex.submit == {"service_account": "a@b"}


def test_vertex_runs_it_every_day(file, vertex, capsys):
    assert main(["submit", str(file), *VERTEX, "--daily"]) == 0
    assert vertex.schedule["cron"] == "0 2 * * *" and vertex.schedule["max_concurrent_run_count"] == 1
    assert "/locations/europe-west4/schedules/42?project=shop" in capsys.readouterr().out


def test_vertex_refuses(file, vertex, capsys):
    from google.api_core.exceptions import PermissionDenied
    from google.auth.exceptions import DefaultCredentialsError

    for error, message in ((PermissionDenied("no access"), "refused: 403 no access"),
                           (DefaultCredentialsError("none"), "nobody is signed in to Google Cloud (none); run ")):
        vertex.error = error
        assert main(["submit", str(file), *VERTEX]) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(("change", "message"), [
    ({"defaultPipelineRoot": "/mnt/shared"}, "writes to /mnt/shared; Vertex AI needs a --pipeline-root in Cloud"),
    (None, "asks for settings of Kubernetes"),
])
def test_vertex_does_not_take_every_pipeline(file, vertex, capsys, change, message):
    documents = [document() | (change or {}), *([] if change else [{"platforms": {"kubernetes": {}}}])]
    file.write_text(yaml.safe_dump_all(documents))
    assert main(["submit", str(file), *VERTEX]) == 2
    assert message in capsys.readouterr().err


def test_a_client_that_is_not_installed(file, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "google.cloud.aiplatform", None)
    monkeypatch.delattr("google.cloud.aiplatform", raising=False)
    assert main(["submit", str(file), *VERTEX]) == 2
    assert "pip install 'ctrl-tfx[kfp]'" in capsys.readouterr().err
