"""The store and the locks of a run on SQLite; servers are in tests/integration/test_metadata_servers.py."""

import sqlite3

import ml_metadata
import pytest
from ml_metadata.proto import metadata_store_pb2

from models.spec.errors import UserError
from pipeline.layout import RunLayout
from pipeline.metadata_check import open_store
from pipeline.recording import recording


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def layout_of(tmp_path, root="root", dataset="sample"):
    made = RunLayout(tmp_path / root / dataset)
    made.root.mkdir(parents=True, exist_ok=True)
    return made


def test_a_second_run_on_sqlite_is_told_what_to_do(tmp_path):
    layout = layout_of(tmp_path)
    with recording(layout, purpose="ctrl run") as (_, lock):
        lock.identify("2026-11-25T16:43:47.954")
        with pytest.raises(UserError) as error, recording(layout, purpose="ctrl refresh"):
            pass
        with recording(layout_of(tmp_path, dataset="other"), purpose="ctrl run"):
            pass
    for part in ("ctrl run 2026-11-25T16:43:47.954 (process ", "--wait", "--root", "--metadata mysql://"):
        assert part in str(error.value)


def test_roots_that_share_a_sqlite_file_take_turns(tmp_path):
    first, second = layout_of(tmp_path, "a"), layout_of(tmp_path, "b", "other")
    with recording(first, "sqlite:///runs.db", purpose="ctrl run"):
        with pytest.raises(UserError, match=r"runs.db.lock: is locked by ctrl run \("):
            with recording(second, "sqlite:///runs.db", purpose="ctrl run"):
                pass
    with recording(second, "sqlite:///runs.db", purpose="ctrl run") as (config, _):
        assert config.sqlite.filename_uri == str(tmp_path / "runs.db")


def test_a_named_file_is_remembered(tmp_path):
    layout = layout_of(tmp_path)
    open_store(f"sqlite:///{layout.metadata}", layout)
    assert not layout.metadata_uri.exists()
    other = layout_of(tmp_path, dataset="other")
    open_store("sqlite:///runs.db", other)
    assert open_store(None, other).sqlite.filename_uri == str(tmp_path / "runs.db")
    assert not other.metadata.exists()
    # From another folder too.
    assert other.metadata_uri.read_text() == f"sqlite:///{tmp_path}/runs.db\n"


def test_artifacts_belong_to_one_store(tmp_path):
    layout = layout_of(tmp_path)
    open_store(None, layout)
    with pytest.raises(UserError, match=f"recorded in sqlite:///{layout.metadata}; leave --metadata out, .* move"):
        open_store("sqlite:///runs.db", layout)
    layout.metadata.rename(tmp_path / "runs.db")
    open_store("sqlite:///runs.db", layout)
    with pytest.raises(UserError, match=f"recorded in sqlite:///{tmp_path}/runs.db; .* delete {layout.metadata_uri}"):
        open_store("sqlite:///other.db", layout)


def test_a_pipeline_has_one_root(tmp_path):
    """A result of another root, which this machine may not even see, would be used again."""
    first, second = layout_of(tmp_path, "a"), layout_of(tmp_path, "b")
    store = ml_metadata.MetadataStore(open_store("sqlite:///runs.db", first))
    context = metadata_store_pb2.Context(
        name="sample", type_id=store.put_context_type(metadata_store_pb2.ContextType(name="pipeline")))
    artifact = metadata_store_pb2.Artifact(
        uri=str(first.artifacts / "ExampleGen" / "examples" / "1"),
        type_id=store.put_artifact_type(metadata_store_pb2.ArtifactType(name="Examples")))
    (context.id,), (artifact.id,) = store.put_contexts([context]), store.put_artifacts([artifact])
    store.put_attributions_and_associations(
        [metadata_store_pb2.Attribution(artifact_id=artifact.id, context_id=context.id)], [])
    elsewhere = f"pipeline sample whose artifacts are not in {second.artifacts}, as {first.root}"
    with pytest.raises(UserError, match=elsewhere):
        open_store("sqlite:///runs.db", second)
    open_store("sqlite:///runs.db", first)
    open_store("sqlite:///runs.db", layout_of(tmp_path, "b", "other"))


@pytest.mark.parametrize(("uri", "message"), [
    ("sqlite:///no/runs.db", "its folder must exist"),
    ("sqlite:///root", "cannot be written"),
    ("sqlite:///notes.txt", "is no SQLite database"),
])
def test_a_file_that_cannot_be_a_store(tmp_path, uri, message):
    (tmp_path / "notes.txt").write_text("milk, bread, clicks")
    with pytest.raises(UserError, match=message):
        open_store(uri, layout_of(tmp_path))


@pytest.mark.parametrize(("version", "message"), [(4, "is older than library"), (99, "is greater than library")])
def test_tables_of_another_version(tmp_path, version, message):
    layout = layout_of(tmp_path)
    open_store(None, layout)
    with sqlite3.connect(layout.metadata) as database:
        database.execute(f"UPDATE MLMDEnv SET schema_version = {version}")
    database.close()
    with pytest.raises(UserError, match=f"{message}.*docs/metadata.md"):
        open_store(None, layout)
