"""Large batches in bounded memory: work on a chunk of the rows at a time."""

import tensorflow as tf


def map_chunks(function, num_rows, chunk_size, output_shapes):
    """Applies a function to one chunk of rows after the other.

    A loop of the graph, not an unrolled one, whose chunks TensorFlow would run side by
    side. Gradients flow through it; what they need of each chunk is kept, unless
    `function` recomputes it (`tf.recompute_grad`).

    Args:
        function: takes the first row of a chunk and the row after its last, int32
            scalars, to a sequence of float32 tensors with one entry a row.
        num_rows: int32 scalar, the number of rows.
        chunk_size: rows a chunk; the last may have fewer.
        output_shapes: the outputs' shapes, the rows' `None` included.

    Returns:
        Tuple of the outputs of all chunks, concatenated.

    Example:

    ```python
    (squares,) = map_chunks(lambda start, stop: [x[start:stop] ** 2], len(x), 2, [(None,)])
    ```
    """
    def step(start, arrays):
        outputs = function(start, tf.minimum(start + chunk_size, num_rows))
        index = start // chunk_size
        return start + chunk_size, [array.write(index, x) for array, x in zip(arrays, outputs, strict=True)]

    count = -(-num_rows // chunk_size)
    arrays = [tf.TensorArray(tf.float32, count, element_shape=shape, infer_shape=False) for shape in output_shapes]
    _, arrays = _loop(step, num_rows, arrays)
    return tuple(array.concat() for array in arrays)


def cached_gradients(encode, loss, inputs, variables, state, chunk_size, output_shapes):
    """The gradient of a whole batch's loss, at the memory of a chunk's encoders (GradCache, arXiv 2101.06983).

    The chain rule, cut at the representations: they are computed chunk by chunk without
    being recorded; the loss of all of them gives its gradient with respect to each; and
    each chunk is encoded again, recorded, and carries its rows' part of that gradient on
    to the variables. It costs one more forward pass.

    The result is the plain one's but for what an encoder computes from the rows around
    a row: batch normalisation takes its statistics from the chunk. Both passes draw the
    same dropout masks, since `state` is put back in between; moving averages are
    therefore updated once a chunk, not twice.

    Args:
        encode: takes a dict of a chunk's rows to a sequence of representations, float32
            tensors with one entry a row.
        loss: takes the representations of the whole batch to a scalar. It may read the
            variables itself, for a penalty or a learnt temperature.
        inputs: dict of tensors with one entry a row.
        variables: list of the `keras.Variable`s to differentiate by.
        state: list of the `keras.Variable`s that `encode` changes, and `loss` does not:
            seeds of dropout and moving averages.
        chunk_size: rows that are encoded at once.
        output_shapes: as for `map_chunks`, of the representations.

    Returns:
        List of the gradients, dense tensors, in the order of `variables`.

    Example:

    ```python
    gradients = cached_gradients(
        lambda rows: [model(rows, training=True)], lambda x: loss_of(x[0]), inputs,
        model.trainable_variables, [], 256, [(None, 128)])
    ```
    """
    num_rows = tf.shape(next(iter(inputs.values())))[0]
    variables = [variable.value for variable in variables]

    def rows(start, stop):
        return {name: values[start:stop] for name, values in inputs.items()}

    before = [tf.identity(variable.value) for variable in state]
    representations = map_chunks(
        lambda start, stop: encode(rows(start, stop)), num_rows, chunk_size, output_shapes)
    for variable, value in zip(state, before, strict=True):
        variable.assign(value)

    with tf.GradientTape() as tape:
        tape.watch(representations)
        result = loss(representations)
    cached, direct = tape.gradient(result, (list(representations), variables), unconnected_gradients="zero")

    def step(start, sums):
        stop = tf.minimum(start + chunk_size, num_rows)
        with tf.GradientTape() as tape:
            outputs = list(encode(rows(start, stop)))
        gradients = tape.gradient(
            outputs, variables, [gradient[start:stop] for gradient in cached], unconnected_gradients="zero")
        return start + chunk_size, [_add(x, gradient) for x, gradient in zip(sums, gradients, strict=True)]

    _, gradients = _loop(step, num_rows, [tf.convert_to_tensor(gradient) for gradient in direct])
    return gradients


def _loop(step, num_rows, values):
    return tf.while_loop(
        lambda start, _: start < num_rows, step, (tf.constant(0), values), parallel_iterations=1)


def _add(total, gradient):
    # Of an embedding table only the rows of the chunk are touched.
    if isinstance(gradient, tf.IndexedSlices):
        return tf.tensor_scatter_nd_add(total, gradient.indices[:, None], gradient.values)
    return total + gradient
