"""The stock server, played by programs of its names that take its flags."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from models.spec.errors import UserError
from serving import stock_server
from serving.model_config import ModelConfig, read_models
from serving.server_options import ServerOptions
from serving.server_tls import ServerTls
from serving.version_policy import VersionPolicy
from tests.unit import served_model
from tests.unit.certificates import Authority

ROOT = pathlib.Path(stock_server.__file__).parents[1]
# Takes the flags that are told, and serves; what a container would see is looked for where it was mounted.
STAND_IN = f"""#!{sys.executable} -Wignore
import dataclasses, os, pathlib, sys
sys.path.insert(0, {str(ROOT)!r})
pathlib.Path(os.environ["TOLD"]).write_text("\\n".join(sys.argv[1:]))
mounts = dict(reversed(v.removesuffix(":ro").split(":")) for o, v in zip(sys.argv, sys.argv[1:]) if o == "-v")
ports = dict(reversed(v.rsplit(":", 1)) for o, v in zip(sys.argv, sys.argv[1:]) if o == "-p")
flags = dict(a[2:].split("=", 1) for a in sys.argv if a.startswith("--") and "=" in a)
def outside(path):
    for inside, folder in mounts.items():
        path = path.replace(inside, folder, 1) if path.startswith(inside) else path
    return path
from serving.model_config import read_models
from serving.serve import serve
from serving.server_options import ServerOptions
port = ports[flags["port"]].split(":")[1] if ports else flags["port"]
models = read_models(outside(flags["model_config_file"]))
models = [dataclasses.replace(m, base_path=outside(m.base_path)) for m in models]
print("ready to fail" if "FAIL" in os.environ else "ready", flush=True)
if "FAIL" in os.environ:
    sys.exit(4)
serve(models, ServerOptions(port=int(port)))
"""


@pytest.fixture
def base_path(tmp_path):
    served_model.export(tmp_path / "books" / "1", 0.0)
    return tmp_path / "books"


@pytest.fixture
def environment(tmp_path):
    """With programs of the stock server's names on the PATH; they write their arguments to `told`."""
    (tmp_path / "bin").mkdir()
    for name in ("tensorflow_model_server", "docker"):
        (tmp_path / "bin" / name).write_text(STAND_IN, encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "TOLD": str(tmp_path / "told"),
            "TF_CPP_MIN_LOG_LEVEL": "3"}


def _serve(base_path, environment, image, port_file):
    code = (
        "import sys\nfrom models.spec.errors import UserError\nfrom serving.model_config import ModelConfig\n"
        "from serving.server_options import ServerOptions\nfrom serving.stock_server import serve_stock\n"
        "try:\n"
        "    serve_stock([ModelConfig('books', sys.argv[1])], ServerOptions(port=0, rest_port=0),\n"
        "                image=sys.argv[2] or None, port_file=sys.argv[3], grace=20)\n"
        "except UserError as error:\n    sys.exit(str(error))")
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code, str(base_path), image or "", str(port_file)], env=environment,
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("image", [None, "tensorflow/serving:2.16.1"])
def test_it_is_announced_when_it_answers_and_ends_with_a_signal(base_path, environment, tmp_path, image):
    process = _serve(base_path, environment, image, tmp_path / "port")
    try:
        line = process.stdout.readline().strip()
        assert line, process.communicate(timeout=60)[1]
        port = (tmp_path / "port").read_text().strip()
        where = image or tmp_path / "bin" / "tensorflow_model_server"
        assert line == f"serving books on {'127.0.0.1' if image else '0.0.0.0'}:{port} by {where}"
        assert process.stdout.readline().startswith("REST API and metrics on http://")
        if not image:
            assert "no choice of address: other machines reach it too, not only 127.0.0.1" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (0, "")
    told = (tmp_path / "told").read_text().splitlines()
    if image:
        assert told[:3] == ["run", "--rm", "--init"] and image in told
        assert f"127.0.0.1:{port}:8500" in told and f"{base_path}:/models/books:ro" in told
        assert "--port=8500" in told and "--model_config_file=/config/models.config" in told
    else:
        assert f"--port={port}" in told


def test_its_last_words_are_told_when_it_ends_by_itself(base_path, environment, tmp_path):
    process = _serve(base_path, {**environment, "FAIL": "1"}, None, tmp_path / "port")
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert "tensorflow_model_server --port=" in errors and "ended:\nready to fail" in errors
    assert not (tmp_path / "port").exists()


def test_no_program_no_docker(monkeypatch):
    monkeypatch.setenv("PATH", "")
    for image, name in ((None, "tensorflow_model_server"), ("an/image", "docker")):
        with pytest.raises(UserError, match=f"no program '{name}' on the PATH; `ctrl serve --server embedded` needs"):
            stock_server.serve_stock([ModelConfig("books", "b")], ServerOptions(), image=image)


def test_files_and_flags(tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    models = [ModelConfig("books", "b", VersionPolicy(latest=2), {"stable": 3}), ModelConfig("films", "gs://m/films")]
    options = ServerOptions(port=1, rest_port=2, tls=ServerTls(certificate, key, authority.certificate))
    (tmp_path / "files").mkdir()
    command = stock_server.program_command(models, options, tmp_path / "files")
    files = tmp_path / "files"
    assert command == [
        "tensorflow_model_server", "--port=1", f"--model_config_file={files}/models.config",
        "--file_system_poll_wait_seconds=1", "--tensorflow_intra_op_parallelism=1",
        "--allow_version_labels_for_unavailable_models=true",
        "--rest_api_port=2", f"--monitoring_config_file={files}/monitoring.config",
        f"--ssl_config_file={files}/ssl.config"]
    written = read_models(files / "models.config")
    assert written == [ModelConfig("books", os.path.abspath("b"), VersionPolicy(latest=2), {"stable": 3}), models[1]]
    lines = (files / "ssl.config").read_text().splitlines()
    # Escaped, each on one line.
    unescaped = text_format.Parse(
        'model_config_list { config { name: ' + lines[0].removeprefix("server_key: ") + " } }",
        model_server_config_pb2.ModelServerConfig()).model_config_list.config[0].name
    assert unescaped == pathlib.Path(key).read_text()
    assert lines[1].startswith('server_cert: "-----BEGIN CERTIFICATE') and lines[2].startswith("custom_ca: ")
    assert lines[3] == "client_verify: true"


def test_docker_gets_an_ipv6_address_in_brackets(tmp_path):
    command = stock_server.docker_command(
        [ModelConfig("books", "b")], ServerOptions("::1", 1, rest_port=2), tmp_path, "an/image")
    assert [port for option, port in zip(command, command[1:]) if option == "-p"] == ["[::1]:1:8500", "[::1]:2:8501"]


def test_docker_mounts_folders_of_this_machine_only(tmp_path):
    with pytest.raises(UserError, match="model 'films': gs://m/films is no folder of this machine, .* embedded`"):
        stock_server.docker_command(
            [ModelConfig("books", "b"), ModelConfig("films", "gs://m/films")], ServerOptions(), tmp_path, "an/image")
