"""Mixed precision: what computes in half, what does not, and what is served."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import backbones
from models.alignment_model import AlignmentModel
from models.ctr_model import CTRModel
from models.distiller import Distiller
from models.field import Field
from models.precision import in_float32, policy, precision
from models.teacher_model import TeacherModel
from models.training import compile_ctr
from serving.export import export_ctr_model
from tests.unit.latent_clicks import LatentClicks


@pytest.mark.parametrize(("mode", "capabilities", "expected"), [
    ("off", [(9, 0)], "float32"), ("auto", [], "float32"), ("on", [], "mixed_bfloat16"),
    ("auto", [(9, 0)], "mixed_bfloat16"), ("auto", [(8, 0), (7, 5)], "mixed_float16")])
def test_policy(mode, capabilities, expected, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: capabilities)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": gpu})
    assert policy(mode) == expected


def test_it_ends_where_it_was_asked_for():
    with pytest.raises(KeyError), precision("on"):
        inside = keras.layers.Dense(1)
        raise KeyError
    assert inside.compute_dtype == "bfloat16"
    assert keras.layers.Dense(1).compute_dtype == "float32"


@pytest.fixture(scope="module")
def trained():
    """Alignment, teacher and distiller, trained in half precision, with their histories."""
    keras.utils.set_random_seed(11)
    clicks = LatentClicks()
    inputs, labels = clicks.rows(256, seed=1)
    with precision("on"):
        alignment = AlignmentModel(
            clicks.ctr_model(), clicks.tower(), num_subspaces=2, width=8, temperature=0.2, learn_temperature=True,
            masked_features=0.1, chunk_size=64)
        # Without graphs, which take longer to make than to run.
        alignment.compile(optimizer=keras.optimizers.AdamW(0.02), run_eagerly=True)
        teacher = TeacherModel(alignment.ctr_model, alignment.tower, text_projection=alignment.text_projection)
        distiller = Distiller(clicks.ctr_model(), teacher, weight=0.5, feature_weight=0.1)
        histories = [alignment.fit(inputs, batch_size=128, epochs=3, verbose=0).history]
        compile_ctr(distiller).run_eagerly = True
        histories.append(distiller.fit(inputs, labels, batch_size=128, epochs=2, verbose=0).history)
    return alignment, distiller, histories, inputs


def test_models_learn_in_half_with_losses_and_weights_in_full_precision(trained):
    alignment, distiller, histories, inputs = trained
    assert alignment.ctr_model.backbone.compute_dtype == distiller.student.backbone.compute_dtype == "bfloat16"
    assert alignment.ctr_model.represent(inputs).dtype == tf.bfloat16
    outputs = (*alignment(inputs), distiller(inputs), distiller.teacher(inputs))
    assert {x.dtype for x in outputs} == {tf.float32}
    assert {w.dtype for model in (alignment, distiller) for w in model.weights} == {"float32"}
    for history in histories:
        assert all(np.isfinite(values).all() for values in history.values())
        assert history["loss"][-1] < history["loss"][0]


@pytest.mark.parametrize("backbone", backbones.names())
def test_every_backbone_computes_in_half(backbone):
    fields = [Field("film", "categorical", 6, "film"), Field("age", "numeric", 4, "age"),
              Field("seen", "history", 6, "film", max_length=3)]
    inputs = {"film": np.array([1, 5]), "age": np.array([2, 3]), "age_value": np.array([0.5, -1.0], "float32"),
              "seen": np.array([[1, 2, 0], [0, 0, 0]])}
    with precision("on"):
        model = CTRModel(fields, backbone, embedding_dim=4, history_pooling="din_softmax")
    assert model.represent(inputs, training=True).dtype == tf.bfloat16
    np.testing.assert_allclose(model(inputs), in_float32(model)(inputs), atol=0.05)


def test_the_served_copy_is_float32(trained, tmp_path):
    _, distiller, _, inputs = trained
    student = distiller.student
    with pytest.raises(ValueError, match="computes in bfloat16; what is served must be float32"):
        export_ctr_model(student, None, None, str(tmp_path))
    copy = in_float32(student)
    for old, new in zip(student.weights, copy.weights, strict=True):
        np.testing.assert_array_equal(old, new)
    kinds = {layer.compute_dtype for layer in copy._flatten_layers()}
    assert kinds == {"float32"}
    logits = np.asarray(copy(inputs))
    # As near as half precision is, and not the same.
    np.testing.assert_allclose(logits, student(inputs), atol=0.05)
    assert not np.array_equal(logits, student(inputs))
    signature = {name: tf.TensorSpec([None], tf.as_dtype(x.dtype)) for name, x in inputs.items()}
    graph = tf.function(lambda x: copy(x)).get_concrete_function(signature).graph
    assert not any(tensor.dtype in (tf.bfloat16, tf.float16) for op in graph.get_operations() for tensor in op.outputs)
    plain = CTRModel.from_config(LatentClicks.ctr_model().get_config())
    assert in_float32(plain) is plain
