"""Metadata on MariaDB and PostgreSQL: what can be wrong, and runs at the same time."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

import ml_metadata
import pytest
from ml_metadata.proto import metadata_store_pb2

from models.spec.errors import UserError
from pipeline import metadata_check
from pipeline.layout import RunLayout
from pipeline.metadata_check import open_store
from tests import database_servers
from tests.database_servers import PASSWORD
from tests.integration.conftest import Ctrl, components
from tests.integration.test_sample_run import CATALOGUE
from tests.unit.certificates import Authority

REPOSITORY = pathlib.Path(__file__).parents[2]
STATES = metadata_store_pb2.Execution


@pytest.fixture(scope="module", params=["mysql", "postgresql"])
def server(request):
    with database_servers.start(request.param) as started:
        yield started


@pytest.fixture
def uri(server, request):
    """That of a new, empty database."""
    name = f"mlmd{len(request.session.stash.setdefault(_DATABASES, []))}"
    request.session.stash[_DATABASES].append(name)
    server.create_database(name)
    return server.uri(name)


_DATABASES = pytest.StashKey[list]()


@pytest.fixture
def layout(tmp_path):
    made = RunLayout(tmp_path / "root" / "sample")
    made.root.mkdir(parents=True)
    return made


@pytest.fixture(autouse=True)
def password(monkeypatch, tmp_path):
    monkeypatch.setenv("CTRL_METADATA_PASSWORD", PASSWORD)
    monkeypatch.delenv("CTRL_METADATA_PASSWORD_FILE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def refused(uri, layout) -> str:
    with pytest.raises(UserError) as error:
        open_store(uri, layout)
    assert PASSWORD not in str(error.value) and error.value.__cause__ is None
    assert not layout.metadata_uri.exists()
    return str(error.value)


def test_a_store_is_created_and_remembered(uri, layout):
    config = open_store(uri, layout)
    ml_metadata.MetadataStore(config).put_artifact_type(metadata_store_pb2.ArtifactType(name="Toy"))
    # From now on without the argument.
    [kind] = ml_metadata.MetadataStore(open_store(None, layout)).get_artifact_types()
    assert kind.name == "Toy" and PASSWORD not in layout.metadata_uri.read_text()


@pytest.mark.parametrize("text", [
    r'{"spec": "{\"name\": \"café\"}"}', "C:\\logs\\", "\\", "'\\''; --", "plain 'quotes' and \n lines"])
def test_any_string_is_kept(uri, layout, text):
    store = ml_metadata.MetadataStore(open_store(uri, layout))
    kind = store.put_artifact_type(
        metadata_store_pb2.ArtifactType(name="Toy", properties={"said": metadata_store_pb2.STRING}))
    value = metadata_store_pb2.Value(string_value=text)
    nested = metadata_store_pb2.Value()
    nested.struct_value["said"] = [text]
    store.put_artifacts([metadata_store_pb2.Artifact(
        type_id=kind, uri=text, properties={"said": value}, custom_properties={"also": value, "nested": nested})])
    [found] = ml_metadata.MetadataStore(open_store(None, layout)).get_artifacts()
    assert found.uri == found.properties["said"].string_value == found.custom_properties["also"].string_value == text
    assert list(found.custom_properties["nested"].struct_value["said"]) == [text]
    assert len(store.get_artifacts_by_uri(text)) == 1


def test_what_is_asked_for_by_ids_comes_in_their_order(uri, layout):
    store = ml_metadata.MetadataStore(open_store(uri, layout))
    kind = store.put_artifact_type(metadata_store_pb2.ArtifactType(name="Toy"))
    ids = store.put_artifacts([metadata_store_pb2.Artifact(type_id=kind, uri=f"/{i}") for i in range(4)])
    # PostgreSQL returns updated rows last.
    store.put_artifacts([metadata_store_pb2.Artifact(id=ids[1], type_id=kind, uri="/new")])
    assert [a.uri for a in store.get_artifacts_by_id(ids)] == ["/0", "/new", "/2", "/3"]


def test_a_unix_socket(server, uri, layout):
    database = uri.rpartition("/")[2]
    option = "unix_socket" if server.scheme == "mysql" else "host"
    port = "" if server.scheme == "mysql" else f":{server.port}"
    config = open_store(f"{server.scheme}://ctrl@{port}/{database}?{option}={server.socket}", layout)
    assert ml_metadata.MetadataStore(config).get_artifact_types() == []


def test_tls(server, uri, layout, tmp_path):
    if server.certificate is None:
        assert "without TLS" in refused(f"{uri}?sslmode=require", layout)
        return
    encrypted = uri.replace("ctrl@", f"{database_servers.TLS_USER}@")
    config = open_store(f"{encrypted}?ssl_ca={server.certificate}", layout)
    assert ml_metadata.MetadataStore(config).get_artifact_types() == []
    layout.metadata_uri.unlink()
    other = Authority(tmp_path, "other").certificate
    assert "certificate verify failed" in refused(f"{encrypted}?ssl_ca={other}", layout)
    assert "Access denied" in refused(encrypted, layout)


def test_a_wrong_password(uri, layout, monkeypatch):
    monkeypatch.setenv("CTRL_METADATA_PASSWORD", "wrong")
    message = refused(uri, layout)
    assert ("Access denied" if "mysql" in uri else "password authentication failed") in message
    assert "CTRL_METADATA_PASSWORD_FILE" in message


def test_a_database_that_is_not_there(server, layout):
    message = refused(server.uri("absent"), layout)
    assert ("CREATE DATABASE `absent`" if server.scheme == "mysql" else "createdb -h 127.0.0.1") in message


def test_a_server_that_is_not_there(server, layout):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        message = refused(f"{server.scheme}://ctrl@127.0.0.1:{closed.getsockname()[1]}/mlmd", layout)
    assert "refused" in message and "server there" in message


def test_a_server_that_says_nothing(server, layout, monkeypatch):
    monkeypatch.setattr(metadata_check, "_PATIENCE", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        message = refused(f"{server.scheme}://ctrl@127.0.0.1:{silent.getsockname()[1]}/mlmd", layout)
    assert "timed out" in message


def test_a_server_of_the_other_kind(server, layout, monkeypatch):
    monkeypatch.setattr(metadata_check, "_PATIENCE", 1)
    other = {"mysql": "postgresql", "postgresql": "mysql"}[server.scheme]
    assert "server there" in refused(f"{other}://ctrl@127.0.0.1:{server.port}/mlmd", layout)


@pytest.mark.parametrize(("version", "message"), [(4, "is older than library"), (99, "is greater than library")])
def test_tables_of_another_version(server, uri, layout, version, message):
    open_store(uri, layout)
    layout.metadata_uri.unlink()
    database = uri.rpartition("/")[2]
    update = f"UPDATE MLMDEnv SET schema_version = {version}"
    if server.scheme == "mysql":
        server.sql(f"USE {database}; {update}")
    else:
        subprocess.run([*server.client[:-3], "-d", database, "-c", update], check=True, capture_output=True)
    assert message in refused(uri, layout)


def test_runs_at_once_do_the_same_work_once(uri, tmp_path):
    quoted = urllib.parse.quote(PASSWORD, safe="")
    first, second = outcomes(start(tmp_path, uri), start(tmp_path, uri.replace("ctrl@", f"ctrl:{quoted}@")))
    assert_recorded(tmp_path, first, second)
    # One waited for the other, component by component.
    for node in ("ExampleGen", "StatisticsGen"):
        assert {first["cached"][node], second["cached"][node]} == {True, False}
    assert len(examples(tmp_path)) == 1
    for secret in (PASSWORD.encode(), quoted.encode()):
        assert [p for p in tmp_path.rglob("*") if p.is_file() and secret in p.read_bytes()] == []


@pytest.mark.long
def test_runs_at_once_with_different_settings(uri, tmp_path):
    first, second = outcomes(start(tmp_path, uri), start(tmp_path, uri, "--set", "ingestion.max_rejected_share=0.02"))
    assert_recorded(tmp_path, first, second)
    assert not any(cached for outcome in (first, second) for cached in outcome["cached"].values())
    made = examples(tmp_path)
    assert len(made) == 2 and all(len(list(pathlib.Path(uri).glob("Split-*/*.gz"))) >= 3 for uri in made)


@pytest.mark.long
def test_a_killed_run_goes_on(uri, tmp_path):
    killed = start(tmp_path, uri)
    artifacts = tmp_path / "sample" / "artifacts" / "StatisticsGen"
    while not artifacts.exists():
        assert killed.poll() is None
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    # Its locks are gone with it, and what it had finished is used again.
    outcome, = outcomes(start(tmp_path, None))
    assert outcome["cached"] == {"ExampleGen": True, "StatisticsGen": False}


@pytest.mark.long
def test_the_whole_pipeline(uri, tmp_path):
    # With the password in its environment, which the shared one was made without.
    ctrl = Ctrl()
    arguments = ("run", "--dataset", "sample", "--smoke", "--root", tmp_path)
    first = ctrl(*arguments, "--metadata", uri)
    assert "verdict     PUSHED" in first.stdout and f"metadata    {uri.replace('ctrl@', '')}\n" in first.stdout
    again = components(ctrl(*arguments).stdout)
    assert len(again) > 10 and set(again.values()) == {"reused"}
    (tmp_path / "items.csv").write_text(CATALOGUE, encoding="utf-8")
    refreshed = ctrl("refresh", "--root", tmp_path, "--catalog", tmp_path / "items.csv").stdout
    assert "1 of item_id" in refreshed and "verdict     PUSHED" in refreshed
    assert not (tmp_path / "sample-smoke" / "metadata.sqlite").exists()


def assert_recorded(root, first, second) -> None:
    """Two runs are two contexts, each with its own executions, all of them ended well."""
    store = ml_metadata.MetadataStore(open_store(None, RunLayout(root / "sample")))
    assert first["run"] != second["run"]
    for outcome in (first, second):
        context = store.get_context_by_type_and_name("pipeline_run", outcome["run"])
        recorded = {e.id: e.last_known_state for e in store.get_executions_by_context(context.id)}
        assert recorded == {
            outcome["executions"][node]: STATES.CACHED if cached else STATES.COMPLETE
            for node, cached in outcome["cached"].items()}


def examples(root) -> set[str]:
    """Folders of the ingested examples that the store takes for complete."""
    store = ml_metadata.MetadataStore(open_store(None, RunLayout(root / "sample")))
    return {a.uri for a in store.get_artifacts_by_type("Examples") if a.state == metadata_store_pb2.Artifact.LIVE}


def start(root, uri, *arguments) -> subprocess.Popen:
    """Starts the first components of the sample pipeline."""
    command = [sys.executable, "-m", "tests.recorded_run", str(root), *(["--metadata", uri] if uri else []), *arguments]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            start_new_session=True)


def outcomes(*processes) -> list[dict]:
    """What processes print last, once all have ended."""
    found = [process.communicate(timeout=600) for process in processes]
    for process, (printed, errors) in zip(processes, found):
        assert process.returncode == 0, printed + errors
    return [json.loads(printed.splitlines()[-1]) for printed, _ in found]
