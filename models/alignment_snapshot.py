"""How well the two modalities agree on one batch, as numbers to look at."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from keras import ops

from models.contrastive_loss import duplicate_pairs
from models.max_sim import max_sim


def snapshot(model, inputs: Mapping) -> dict[str, np.ndarray]:
    """An alignment model's view of a batch.

    Args:
        model: `AlignmentModel`.
        inputs: dict of the transformed features and what its tower reads, of `[batch, ...]`.

    Returns:
        `similarity`, float32 `[batch, batch]`, max-sim of each text (row) with each row's IDs
        (column); `same_text`, bool `[batch, batch]`, pairs of different rows with one text, which
        training leaves out; and the model's metrics of the batch, float32 scalars by name, as
        `alignment`, `uniformity` and the retrieval accuracies.

    Example:

    ```python
    before = snapshot(model, features)
    model.fit(dataset)
    after = snapshot(model, features)
    np.trace(after["similarity"]) > np.trace(before["similarity"])
    ```
    """
    text, tabular, *recovered = model(inputs)
    model.reset_metrics()
    model.compute_loss(inputs, None, (text, tabular, *recovered), training=False)
    metrics = {m.name: np.float32(m.result()) for m in model.metrics if m.name != "loss"}
    model.reset_metrics()
    return {
        "similarity": ops.convert_to_numpy(max_sim(text, tabular)).astype(np.float32),
        "same_text": ops.convert_to_numpy(duplicate_pairs(model.tower.text_keys(inputs))),
        **metrics,
    }


def save(path: str, **snapshots: Mapping[str, np.ndarray]) -> None:
    """Writes snapshots as one `.npz`, arrays named `<snapshot>/<array>`, wherever TensorFlow can write."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{
        f"{name}/{key}": value for name, values in snapshots.items() for key, value in values.items()})
    with tf.io.gfile.GFile(path, "wb") as stream:
        stream.write(buffer.getvalue())


def exists(path: str) -> bool:
    """Whether snapshots were written there."""
    return tf.io.gfile.exists(path)


def load(path: str) -> dict[str, dict[str, np.ndarray]]:
    """What `save` wrote: array by name by snapshot."""
    with tf.io.gfile.GFile(path, "rb") as stream:
        arrays = np.load(io.BytesIO(stream.read()))
    found: dict[str, dict[str, np.ndarray]] = {}
    for full, value in arrays.items():
        name, _, key = full.partition("/")
        found.setdefault(name, {})[key] = value
    return found
