"""What the tests of the command's sub-commands share."""

import os
import pathlib

import pytest

from pipeline.layout import SERVED_SPEC
from tests.unit import served_model


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """The current folder and the environment are the test's own."""
    # The default root is relative; and the command sets variables for its own process.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.delenv("CTRL_METADATA", raising=False)


def push(root, dataset="books", model="ctr"):
    """Lays out what `ctrl run` pushes, without the model; returns the model's folder."""
    path = root / dataset / "serving" / model / "1" / SERVED_SPEC
    path.parent.mkdir(parents=True)
    path.write_text(served_model.SPEC.to_json(), encoding="utf-8")
    return path.parents[2]


def spec_file(name="books"):
    """Writes a specification; returns its path."""
    path = pathlib.Path("my.yaml")
    path.write_text(f"name: {name}\nsource: {{format: csv, path: log.csv}}\nlabel: {{column: clicked}}\n"
                    "features: [{name: age, side: user, kind: numeric}]\n", encoding="utf-8")
    return str(path)
