from types import SimpleNamespace

import pytest

from models.spec.errors import UserError
from pipeline.run_fns.stage import Stage


def test_other_weights_than_the_pipeline_was_made_for_stop_a_stage_that_fine_tunes():
    custom_config = {
        "config": {"text_mode": "finetune", "language_model": "tiny-random"},
        "language_model_fingerprint": "0123456789abcdef", "adapted_language_model": None}
    with pytest.raises(UserError, match="tiny-random.*fingerprint here is"):
        Stage.from_fn_args(SimpleNamespace(custom_config=custom_config), "alignment")
