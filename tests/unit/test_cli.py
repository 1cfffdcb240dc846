"""The command: arguments, wiring of each sub-command, exit statuses."""

import contextlib
import os
import pathlib
import subprocess
import sys
import types

import pytest

import serving.client
from models.spec.errors import UserError
from pipeline import cli, datasets, infer_spec, preview, serve_command
from pipeline.layout import SERVED_SPEC
from serving import file_requests, stock_server
from serving.batcher import Batching
from serving.model_config import ModelConfig
from serving.server_options import ServerOptions
from serving.version_policy import VersionPolicy
from tests.unit import served_model
from tests.unit.certificates import Authority
from tests.unit.stub_server import StubServer


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    # The default root is relative; and the command sets variables for its own process.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.delenv("CTRL_METADATA", raising=False)


@pytest.fixture
def fake_run(monkeypatch):
    """Stands in for `pipeline.run`, which imports TFX; `calls` holds what it got."""
    module = types.ModuleType("pipeline.run")
    module.calls = []
    module.run = lambda *arguments: module.calls.append(arguments)
    monkeypatch.setitem(sys.modules, "pipeline.run", module)
    monkeypatch.setattr("pipeline.run", module, raising=False)
    return module


@pytest.fixture
def fake_serve(monkeypatch):
    """Stands in for `serving.serve`, which imports TensorFlow; `calls` holds models, options and port file."""
    module = types.ModuleType("serving.serve")
    module.calls = []
    module.serve = lambda models, options, port_file: module.calls.append((models, options, port_file))
    monkeypatch.setitem(sys.modules, "serving.serve", module)
    monkeypatch.setattr("serving.serve", module, raising=False)
    # No stock server takes its place.
    monkeypatch.setattr(serve_command.shutil, "which", lambda program: None)
    return module


@pytest.fixture
def asked(monkeypatch):
    """What the client was made with and what `predict_file` and `rank_file` were asked; they answer one row."""
    calls = []

    def answer(client, *arguments):
        target, model, options = client
        calls.append((target, *arguments, model, {key: value for key, value in options.items() if value is not None}))
        return [({"age": "3"}, 0.25)]

    monkeypatch.setattr(
        serving.client, "PredictClient",
        lambda target, model, **options: contextlib.nullcontext((target, model, options)))
    monkeypatch.setattr(file_requests, "predict_file", answer)
    monkeypatch.setattr(file_requests, "rank_file", answer)
    return calls


def _push(root, dataset="books", model="ctr"):
    path = root / dataset / "serving" / model / "1" / SERVED_SPEC
    path.parent.mkdir(parents=True)
    path.write_text(served_model.SPEC.to_json(), encoding="utf-8")
    return path.parents[2]


