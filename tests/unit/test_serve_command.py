"""`ctrl serve`: arguments, which server is started, and with what."""

import sys
import types

import pytest

from pipeline import cli, serve_command
from serving import stock_server
from serving.batcher import Batching
from serving.model_config import ModelConfig
from serving.server_options import ServerOptions
from serving.version_policy import VersionPolicy
from tests.unit.certificates import Authority
from tests.unit.command_case import own_folder, push, spec_file  # noqa: F401 - a fixture of every test


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


def test_serve_takes_the_model_of_a_name_or_of_a_specification(fake_serve, tmp_path):
    served = push(tmp_path / "ctrl_root")
    wide = push(tmp_path / "ctrl_root", "films", "wide")
    assert cli.main(["serve", "--dataset", "books", "--host", "0.0.0.0", "--port", "1", "--port-file", "p"]) == 0
    assert fake_serve.calls.pop() == (
        [ModelConfig("ctr", "ctrl_root/books/serving/ctr")], ServerOptions(host="0.0.0.0", port=1), "p")
    assert cli.main(["serve", "--dataset", spec_file(), "--root", str(tmp_path / "ctrl_root")]) == 0
    assert fake_serve.calls.pop()[0] == [ModelConfig("ctr", str(served))]
    assert cli.main(["serve", "--model", "wide", "--root", str(tmp_path / "ctrl_root")]) == 0
    assert fake_serve.calls.pop()[0] == [ModelConfig("wide", str(wide))]


def test_serve_passes_on_versions_labels_and_bounds(fake_serve, tmp_path):
    push(tmp_path / "ctrl_root")
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
    push(tmp_path / "ctrl_root")
    assert cli.main(["serve", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not fake_serve.calls


@pytest.fixture
def stock(fake_serve, monkeypatch, tmp_path):
    """What `serve_stock` got; its programs are on the PATH, and a model is pushed."""
    push(tmp_path / "ctrl_root")
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


def test_serve_without_a_model_is_a_users_error(fake_serve, capsys):
    assert cli.main(["serve"]) == 2
    assert capsys.readouterr().err.startswith("ctrl serve: ctrl_root: holds no pushed model; run `ctrl run` first")
    assert not fake_serve.calls
