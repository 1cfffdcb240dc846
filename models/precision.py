"""In which precision a model computes."""

import contextlib

import keras
import tensorflow as tf

# From this compute capability on, a GPU multiplies bfloat16 as fast as float16, and needs no loss scaling for it.
_BFLOAT16_SINCE = (8, 0)


def policy(mode):
    """The Keras dtype policy of a mode.

    Args:
        mode: `off`: float32; `on`: mixed precision; `auto`: mixed precision where there
            is a GPU.

    Returns:
        `float32`, `mixed_bfloat16`, or `mixed_float16` for a GPU that lacks bfloat16.
        Weights are float32 in each.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if mode == "off" or (mode == "auto" and not gpus):
        return "float32"
    capabilities = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
    return "mixed_bfloat16" if all(found >= _BFLOAT16_SINCE for found in capabilities) else "mixed_float16"


@contextlib.contextmanager
def precision(mode):
    """Within it, new layers compute in the mode's precision, and go on doing so afterwards.

    Args:
        mode: `off`, `on` or `auto`, see `policy`.

    Example:

    ```python
    with precision("on"):
        model = CTRModel(fields)
    ```
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy(mode))
    try:
        yield
    finally:
        # Other components of a run share the process.
        keras.config.set_dtype_policy(before)


def in_float32(model):
    """A model that was trained in mixed precision as one that computes in float32: what is served.

    Args:
        model: a built Keras model that can be made from its configuration, as `CTRModel`.

    Returns:
        A copy with the same weights, not compiled; the model itself where it computes in
        float32 already.

    Example:

    ```python
    export_ctr_model(in_float32(student), tft_output, spec, "serving_model_dir")
    ```
    """
    if model.compute_dtype == "float32":
        return model
    with precision("off"):
        copy = type(model).from_config({**model.get_config(), "dtype": "float32"})
    copy.set_weights(model.get_weights())
    return copy
