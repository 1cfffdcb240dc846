"""The part of the transform graph that a served ID model needs."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_transform as tft

from models.spec.dataset_spec import DatasetSpec


class ServedTransform(tf.Module):
    """The transform graph, cut down to the ID model's features.

    TFT's own `transform_features_layer` leaves the label and the sentences in the graph
    it adds, fed with empty values. Here they are cut out, so
    that a stock server can run the graph, while the operations that remain are the
    very ones that made the training data.

    Keep the object as an attribute of the exported `tf.Module`: it owns the
    vocabularies' tables.

    Args:
        spec: the dataset specification.
        transform_output: what Transform learned from the training split.

    Raises:
        ValueError: a feature's ids depend on something a request does not hold.

    Example:

    ```python
    module.transform = ServedTransform(spec, tft.TFTransformOutput(transform_graph.uri))
    raw = tf.io.parse_example(serialized, raw_example.feature_spec(spec))
    module.transform(raw)["user_id"]  # int64 [batch]
    ```
    """

    def __init__(self, spec: DatasetSpec, transform_output: tft.TFTransformOutput):
        super().__init__()
        imported = tf.saved_model.load(transform_output.transform_savedmodel_dir)
        function = imported.transform_fn
        # Tracked, so that exporting this module exports the tables and their files; the
        # function itself is not, or it would be exported whole.
        self._tables = [imported.resources, imported.initializers, imported.assets]
        handles = list(function.captured_inputs)
        self._handles = lambda: handles
        self._features = [f.name for f in spec.model_features]
        values = [f"{f.name}_value" for f in spec.model_features if f.kind == "numeric"]
        outputs = tf.nest.pack_sequence_as(function.structured_outputs, function.outputs)
        self._outputs = {name: outputs[name].name for name in [*self._features, *values]}
        needed = _ancestors(outputs[name].op for name in self._outputs)

        num_fed = len(function.inputs) - len(handles)
        inputs = tf.nest.pack_sequence_as(
            function.structured_input_signature[0][0], function.inputs[:num_fed], expand_composites=True)
        # None stands for a part that no output needs.
        fed = [part for name in self._features for part in _parts(inputs[name])] + function.inputs[num_fed:]
        self._placeholders = [t.name if t.op in needed else None for t in fed]
        unfed = sorted({op.name for op in needed if op.type == "Placeholder"} - {t.op.name for t in fed})
        if unfed:
            raise ValueError(f"the model's features are made from inputs that a request lacks: {unfed}")

        names = {op.name for op in needed}
        self._graph_def = function.graph.as_graph_def()
        nodes = [node for node in self._graph_def.node if node.name in names]
        del self._graph_def.node[:]
        self._graph_def.node.extend(nodes)
        for node in self._graph_def.node:
            data = [name for name in node.input if not name.startswith("^")]
            del node.input[:]
            node.input.extend(data)

    def __call__(self, raw: Mapping[str, tf.SparseTensor]) -> dict[str, tf.Tensor]:
        """Transforms a batch; call it inside a `tf.function`.

        Args:
            raw: sparse tensors by name of the features the ID model reads, as
                `raw_example.feature_spec` parses them.

        Returns:
            Ids by feature name, and `<feature>_value` for a numeric.
        """
        tensors = [part for name in self._features for part in _parts(raw[name])]
        # The identity brings the tables' handles into the graph that is being built.
        tensors += [tf.identity(handle) for handle in self._handles()]
        fed = {name: tensor for name, tensor in zip(self._placeholders, tensors, strict=True) if name}
        results = tf.graph_util.import_graph_def(
            self._graph_def, input_map=fed, return_elements=list(self._outputs.values()), name="transform")
        return dict(zip(self._outputs, results, strict=True))


def _parts(tensor: tf.SparseTensor) -> list[tf.Tensor]:
    return tf.nest.flatten(tensor, expand_composites=True)


def _ancestors(operations) -> set[tf.Operation]:
    """The operations, and all whose values they use.

    Control dependencies do not count: TensorFlow makes every output wait for every
    stateful operation, and none here changes any state.
    """
    found, waiting = set(), list(operations)
    while waiting:
        operation = waiting.pop()
        if operation not in found:
            found.add(operation)
            waiting += [t.op for t in operation.inputs]
    return found
