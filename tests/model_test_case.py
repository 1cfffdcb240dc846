"""Checks that every layer and model has to pass."""

import json

import keras
import numpy as np
import tensorflow as tf


class ModelTestCase:
    """Base class of the tests of a Keras layer or model.

    `inputs` is what the layer is called with; a tuple is several tensors, one an argument.

    Example:

    ```python
    class TestMyLayer(ModelTestCase):
        def test_basics(self, tmp_path):
            self.check_all(lambda: MyLayer(8), inputs, (4, 8), tmp_path)
    ```
    """

    def check_all(self, new, inputs, output_shape, tmp_path):
        """Runs all checks on what `new()` returns."""
        # A few units may all be dead by chance, and then no gradient reaches what is under them.
        keras.utils.set_random_seed(1)
        self.check_output_shape(new(), inputs, output_shape)
        self.check_config(new(), inputs)
        self.check_weights_file(new, inputs, tmp_path)
        self.check_gradients(new(), inputs)

    def check_output_shape(self, layer, inputs, shape):
        """The output has that shape, also symbolically with an unknown batch size."""
        output = _call(layer, inputs)
        assert tuple(output.shape) == shape
        assert keras.backend.standardize_dtype(output.dtype) == "float32"
        assert np.isfinite(output).all()
        symbolic = tf.nest.map_structure(
            lambda x: keras.KerasTensor((None, *x.shape[1:]), str(x.dtype)), inputs)
        assert _call(layer, symbolic).shape == (None, *shape[1:])

    def check_config(self, layer, inputs):
        """A layer made from the configuration, by way of JSON, has the same one, and weights alike."""
        _call(layer, inputs)
        copy = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
        _call(copy, inputs)
        assert copy.get_config() == layer.get_config()
        assert [w.shape for w in copy.weights] == [w.shape for w in layer.weights]
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
        assert type(again) is type(layer)

    def check_weights_file(self, new, inputs, tmp_path):
        """Weights saved and loaded into a new instance give identical outputs."""
        old, fresh = _as_model(new()), _as_model(new())
        expected = np.asarray(_call(old, inputs))
        untrained = _call(fresh, inputs)
        assert not np.array_equal(expected, untrained), "initial weights are equal: loading proves nothing"
        path = str(tmp_path / "model.weights.h5")
        old.save_weights(path)
        fresh.load_weights(path)
        np.testing.assert_array_equal(_call(fresh, inputs), expected)

    def check_gradients(self, layer, inputs):
        """In training, the output depends on every trainable weight."""
        with tf.GradientTape() as tape:
            output = _call(layer, inputs, training=True)
            # Random directions: a plain sum would have no gradient through a normalisation.
            directions = np.random.default_rng(0).normal(size=output.shape).astype("float32")
            loss = tf.reduce_sum(output * directions)
        gradients = tape.gradient(loss, [w.value for w in layer.trainable_weights])
        assert gradients
        for weight, gradient in zip(layer.trainable_weights, gradients):
            assert gradient is not None, f"no gradient reaches {weight.path}"
            assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, f"the gradient of {weight.path} is zero"


def _call(layer, inputs, **options):
    """The layer's output for one input, or for a tuple of several."""
    return layer(*inputs, **options) if isinstance(inputs, tuple) else layer(inputs, **options)


def _as_model(layer):
    """The layer as a model with weights, since only models have weight files."""
    return layer if isinstance(layer, keras.Model) else _LayerModel(layer)


class _LayerModel(keras.Model):
    """A model that is one layer."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, *inputs):
        return self.layer(*inputs)
