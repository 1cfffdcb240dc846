"""`ctrl run` with each backbone, on the sample."""

import pytest

from models import backbones
from tests.integration.conftest import components

# Minutes each; `backbones.names()` is tested by itself, this is the way from the command to the pushed model.
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("root")


@pytest.mark.parametrize("name", backbones.names())
def test_every_backbone_is_trained_and_pushed(ctrl, root, name):
    another = any(root.iterdir())
    # Pushed whatever a smoke run's figures are; what the backbone does not change is reused.
    run = ctrl("run", "--dataset", "sample", "--root", root, "--smoke", "--set", f"backbone={name}",
               "--set", "evaluation.min_auc=0.01", "--set", "evaluation.max_auc_drop=1",
               "--set", "evaluation.max_logloss_rise=10", "--set", "evaluation.max_calibration_error=10")
    assert f"plain {name}" in run.stdout and "verdict     PUSHED" in run.stdout, run.stdout
    assert run.stderr == ""
    if another:
        assert components(run.stdout)["Transform"] == "reused"
