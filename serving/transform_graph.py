"""The part of a transform graph that the served model needs."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the operations that a graph with token ids is loaded with


class TransformGraph(tf.Module):
    """Applies some outputs of a TensorFlow Transform graph, and holds nothing else of it.

    `TFTransformOutput.transform_features_layer()` keeps the whole graph: outputs that
    are not asked for (token ids, text keys) are computed on empty inputs, so their
    tokenizer would be saved with the served model. This module copies only the nodes
    that the wanted outputs are computed from. Control dependencies are cut, because
    TensorFlow hangs the assertions of *all* outputs on each of them.

    Args:
        transform_dir: the transform graph's SavedModel,
            `TFTransformOutput.transform_savedmodel_dir`.
        inputs: names of the raw features that will be fed.
        outputs: names of the wanted transformed features.

    Raises:
        ValueError: an output does not exist, or needs an input that is not fed.

    Example:

    ```python
    graph = TransformGraph(tft_output.transform_savedmodel_dir, ["gender"], ["gender"])
    ids = graph({"gender": tf.sparse.from_dense([["F"], ["M"]])})["gender"]  # int64 [2]
    ```
    """

    def __init__(self, transform_dir: str, inputs: Iterable[str], outputs: Iterable[str]):
        super().__init__()
        imported = tf.saved_model.load(transform_dir)
        function = imported.transform_fn
        captures = function.graph.internal_captures
        arguments = function.graph.inputs[: len(function.graph.inputs) - len(captures)]
        placeholders = tf.nest.pack_sequence_as(
            function.structured_input_signature, arguments, expand_composites=True)[0][0]
        results = tf.nest.pack_sequence_as(
            function.structured_outputs, function.graph.outputs, expand_composites=True)
        _check_known("output", outputs, results)
        _check_known("input", inputs, placeholders)
        self._placeholders = {
            name: [t.name for t in tf.nest.flatten(placeholders[name], expand_composites=True)] for name in inputs
        }
        self._output_names = {name: results[name].name for name in outputs}
        self._output_shapes = {name: results[name].shape for name in outputs}
        self._captured = {inner.name: outer for inner, outer in zip(captures, function.captured_inputs)}
        self._graph_def = _prune(function.graph.as_graph_def(), self._output_names.values())
        nodes = {node.name for node in self._graph_def.node}
        used = {id(outer) for name, outer in self._captured.items() if name.split(":")[0] in nodes}
        # The tables are tracked (with their files); the imported functions, which hold the whole graph, are not.
        self._tables = [r for r in imported.resources if id(r.resource_handle) in used]
        fed = {name.split(":")[0] for names in self._placeholders.values() for name in names}
        fed.update(name.split(":")[0] for name in self._captured)
        unfed = [node.name for node in self._graph_def.node if node.op == "Placeholder" and node.name not in fed]
        if unfed:
            raise ValueError(
                f"the transformed features {', '.join(outputs)} need more raw features than {', '.join(inputs)}")

    def __call__(self, features: dict[str, tf.SparseTensor]) -> dict[str, tf.Tensor]:
        """Transforms a batch; to be called while a `tf.function` is traced.

        Args:
            features: the raw features by name, as `tf.io.parse_example` gives them.

        Returns:
            The wanted transformed features by name: dense, [batch] or [batch, length].
        """
        nodes = {node.name for node in self._graph_def.node}
        # The identity brings an eager tensor (a table's handle, a constant) into the traced graph.
        feeds = {name: tf.identity(tensor) for name, tensor in self._captured.items() if name.split(":")[0] in nodes}
        for name, components in self._placeholders.items():
            tensors = tf.nest.flatten(features[name], expand_composites=True)
            feeds.update((c, t) for c, t in zip(components, tensors) if c.split(":")[0] in nodes)
        results = tf.graph_util.import_graph_def(
            self._graph_def, input_map=feeds, return_elements=list(self._output_names.values()), name="transform")
        outputs = dict(zip(self._output_names, results))
        for name, tensor in outputs.items():
            tensor.set_shape(self._output_shapes[name])
        return outputs


def _check_known(what: str, names: Iterable[str], known) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"the transform graph has no {what} {unknown[0]!r}; there are: {', '.join(sorted(known))}")


def _prune(graph_def: tf.compat.v1.GraphDef, outputs: Iterable[str]) -> tf.compat.v1.GraphDef:
    """The nodes and functions that the named tensors are computed from, control edges cut."""
    nodes = {node.name: node for node in graph_def.node}
    wanted, stack = set(), [name.split(":")[0] for name in outputs]
    while stack:
        name = stack.pop()
        if name not in wanted:
            wanted.add(name)
            stack += [i.split(":")[0] for i in nodes[name].input if not i.startswith("^")]
    pruned = tf.compat.v1.GraphDef(versions=graph_def.versions)
    for node in graph_def.node:
        if node.name in wanted:
            copy = pruned.node.add()
            copy.CopyFrom(node)
            copy.input[:] = [i for i in node.input if not i.startswith("^")]
    functions = {f.signature.name: f for f in graph_def.library.function}
    called, stack = set(), [name for node in pruned.node for name in _functions_of(node)]
    while stack:
        name = stack.pop()
        if name in functions and name not in called:
            called.add(name)
            stack += [n for node in functions[name].node_def for n in _functions_of(node)]
    pruned.library.function.extend(functions[name] for name in sorted(called))
    return pruned


def _functions_of(node: tf.compat.v1.NodeDef) -> list[str]:
    attributes = node.attr.values()
    return ([node.op] + [a.func.name for a in attributes if a.HasField("func")]
            + [f.name for a in attributes for f in a.list.func])
