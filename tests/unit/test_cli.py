"""The command: arguments, wiring of each sub-command, exit statuses."""

import pathlib
import subprocess
import sys
import types

import pytest

from models.spec.errors import UserError
from pipeline import cli, datasets, infer_spec, preview
from tests.unit.command_case import own_folder, push, spec_file  # noqa: F401 - a fixture of every test


@pytest.fixture
def fake_run(monkeypatch):
    """Stands in for `pipeline.run`, which imports TFX; `calls` holds what it got."""
    module = types.ModuleType("pipeline.run")
    module.calls = []
    module.run = lambda *arguments: module.calls.append(arguments)
    monkeypatch.setitem(sys.modules, "pipeline.run", module)
    monkeypatch.setattr("pipeline.run", module, raising=False)
    return module


def _raising(error):
    def raise_it(*_, **__):
        raise error

    return raise_it


@pytest.mark.parametrize("command", [[], ["run"], ["preview"], ["serve"], ["refresh"], ["predict"], ["rank"]])
def test_help_imports_nothing_heavy(command):
    code = (
        "import sys; from pipeline.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'tensorflow', 'tfx', 'keras', 'apache_beam', 'numpy', 'grpc', 'pandas'}\n"
        "print(sorted(heavy & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code, *command, "--help"], capture_output=True, text=True,
                          cwd=pathlib.Path(cli.__file__).parents[1])
    assert done.stdout.splitlines()[-1] == "[]" and done.stderr == ""