def _spec_file(name="books"):
    path = pathlib.Path("my.yaml")
    path.write_text(f"name: {name}\nsource: {{format: csv, path: log.csv}}\nlabel: {{column: clicked}}\n"
                    "features: [{name: age, side: user, kind: numeric}]\n", encoding="utf-8")
    return str(path)


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
    assert cli.main(["run", "--dataset", _spec_file(), "--data-dir", "data", "--root", "here",
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
    assert cli.main(["run", "--dataset", _spec_file()]) == status


def test_a_smoke_run_is_kept_apart(fake_run, tmp_path):
    cli.main(["run", "--dataset", _spec_file(), "--root", "here", "--smoke"])
    ((_, config, layout, *_),) = fake_run.calls
    assert layout.root == tmp_path / "here" / "books-smoke"
    assert config.training.epochs == 1


def test_a_user_error_in_a_run_is_told_on_the_terminal(fake_run, capfd):
    fake_run.run = _raising(UserError("Trainer: wrong"))
    assert cli.main(["run", "--dataset", _spec_file()]) == 2
    assert capfd.readouterr() == ("", "ctrl run: Trainer: wrong\n")


@pytest.mark.parametrize(("error", "line"), [
    (ValueError("a\nlong story\nthe end\n"), "failed: ValueError: the end"),
    (ValueError(), "failed: ValueError"),
])
def test_a_failure_tells_its_last_line_and_where_the_details_are(fake_run, capfd, tmp_path, error, line):
    fake_run.run = _raising(error)
    assert cli.main(["run", "--dataset", _spec_file()]) == 1
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
    assert cli.main(["preview", "--dataset", _spec_file(), "--data-dir", "data", "--rows", "2", "--limit", "9",
                     "--text-form", "values"]) == 0
    (((spec, data_dir), named),) = calls
    assert (spec.name, data_dir) == ("books", "data")
    assert named == {"rows": 2, "limit": 9, "cache_dir": str(tmp_path / "ctrl_root" / "books" / "data"),
                     "text_form": "values"}
    assert capsys.readouterr() == ("shown\n", "")
    assert not (tmp_path / "ctrl_root").exists()


def test_serve_takes_the_model_of_a_name_or_of_a_specification(fake_serve, tmp_path):
    served = _push(tmp_path / "ctrl_root")
    wide = _push(tmp_path / "ctrl_root", "films", "wide")
    assert cli.main(["serve", "--dataset", "books", "--host", "0.0.0.0", "--port", "1", "--port-file", "p"]) == 0
    assert fake_serve.calls.pop() == (
        [ModelConfig("ctr", "ctrl_root/books/serving/ctr")], ServerOptions(host="0.0.0.0", port=1), "p")
    assert cli.main(["serve", "--dataset", _spec_file(), "--root", str(tmp_path / "ctrl_root")]) == 0
    assert fake_serve.calls.pop()[0] == [ModelConfig("ctr", str(served))]
    assert cli.main(["serve", "--model", "wide", "--root", str(tmp_path / "ctrl_root")]) == 0
    assert fake_serve.calls.pop()[0] == [ModelConfig("wide", str(wide))]


def test_serve_passes_on_versions_labels_and_bounds(fake_serve, tmp_path):
    _push(tmp_path / "ctrl_root")
    assert cli.main(["serve", "--versions", "latest:2", "--label", "stable=3", "--label", "canary=4",
                     "--rest-port", "0", "--running", "3", "--waiting", "0", "--max-request-mb", "2",
                     "--batch-rows", "64", "--batch-wait-ms", "2", "--intra-op-threads", "0"]) == 0
    ((models, options, _),) = fake_serve.calls
    assert models == [ModelConfig("ctr", "ctrl_root/books/serving/ctr", VersionPolicy(latest=2),
                                  {"stable": 3, "canary": 4})]
    assert options == ServerOptions(rest_port=0, running=3, waiting=0, max_message_bytes=2 << 20,
                                    batching=Batching(64, 0.002), intra_op_threads=0)


def test_serve_takes_the_models_of_a_file(fake_serve, tmp_path):
    (tmp_path / "models.config").write_text(
        'model_config_list { config { name: "a" base_path: "/m/a" } config { name: "b" base_path: "/m/b" } }',
        encoding="utf-8")
    assert cli.main(["serve", "--model-config", "models.config"]) == 0
    assert fake_serve.calls.pop()[0] == [ModelConfig("a", "/m/a"), ModelConfig("b", "/m/b")]


@pytest.mark.parametrize(("arguments", "message"), [
    (["--tls-cert", "c.pem"], "--tls-cert and --tls-key belong together"),
    (["--tls-client-ca", "ca.pem"], "--tls-client-ca needs them"),
    (["--tls-cert", "c.pem", "--tls-key", "k.pem"], "c.pem: cannot be read: No such file"),
    (["--label", "stable"], "--label stable: must be NAME=VERSION"),
    (["--label", "=3"], "--label =3: must be NAME=VERSION"),
    (["--versions", "newest"], "version policy 'newest': must be latest"),
    (["--model-config", "models.config", "--label", "a=1"], "leave them out"),
    (["--model-config", "models.config"], "models.config: cannot be read: No such file"),
    (["--rest-port", "70000"], "REST port 70000: is not between 0 and 65535"),
    (["--batch-rows", "-1"], "batch rows -1: must be 0 or more"),
    (["--intra-op-threads", "-1"], "intra-op threads -1: must be 0 or more"),
    (["--waiting", "-1"], "waiting -1: must be 0 or more"),
    (["--server", "stock"], "there is no program 'tensorflow_model_server' on the PATH"),
    (["--server", "docker"], "there is no program 'docker' on the PATH"),
])
def test_what_serve_cannot_do_is_a_users_error(fake_serve, tmp_path, capsys, arguments, message):
    _push(tmp_path / "ctrl_root")
    assert cli.main(["serve", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not fake_serve.calls


@pytest.fixture
def stock(fake_serve, monkeypatch, tmp_path):
    """What `serve_stock` got; its programs are on the PATH, and a model is pushed."""
    _push(tmp_path / "ctrl_root")
    calls = []
    monkeypatch.setattr(serve_command.shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(stock_server, "serve_stock", lambda *given, **named: calls.append((given, named)))
    return calls


def test_serve_prefers_the_stock_server_where_there_is_one(fake_serve, stock):
    assert cli.main(["serve", "--port-file", "p"]) == 0
    assert cli.main(["serve", "--server", "docker"]) == 0
    assert [named for _, named in stock] == [
        {"image": None, "port_file": "p"}, {"image": "tensorflow/serving:2.16.1", "port_file": None}]
    assert cli.main(["serve", "--server", "embedded"]) == 0
    assert len(fake_serve.calls) == 1


_OF_EMBEDDED_ONLY = [
    (["--running", "1"], "it has no --running."),
    (["--waiting", "64", "--max-request-mb", "16"], "it has no --waiting, --max-request-mb."),
    (["--batch-rows", "0", "--batch-wait-ms", "0"], "it has no --batch-rows, --batch-wait-ms."),
    (["--tls-cert", "c.pem", "--tls-key", "k.pem", "--rest-port", "0"], "--tls-cert with --rest-port: its REST API "),
]


@pytest.mark.parametrize(("arguments", "message"), _OF_EMBEDDED_ONLY)
@pytest.mark.parametrize("server", ["stock", "docker"])
def test_what_a_stock_server_would_drop_is_refused(stock, capsys, server, arguments, message):
    assert cli.main(["serve", "--server", server, *arguments]) == 2
    error = capsys.readouterr().err
    assert f"--server {server}: TensorFlow Serving cannot do what is asked for: {message}" in error
    assert "`--server embedded` can" in error
    assert not stock


def test_the_embedded_server_stands_in_where_stock_would_drop_something(fake_serve, stock, tmp_path):
    certificate, key = Authority(tmp_path).issue("me")
    for arguments, _ in _OF_EMBEDDED_ONLY:
        files = {"c.pem": certificate, "k.pem": key}
        assert cli.main(["serve", *(files.get(argument, argument) for argument in arguments)]) == 0
    assert cli.main(["serve", "--host", "127.0.0.1"]) == 0
    assert len(fake_serve.calls) == 5 and not stock


def test_a_stock_server_has_no_choice_of_address_but_docker_has(stock, capsys):
    assert cli.main(["serve", "--server", "stock", "--host", "127.0.0.1"]) == 2
    assert "--host 127.0.0.1: it listens on all addresses of this machine (--host 0.0.0.0)" in capsys.readouterr().err
    assert cli.main(["serve", "--server", "docker", "--host", "10.0.0.7"]) == 0
    assert cli.main(["serve", "--host", "0.0.0.0"]) == 0
    assert [options.host for (_, options), _ in stock] == ["10.0.0.7", "0.0.0.0"]


def test_refresh_gets_the_served_model_the_catalogue_and_the_side(monkeypatch, tmp_path):
    served, calls = _push(tmp_path / "ctrl_root"), []
    monkeypatch.setattr("pipeline.refresh.refresh", lambda *arguments: calls.append(arguments) or len(calls) == 1)
    assert cli.main(["refresh", "--dataset", "books", "--catalog", "items.csv"]) == 0
    assert cli.main(["refresh", "--catalog", "users.csv", "--side", "user"]) == 3
    assert calls == [(served, "items.csv", "item", None, False), (served, "users.csv", "user", None, False)]


def test_the_environment_names_the_store_too(fake_run, monkeypatch):
    monkeypatch.setenv("CTRL_METADATA", "mysql://ctrl@db/mlmd")
    cli.main(["run", "--dataset", _spec_file()])
    cli.main(["run", "--dataset", _spec_file(), "--metadata", "sqlite:///runs.db"])
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
    _push(tmp_path / "ctrl_root")
    (tmp_path / "items.csv").write_text("title\nLamp\n", encoding="utf-8")
    assert cli.main(["refresh", "--catalog", "items.csv"]) == 2
    assert "ctrl refresh: dataset books: the side 'item' has no id" in capfd.readouterr().err


def test_serve_without_a_model_is_a_users_error(fake_serve, capsys):
    assert cli.main(["serve"]) == 2
    assert capsys.readouterr().err.startswith("ctrl serve: ctrl_root: holds no pushed model; run `ctrl run` first")
    assert not fake_serve.calls


def test_predict_reads_rows_by_a_given_specification(asked, capsys):
    assert cli.main(["predict", "--target", "h:1", "--input", "r.csv", "--dataset", _spec_file(),
                     "--format", "csv"]) == 0
    ((target, path, spec, model, options),) = asked
    assert (target, path, model, options) == ("h:1", "r.csv", "ctr", {"timeout": 10.0})
    assert [f.name for f in spec.features] == ["age"]
    assert capsys.readouterr() == ("age,probability\n3,0.250000\n", "")
    assert cli.main(["predict", "--target", "h:1", "--input", "r.csv", "--dataset", "sample", "--model", "wide"]) == 0
    assert (asked[1][2].name, asked[1][3]) == ("sample", "wide")


def test_rank_asks_for_a_user_s_best_items(asked, capsys):
    arguments = ["rank", "--target", "h:1", "--items", "i.csv", "--dataset", "sample", "--format", "csv", "--user"]
    assert cli.main([*arguments, "user_id=7", "city=a=b", "--k", "3"]) == 0
    ((target, user, path, spec, k, model, options),) = asked
    assert (target, path, spec.name, model, k, options) == ("h:1", "i.csv", "sample", "ctr", 3, {"timeout": 10.0})
    assert user == {"user_id": "7", "city": "a=b"}
    assert capsys.readouterr().out == "age,probability\n3,0.250000\n"
    assert cli.main([*arguments, "user_id"]) == 2
    assert "ctrl rank: --user user_id: must be COLUMN=VALUE, as user_id=7" in capsys.readouterr().err
    assert cli.main([*arguments, "user_id=7", "--user", "city=a", "age=3", "--user", "user_id=7"]) == 0
    assert asked[1][1] == {"user_id": "7", "city": "a", "age": "3"}
    assert cli.main([*arguments, "user_id=7", "--user", "user_id=8"]) == 2
    assert "ctrl rank: --user user_id=8: the column has the value 7 already" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["predict", "--input", "r.csv"], ["rank", "--items", "i.csv"]])
def test_predict_and_rank_choose_a_version_a_time_limit_and_tls(asked, capsys, tmp_path, command):
    certificate, key = (authority := Authority(tmp_path)).issue("me")
    arguments = [*command, "--target", "h:1", "--dataset", "sample"]
    for more, options in ((["--version", "3"], {"version": 3}), (["--label", "canary"], {"version_label": "canary"}),
                          (["--timeout", "0.5"], {"timeout": 0.5})):
        assert cli.main([*arguments, *more]) == 0
        assert asked.pop()[-1] == {"timeout": 10.0, **options}
    for more in (["--version", "3", "--label", "canary"], ["--timeout", "0"]):
        with pytest.raises(SystemExit):
            cli.main([*arguments, *more])
    files = ["--ca", authority.certificate, "--cert", certificate, "--key", key, "--server-name", "ctr.org"]
    assert cli.main([*arguments, *files]) == 0
    tls = asked.pop()[-1]["tls"]
    assert (tls.ca, tls.certificate, tls.server_name) == (authority.certificate, certificate, "ctr.org")
    for more in (["--tls"], ["--server-name", "ctr.org"]):
        assert cli.main([*arguments, *more]) == 0
        assert asked.pop()[-1]["tls"].ca is None
    capsys.readouterr()
    assert cli.main([*arguments, "--ca", "absent.pem"]) == 2
    assert f"ctrl {command[0]}: absent.pem: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["predict", "--input"], ["rank", "--user", "user_id=u1", "--k", "1", "--items"]])
def test_predict_and_rank_import_nothing_heavy(command, tmp_path):
    rows = tmp_path / "rows.csv"
    rows.write_text("item_id,category\ni1,lamp\ni2,book\n", encoding="utf-8")
    code = (
        "import sys; from pipeline.cli import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "print(sorted({'tensorflow', 'tfx', 'keras', 'apache_beam', 'pandas'} & set(sys.modules)))")
    with StubServer() as server:
        done = subprocess.run(
            [sys.executable, "-c", code, *command, str(rows), "--target", server.target, "--dataset", "sample"],
            capture_output=True, text=True, cwd=pathlib.Path(cli.__file__).parents[1])
    assert (done.stdout.splitlines()[-1], len(server.requests)) == ("[]", 1), done.stderr


def test_predict_reads_rows_by_the_specification_of_the_pushed_model(asked, tmp_path):
    _push(tmp_path / "ctrl_root", model="wide")
    arguments = ["predict", "--target", "h:1", "--input", "r.csv"]
    assert cli.main(arguments) == 0
    assert asked.pop()[2:] == (served_model.SPEC, "wide", {"timeout": 10.0})
    _push(tmp_path / "ctrl_root", dataset="films")
    assert cli.main([*arguments, "--dataset", "books"]) == 0
    assert asked.pop()[2:] == (served_model.SPEC, "wide", {"timeout": 10.0})


def test_predict_that_finds_no_specification_asks_for_one(asked, capsys, tmp_path):
    arguments = ["predict", "--target", "h:1", "--input", "r.csv"]
    assert cli.main(arguments) == 2
    assert "ctrl_root: holds no pushed model" in (error := capsys.readouterr().err)
    assert "--dataset NAME|SPEC.yaml" in error
    _push(tmp_path / "ctrl_root")
    _push(tmp_path / "ctrl_root", dataset="films")
    assert cli.main(arguments) == 2
    assert "books/ctr, films/ctr" in (error := capsys.readouterr().err) and "--dataset NAME|SPEC.yaml" in error
    assert not asked
