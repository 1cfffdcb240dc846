"""Folders of a run, and the served model below a root."""

import os

import pytest

from models.spec.errors import UserError
from pipeline.layout import SERVED_SPEC, RunLayout, find_serving, served_spec
from tests.unit import served_model


def _push(root, dataset, model="ctr", versions=(1,)):
    for version in versions:
        (root / dataset / "serving" / model / str(version)).mkdir(parents=True)
    return root / dataset / "serving" / model


def test_everything_lies_below_the_datasets_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layout = RunLayout.below((tmp_path / "a").relative_to(tmp_path), "books")
    assert layout.root == tmp_path / "a" / "books"
    assert layout.serving("ctr") == tmp_path / "a" / "books" / "serving" / "ctr"
    assert not layout.root.exists()


@pytest.mark.parametrize("name", ["a*", "a?", "[a]"])
def test_a_root_that_beam_would_take_for_a_pattern_is_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"^--root .*: has one of the characters \* \? \["):
        RunLayout.below(tmp_path / name, "books")


def test_a_writable_root_is_made_and_left_empty(tmp_path):
    layout = RunLayout.below(tmp_path / "a" / "b", "books")
    layout.check_writable()
    layout.check_writable()
    assert list(layout.root.iterdir()) == []


def test_a_root_that_is_a_file_cannot_be_written(tmp_path):
    (tmp_path / "root").write_text("")
    with pytest.raises(UserError) as caught:
        RunLayout.below(tmp_path / "root", "books").check_writable()
    path = tmp_path / "root"
    assert str(caught.value) == f"--root {path}: cannot be written: {path / 'books'}: Not a directory"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_root_cannot_be_written(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written: .*: Permission denied"):
        RunLayout.below(tmp_path, "books").check_writable()


def test_no_pushed_model(tmp_path):
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError, match="holds no pushed model; run `ctrl run` first"):
            find_serving(root)
    # A folder without a version and a file are none either.
    (tmp_path / "books" / "serving" / "ctr" / "tmp").mkdir(parents=True)
    (tmp_path / "books" / "serving" / "README").write_text("")
    with pytest.raises(UserError, match="holds no pushed model of books;"):
        find_serving(tmp_path, "books")


def test_one_pushed_model(tmp_path):
    served = _push(tmp_path, "books")
    assert find_serving(tmp_path) == find_serving(tmp_path, "books") == find_serving(tmp_path, None, "ctr") == served
    with pytest.raises(UserError, match="no pushed model of films; there is: books/ctr"):
        find_serving(tmp_path, "films")
    with pytest.raises(UserError, match="no pushed model of books named wide; there is: books/ctr"):
        find_serving(tmp_path, "books", "wide")


def test_deployment_files_are_no_pushed_model(tmp_path):
    served = _push(tmp_path, "books", "7")
    deployment = RunLayout.below(tmp_path, "books").deployment("7")
    assert deployment == tmp_path / "books" / "deployment" / "7"
    deployment.mkdir(parents=True)
    assert find_serving(tmp_path) == served


def test_several_pushed_models(tmp_path):
    _push(tmp_path, "books")
    films, wide = _push(tmp_path, "films"), _push(tmp_path, "films", "wide")
    with pytest.raises(UserError, match="several pushed models; .*: books/ctr, films/ctr, films/wide$"):
        find_serving(tmp_path)
    with pytest.raises(UserError, match=": films/ctr, films/wide$"):
        find_serving(tmp_path, "films")
    assert find_serving(tmp_path, "films", "ctr") == films
    assert find_serving(tmp_path, model="wide") == wide


def test_the_newest_versions_specification_is_found(tmp_path):
    served = _push(tmp_path, "books", versions=(9, 10))
    with pytest.raises(UserError, match="10/assets.extra/dataset.json: cannot be read as the specification"):
        served_spec(served)
    path = served / "10" / SERVED_SPEC
    path.parent.mkdir()
    path.write_text(served_model.SPEC.to_json(), encoding="utf-8")
    assert served_spec(served) == served_model.SPEC
    path.write_text('{"name": "books"}', encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read as the specification"):
        served_spec(served)


def test_the_specification_lies_where_the_export_puts_it():
    from serving import export

    assert str(SERVED_SPEC) == export.SPEC_FILE