@pytest.mark.parametrize(("arguments", "message"), [
    ([], "required: COMMAND"),
    (["run"], "required: --dataset"),
    (["preview", "--dataset", "sample", "--limit", "-4"], "argument --limit: -4 is not at least 1"),
    (["preview", "--dataset", "sample", "--rows", "-1"], "argument --rows: -1 is not at least 1"),
    (["preview", "--dataset", "sample", "--rows", "x"], "argument --rows: invalid"),
    (["serve", "--port", "x"], "argument --port: invalid"),
])
def test_wrong_arguments_end_with_status_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_errors_become_statuses(monkeypatch, capsys):
    monkeypatch.setattr(datasets, "names", _raising(UserError("nothing there")))
    assert cli.main(["datasets"]) == 2
    assert capsys.readouterr().err == "ctrl datasets: nothing there\n"
    monkeypatch.setattr(datasets, "names", _raising(KeyboardInterrupt()))
    assert cli.main(["datasets"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    monkeypatch.setattr(datasets, "names", _raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["datasets"])


def test_a_closed_pipe_is_no_error():
    code = "import sys; from pipeline.cli import main; sys.exit(main(['datasets']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               cwd=pathlib.Path(cli.__file__).parents[1])
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == (b"", 0)
    process.stderr.close()


def test_datasets_lists_the_built_in_ones(capsys):
    assert cli.main(["datasets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == datasets.names()


def test_init_writes_what_it_is_told(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(infer_spec, "write_spec", lambda *a, **k: calls.append((a, k)) or "written")
    assert cli.main(["init", "log.csv", "-o", "my.yaml", "--force"]) == 0
    assert calls == [(("log.csv", "my.yaml"), {"force": True})]
    assert capsys.readouterr() == ("written\n", "")


def test_run_gets_specification_configuration_and_layout(fake_run, tmp_path):
    assert cli.main(["run", "--dataset", spec_file(), "--data-dir", "data", "--root", "here",
                     "--set", "embedding_dim=8", "--set", "seed=3",
                     "--metadata", "mysql://ctrl@db/mlmd", "--wait",
                     "--span", "2024-06-08"]) == 3  # the fake has pushed nothing
    ((spec, config, layout, data_dir, *recording),) = fake_run.calls
    assert recording == ["mysql://ctrl@db/mlmd", True, "2024-06-08"]
    assert (spec.name, config.embedding_dim, config.seed, data_dir) == ("books", 8, 3, "data")
    assert layout.root == tmp_path / "here" / "books"
    assert len(list(layout.logs.iterdir())) == 1


@pytest.mark.parametrize(("pushed", "status"), [(True, 0), (False, 3)])
def test_the_status_says_whether_a_model_was_pushed(fake_run, pushed, status):
    fake_run.run = lambda *_: pushed
    assert cli.main(["run", "--dataset", spec_file()]) == status


def test_a_smoke_run_is_kept_apart(fake_run, tmp_path):
    cli.main(["run", "--dataset", spec_file(), "--root", "here", "--smoke"])
    ((_, config, layout, *_),) = fake_run.calls
    assert layout.root == tmp_path / "here" / "books-smoke"
    assert config.training.epochs == 1


def test_a_user_error_in_a_run_is_told_on_the_terminal(fake_run, capfd):
    fake_run.run = _raising(UserError("Trainer: wrong"))
    assert cli.main(["run", "--dataset", spec_file()]) == 2
    assert capfd.readouterr() == ("", "ctrl run: Trainer: wrong\n")


@pytest.mark.parametrize(("error", "line"), [
    (ValueError("a\nlong story\nthe end\n"), "failed: ValueError: the end"),
    (ValueError(), "failed: ValueError"),
])
def test_a_failure_tells_its_last_line_and_where_the_details_are(fake_run, capfd, tmp_path, error, line):
    fake_run.run = _raising(error)
    assert cli.main(["run", "--dataset", spec_file()]) == 1
    (log,) = (tmp_path / "ctrl_root" / "books" / "logs").iterdir()
    assert capfd.readouterr() == (f"{line}\ndetails: {log}\n", "")
    assert "Traceback" in log.read_text()


@pytest.mark.parametrize("command", ["run", "preview"])
@pytest.mark.parametrize(("root", "message"), [
    ("file", "file: cannot be written: "),
    ("a[b]", "a[b]: has one of the characters * ? ["),
])
def test_a_root_that_is_of_no_use_is_refused(fake_run, capsys, tmp_path, command, root, message):
    (tmp_path / "file").write_text("")
    assert cli.main([command, "--dataset", "sample", "--root", root]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"ctrl {command}: --root ") and message in error
    assert not fake_run.calls


def test_preview_of_a_log_of_ones_own_writes_nothing(monkeypatch, capsys, tmp_path):
    calls = []
    monkeypatch.setattr(preview, "preview", lambda *a, **k: calls.append((a, k)))
    monkeypatch.setattr(preview, "render", lambda result: "shown")
    assert cli.main(["preview", "--dataset", spec_file(), "--data-dir", "data", "--rows", "2", "--limit", "9",
                     "--text-form", "values"]) == 0
    (((spec, data_dir), named),) = calls
    assert (spec.name, data_dir) == ("books", "data")
    assert named == {"rows": 2, "limit": 9, "cache_dir": str(tmp_path / "ctrl_root" / "books" / "data"),
                     "text_form": "values"}
    assert capsys.readouterr() == ("shown\n", "")
    assert not (tmp_path / "ctrl_root").exists()


def test_refresh_gets_the_served_model_the_catalogue_and_the_side(monkeypatch, tmp_path):
    served, calls = push(tmp_path / "ctrl_root"), []
    monkeypatch.setattr("pipeline.refresh.refresh", lambda *arguments: calls.append(arguments) or len(calls) == 1)
    assert cli.main(["refresh", "--dataset", "books", "--catalog", "items.csv"]) == 0
    assert cli.main(["refresh", "--catalog", "users.csv", "--side", "user"]) == 3
    assert calls == [(served, "items.csv", "item", None, False), (served, "users.csv", "user", None, False)]


def test_the_environment_names_the_store_too(fake_run, monkeypatch):
    monkeypatch.setenv("CTRL_METADATA", "mysql://ctrl@db/mlmd")
    cli.main(["run", "--dataset", spec_file()])
    cli.main(["run", "--dataset", spec_file(), "--metadata", "sqlite:///runs.db"])
    assert [call[4] for call in fake_run.calls] == ["mysql://ctrl@db/mlmd", "sqlite:///runs.db"]


def test_a_password_on_the_command_line_leaves_the_process_list():
    code = ("import sys; from pipeline import cli\n"
            "cli._run = lambda options: print(options.metadata, open('/proc/self/cmdline').read())\n"
            "sys.exit(cli.main(sys.argv[1:]))")
    arguments = ["run", "--dataset", "sample", "--metadata", "mysql://ctrl:s%40cret@db/mlmd"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True,
                          cwd=pathlib.Path(cli.__file__).parents[1])
    given, _, shown = done.stdout.partition(" ")
    assert given == arguments[-1]
    assert "mysql://ctrl:xxxxxxxx@db/mlmd" in shown and "s%40cret" not in shown


def test_refresh_refuses_a_catalogue_before_it_loads_anything(capfd, tmp_path):
    push(tmp_path / "ctrl_root")
    (tmp_path / "items.csv").write_text("title\nLamp\n", encoding="utf-8")
    assert cli.main(["refresh", "--catalog", "items.csv"]) == 2
    assert "ctrl refresh: dataset books: the side 'item' has no id" in capfd.readouterr().err
