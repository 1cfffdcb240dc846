"""What `ctrl runs` and `ctrl lineage` tell, from MariaDB and PostgreSQL."""

import json
import pathlib

import pytest

from pipeline.cli import main
from pipeline.layout import RunLayout
from pipeline.metadata_uri import connection_config
from tests import database_servers
from tests.unit.generated_store import GeneratedStore


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_runs_and_lineage_on_a_server(scheme, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CTRL_METADATA_PASSWORD", database_servers.PASSWORD)
    with database_servers.start(scheme) as server:
        server.create_database("runs")
        uri = server.uri("runs")
        store = GeneratedStore(connection_config(uri, RunLayout(tmp_path)))
        models = [_run(store, tmp_path, number) for number in (1, 2, 3)]
        with pytest.raises(ZeroDivisionError), store.record("2026-04", "Trainer", dataset="books", command="run"):
            raise ZeroDivisionError("in \u00e4, \u732b or \U0001f600")

        def ctrl(*arguments):
            assert main([*arguments, "--metadata", uri, "--json"]) == 0
            return json.loads(capsys.readouterr().out)

        assert [r["id"] for r in ctrl("runs", "--since", "1d")] == ["2026-04", "2026-03", "2026-02", "2026-01"]
        (failed,) = ctrl("runs", "--state", "failed", "--dataset", "books")
        assert (failed["failed_component"], failed["rows"]) == ("Trainer", None)
        assert failed["error"].startswith("ZeroDivisionError: in \u00e4")
        shown = ctrl("runs", "show", "2026-02")
        assert (shown["auc"], shown["config"]) == (0.7, {"text": "x" * 9000})
        assert [c["node"] for c in shown["components"]] == ["Trainer", "Pusher"]
        assert ctrl("runs", "compare", "2026-01", "2026-03")["settings"] == {}
        lineage = ctrl("lineage", "200")
        assert [r["id"] for r in lineage["runs"]] == ["2026-02"] and len(lineage["artifacts"]) == 2
        removed = ctrl("runs", "gc", "--keep", "2", "--yes")["removed"]
        assert removed == [str(folder) for folder in models[:2]]
        assert [folder.is_dir() for folder in models] == [False, False, True]
        assert ctrl("runs", "gc", "--keep", "2", "--yes")["removable"] == []


def _run(store: GeneratedStore, folder: pathlib.Path, number: int) -> pathlib.Path:
    """A run that pushed version `<number>00`, which nobody serves; returns the folder of its model."""
    run = f"2026-0{number}"
    store.complete(run, "books", command="run", config={"text": "x" * 9000})
    trainer = store.execution("books", run, "Trainer", custom_config="null")
    model = folder / "artifacts" / "Trainer" / "model" / str(trainer)
    model.mkdir(parents=True)
    artifact = store.artifact("Model", model)
    store.output(trainer, "model", artifact)
    pushed = store.artifact("PushedModel", "", pushed=1, pushed_version=f"{number}00", pushed_destination="/nowhere")
    store.execution("books", run, "Pusher", inputs={"model": artifact}, outputs={"pushed_model": pushed})
    return model
