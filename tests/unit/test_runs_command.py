import json
import os
import pathlib
import subprocess
import sys
import types

import pytest

from pipeline.cli import main
from pipeline.run_lock import RunLock, held
from pipeline.runs import terminal
from pipeline.runs.run_record import command_line
from pipeline.runs.terminal import Column, clean, show, table
from pipeline.runs.units import duration, size
from tests.unit.generated_store import STATES, GeneratedStore
from tests.unit.multiplied_store import multiply

REPOSITORY = pathlib.Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path):
    """Two datasets, each with a store of its own."""
    for dataset, runs in (("books", ("1", "3")), ("films", ("2",))):
        (tmp_path / dataset).mkdir()
        store = GeneratedStore(tmp_path / dataset / "metadata.sqlite")
        for run in runs:
            store.complete(run, dataset, command="run", backbone="dcn", graph={"ExampleGen": [], "Pusher": []},
                           verdict="PUSHED" if run == "1" else "NOT PUSHED")
            examples = store.artifact("Examples", f"/{dataset}/ExampleGen/examples/{run}")
            store.execution(dataset, run, "ExampleGen", outputs={"examples": examples})
    return tmp_path


def ctrl(capsys, *arguments) -> str:
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def listed(capsys, *arguments) -> list[str]:
    return [run["id"] for run in json.loads(ctrl(capsys, "runs", *arguments, "--json"))]


def test_runs_of_all_datasets_below_the_root_newest_first(root, capsys):
    lines = ctrl(capsys, "runs", "--root", root).splitlines()
    assert lines[0].split()[:3] == ["RUN", "STARTED", "DATASET"]
    assert [line.split()[0] for line in lines[1:]] == ["2", "3", "1"]
    assert "dcn" in lines[1] and "0.7000" in lines[1] and lines[1].endswith("complete")


def test_filters(root, capsys):
    assert listed(capsys, "--root", root, "--dataset", "books") == ["3", "1"]
    assert listed(capsys, "--root", root, "--verdict", "not-pushed") == ["2", "3"]
    assert listed(capsys, "--root", root, "--limit", 1) == ["2"]
    assert listed(capsys, "--root", root, "--state", "failed") == []
    assert listed(capsys, "--root", root, "--since", "1d") == ["2", "3", "1"]
    assert listed(capsys, "--root", root, "--since", "2999-01-01") == []
    assert listed(capsys, "--metadata", f"sqlite:///{root}/films/metadata.sqlite") == ["2"]
    assert ctrl(capsys, "runs", "--root", root, "--state", "running") == "no run matches\n"
    assert "the newest 2; --limit N shows more" in ctrl(capsys, "runs", "--root", root, "--limit", 2)


def test_arguments_may_stand_before_or_behind_the_action(root, capsys):
    before = ctrl(capsys, "runs", "--root", root, "show", "2")
    assert before == ctrl(capsys, "runs", "show", "2", "--root", root)
    assert "Run 2 of films: complete, NOT PUSHED" in before
    assert "examples 1: ExampleGen/examples/2" in before and "URIs are below /films/" in before
    assert "Pusher      not reached" in before


def test_show_and_compare_as_json(root, capsys):
    shown = json.loads(ctrl(capsys, "runs", "show", "2", "--root", root, "--json"))
    assert (shown["id"], shown["state"], shown["auc"]) == ("2", "complete", 0.7)
    assert [c["node"] for c in shown["components"]] == ["ExampleGen"]
    assert shown["components"][0]["outputs"][0]["type"] == "Examples"
    compared = json.loads(ctrl(capsys, "runs", "compare", "1", "2", "--root", root, "--json"))
    assert compared["settings"]["dataset"] == ["books", "films"]
    assert compared["figures"]["student"][""]["auc"] == [0.7, 0.7]


@pytest.mark.parametrize(("arguments", "words"), [
    (("runs", "show", "9"), "there is no run '9'; the nearest are 3, 2, 1"),
    (("runs", "compare", "1"), "needs two runs or more"),
    (("runs", "--dataset", "music"), "holds no runs of music; there are runs of books, films"),
    (("runs", "gc"), "give --yes where nobody can be asked"),
    (("lineage", "77"), "nothing has been pushed yet"),
])
def test_errors_say_what_would_be_right(root, capsys, monkeypatch, arguments, words):
    monkeypatch.setattr(sys, "stdin", open(os.devnull))
    assert main([*arguments, "--root", str(root)]) == 2
    assert words in capsys.readouterr().err


def test_a_root_without_runs(tmp_path, capsys):
    assert main(["runs", "--root", str(tmp_path)]) == 2
    assert "holds no run's ML Metadata; run `ctrl run` first" in capsys.readouterr().err


