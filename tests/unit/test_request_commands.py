"""`ctrl predict` and `ctrl rank`: arguments, and what is asked."""

import contextlib
import pathlib
import subprocess
import sys

import pytest

import serving.client
from pipeline import cli
from serving import file_requests
from tests.unit import served_model
from tests.unit.certificates import Authority
from tests.unit.command_case import own_folder, push, spec_file  # noqa: F401 - a fixture of every test
from tests.unit.stub_server import StubServer


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


def test_predict_reads_rows_by_a_given_specification(asked, capsys):
    assert cli.main(["predict", "--target", "h:1", "--input", "r.csv", "--dataset", spec_file(),
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
    push(tmp_path / "ctrl_root", model="wide")
    arguments = ["predict", "--target", "h:1", "--input", "r.csv"]
    assert cli.main(arguments) == 0
    assert asked.pop()[2:] == (served_model.SPEC, "wide", {"timeout": 10.0})
    push(tmp_path / "ctrl_root", dataset="films")
    assert cli.main([*arguments, "--dataset", "books"]) == 0
    assert asked.pop()[2:] == (served_model.SPEC, "wide", {"timeout": 10.0})


def test_predict_that_finds_no_specification_asks_for_one(asked, capsys, tmp_path):
    arguments = ["predict", "--target", "h:1", "--input", "r.csv"]
    assert cli.main(arguments) == 2
    assert "ctrl_root: holds no pushed model" in (error := capsys.readouterr().err)
    assert "--dataset NAME|SPEC.yaml" in error
    push(tmp_path / "ctrl_root")
    push(tmp_path / "ctrl_root", dataset="films")
    assert cli.main(arguments) == 2
    assert "books/ctr, films/ctr" in (error := capsys.readouterr().err) and "--dataset NAME|SPEC.yaml" in error
    assert not asked
