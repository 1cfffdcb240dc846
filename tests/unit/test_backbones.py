import pytest

from models import backbones
from models.auto_int import AutoInt
from models.spec.errors import UserError


def test_options_reach_the_backbone():
    backbone = backbones.get("autoint", num_layers=2, hidden_units=[8])
    assert isinstance(backbone, AutoInt)
    assert (backbone.num_layers, backbone.hidden_units) == (2, (8,))
    assert not backbone.built


def test_option_out_of_range_names_the_backbone():
    with pytest.raises(UserError, match="^backbone autoint: num_layers is -1; it must be a whole number"):
        backbones.get("autoint", num_layers=-1)


def test_unknown_name_and_option_say_what_there_is():
    with pytest.raises(UserError, match="backbone 'deepfmm' is unknown; there are: .*autoint"):
        backbones.get("deepfmm")
    with pytest.raises(UserError, match="option 'layers' is unknown; there are: num_layers, num_heads"):
        backbones.get("autoint", layers=2)