def test_a_time_that_is_none(capsys):
    with pytest.raises(SystemExit):
        main(["runs", "--since", "yesterday"])
    assert "is no time; write 2026-03-01" in capsys.readouterr().err


def test_garbage_is_named_then_asked_about_then_removed(root, capsys, monkeypatch):
    store = GeneratedStore(root / "books" / "metadata.sqlite")
    number = store.execution("books", "1", "Trainer")
    folder = root / "books" / "artifacts" / "Trainer" / "model" / str(number)
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"0123456789")
    model = store.artifact("Model", folder)
    store.output(number, "model", model)
    dry = ctrl(capsys, "runs", "gc", "--root", root, "--keep", 1, "--dry-run")
    assert "to be removed: 1 folder of 1 run, 10 B" in dry and folder.is_dir()
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert "nothing was removed" in ctrl(capsys, "runs", "gc", "--root", root, "--keep", 1) and folder.is_dir()
    (root / "books" / "locks").mkdir()
    with held(RunLock(root / "books" / "locks" / "run", exclusive=True, purpose="ctrl run")):
        assert main(["runs", "gc", "--root", str(root), "--keep", "1", "--yes"]) == 2
        assert "is locked by ctrl run" in capsys.readouterr().err and folder.is_dir()
    done = json.loads(ctrl(capsys, "runs", "gc", "--root", root, "--keep", 1, "--yes", "--json"))
    assert done["removed"] == [str(folder)] and not folder.exists()
    assert "nothing is to be removed" in ctrl(capsys, "runs", "gc", "--root", root, "--keep", 1, "--yes")


def test_a_thousand_runs_are_listed_and_shown_within_two_seconds_without_tfx(root):
    """Of the processor's time: the machine of a test may be busy."""
    store = GeneratedStore(root / "books" / "metadata.sqlite")
    for number in range(15):
        artifact = store.artifact("Model", f"/books/Node{number}/model/1")
        store.execution("books", "3", f"Node{number}", outputs={"model": artifact}, state=STATES.COMPLETE)
    multiply(root / "books" / "metadata.sqlite", 500)
    script = (
        "import sys, time; from pipeline.cli import main; main(sys.argv[1:]); print(time.process_time())\n"
        "assert not {'tfx', 'tensorflow', 'apache_beam', 'pandas'} & set(sys.modules)")
    for arguments, lines in ((("runs",), 20), (("runs", "--limit", "2000"), 1003), (("runs", "show", "3-77"), 31)):
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments, "--root", str(root)], capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
        assert done.returncode == 0, done.stderr
        *shown, seconds = done.stdout.splitlines()
        assert len(shown) > lines and float(seconds) < 2


def test_a_narrow_terminal_is_given_the_columns_that_matter_most():
    columns = [Column("RUN"), Column("STARTED", rank=2), Column("DATASET", rank=1), Column("AUC", right=True)]
    rows = [["2026-04-01", "2026-04-01 12:00", "books", "0.7102"]]

    def titles(width):
        return [column.header for column in table(columns, rows, width).columns]

    assert titles(80) == ["RUN", "STARTED", "DATASET", "AUC"]
    assert titles(40) == ["RUN", "DATASET", "AUC"]
    assert titles(10) == ["RUN", "AUC"]


def test_colours_are_for_terminals_that_want_them(capsys, monkeypatch):
    text = terminal.coloured("failed")
    show(text)
    assert capsys.readouterr().out == "failed\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    show(text)
    assert capsys.readouterr().out == "\x1b[31mfailed\x1b[0m\n"
    monkeypatch.setenv("NO_COLOR", "1")
    show(text)
    assert "\x1b[31m" not in capsys.readouterr().out


def test_text_from_data_cannot_steer_the_terminal():
    assert clean("a\x1b[31mb\nc") == "a\ufffd[31mb\nc"


def test_spans_and_sizes():
    assert [duration(s) for s in (None, 0.04, 75, 7320)] == ["", "0.0 s", "1 min 15 s", "2 h 2 min"]
    assert [size(n) for n in (0, 999, 1_250_000, 3_000_000_000_000_000)] == ["0 B", "999 B", "1.2 MB", "3,000.0 TB"]


def test_the_recorded_command_holds_no_password():
    assert command_line(["run", "--metadata", "mysql://ctrl:secret@db/runs", "--set", "seed=1"]) == (
        "ctrl run --metadata 'mysql://ctrl:***@db/runs' --set seed=1")
    assert "secret" not in command_line(["run", "--metadata=postgresql://u@h/d?sslpassword=secret&sslmode=require"])
