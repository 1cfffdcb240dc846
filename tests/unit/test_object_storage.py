"""Training state need not lie on a local disk; TensorFlow's file system in memory stands for object storage."""

import uuid

import numpy as np
import pytest
import tensorflow as tf

from models.training import fit
from tests.unit.test_training import _data, _Kill, _model, _weights


def test_a_killed_training_goes_on_from_there():
    folder = f"ram://bucket-{uuid.uuid4().hex}/run"
    options = {"epochs": 2, "checkpoint_dir": folder, "monitor": "auc"}
    whole = _model()
    fit(whole, _data(), epochs=2, checkpoint_dir=f"{folder}-whole", monitor="auc")
    with pytest.raises(KeyboardInterrupt):
        fit(_model(), _data(), callbacks=[_Kill(15)], **options)
    assert tf.io.gfile.exists(f"{folder}/state.json")
    resumed = _model()
    history = fit(resumed, _data(), **options)
    assert len(history.history["auc"]) == 2 and tf.io.gfile.exists(f"{folder}/DONE.json")
    for one, other in zip(_weights(whole), _weights(resumed), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
