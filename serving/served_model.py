"""The graph that is served: raw features in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tensorflow as tf
import tensorflow_transform as tft

from models import raw_example
from models.ctr_model import CTRModel
from models.served_transform import ServedTransform
from models.spec.dataset_spec import DatasetSpec
from serving import raw_columns
from serving.catalogue_lookup import CatalogueLookup
from serving.signature_names import CLASSIFY, DEFAULT, ITEM, PREDICT_COLUMNS, RANK, RANK_TOP_K, REGRESS, TOP_K

WEIGHTS = "student_weights"
_CLASSES = ("0", "1")


class ServedModel(tf.Module):
    """The ID model behind its transform graph.

    Only the weights are tracked, not the Keras model: a SavedModel of the model would bring
    its training state and its own call functions along.

    Args:
        model: the student.
        tft_output: the `TFTransformOutput` that it was trained with.
        spec: the dataset specification.
        catalogue: gives values that training did not see ids of their own.

    Example:

    ```python
    served = ServedModel(student, tft_output, spec)
    tf.saved_model.save(served, "serving/1", signatures=served.signatures())
    ```
    """

    def __init__(self, model: CTRModel, tft_output: tft.TFTransformOutput, spec: DatasetSpec,
                 catalogue: CatalogueLookup | None = None):
        super().__init__()
        self.transform = ServedTransform(spec, tft_output)
        if catalogue is not None:
            self.catalogue = catalogue
        setattr(self, WEIGHTS, [w.value for w in model.weights])
        self._spec = spec
        # In a function, so that the module does not track it.
        self._model = lambda: model

    def signatures(self) -> dict[str, Callable]:
        """The concrete functions by signature name, each with named inputs and outputs.

        * `serving_default`: `examples` to `probability` and `logit`.
        * `classify`, `regress`: the same for TF Serving's Classify and Regress, whose
          protocol fixes the names: `inputs` to `classes` and `scores`, or to `outputs`.
        * `predict_columns`: a tensor a feature, see `raw_columns.tensor_specs`.
        * `rank`: one user and context, as many items as there are. What is not the item's
          is looked up and embedded once, and broadcast.
        * `rank_top_k`: with `k` besides; the best k items, best first, by their `index`.

        The last two exist where the model reads features of the item.
        """
        examples = tf.TensorSpec([None], tf.string)
        found = {
            DEFAULT: _concrete(self._score_examples, {"examples": examples}),
            CLASSIFY: _concrete(self._classify, {"inputs": examples}),
            REGRESS: _concrete(self._regress, {"inputs": examples}),
            PREDICT_COLUMNS: _concrete(self._score_columns, raw_columns.tensor_specs(self._spec)),
        }
        if any(f.side == ITEM for f in self._spec.model_features):
            ranked = raw_columns.tensor_specs(self._spec, ranking=True)
            found[RANK] = _concrete(self._rank, ranked)
            found[RANK_TOP_K] = _concrete(self._rank_top_k, {TOP_K: tf.TensorSpec([], tf.int32), **ranked})
        return found

    def _score_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return _answer(self._logit(tf.io.parse_example(examples, raw_example.feature_spec(self._spec))))

    def _classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        click = self._score_examples(inputs)["probability"]
        classes = tf.tile(tf.constant([_CLASSES]), [tf.shape(click)[0], 1])
        return {"classes": classes, "scores": tf.stack([1 - click, click], axis=-1)}

    def _regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": self._score_examples(inputs)["probability"]}

    def _score_columns(self, **columns: tf.Tensor) -> dict[str, tf.Tensor]:
        raw_columns.check_rows(columns)
        return _answer(self._logit(raw_columns.to_sparse(self._spec, columns)))

    def _rank(self, **columns: tf.Tensor) -> dict[str, tf.Tensor]:
        items = {f.name: columns[f.name] for f in self._spec.model_features if f.side == ITEM}
        rows = raw_columns.check_rows(items)
        return _answer(self._logit(raw_columns.to_sparse(self._spec, columns), rows))

    def _rank_top_k(self, **columns: tf.Tensor) -> dict[str, tf.Tensor]:
        k = columns.pop(TOP_K)
        logit = self._rank(**columns)["logit"]
        best, index = tf.math.top_k(logit, tf.minimum(k, tf.shape(logit)[0]))
        return {**_answer(best), "index": index}

    def _logit(self, raw: Mapping[str, tf.SparseTensor], rows: tf.Tensor | None = None) -> tf.Tensor:
        """Logits `[batch]`; with `rows`, features of one row are broadcast to so many."""
        transformed = self.transform(raw)
        if hasattr(self, "catalogue"):
            transformed = self.catalogue(raw, transformed)
        model = self._model()
        embedded = model.embed(transformed, rows)
        return tf.cast(model.logits(model.represent_embedded(*embedded)), tf.float32)


def _answer(logit: tf.Tensor) -> dict[str, tf.Tensor]:
    return {"probability": tf.sigmoid(logit), "logit": logit}


def _concrete(function: Callable, specs: Mapping[str, tf.TensorSpec]) -> Callable:
    """The function on tensors by name, which become the names of the signature's inputs."""
    named = {name: tf.TensorSpec(s.shape, s.dtype, name=name) for name, s in specs.items()}
    return tf.function(function).get_concrete_function(**named)
