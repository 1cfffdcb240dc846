"""AdamW for embedding tables of any size: a step touches the rows that its batch reads."""

import keras
import tensorflow as tf

# Rows that are brought up to date at a time: what is computed of them stands beside the table.
_BLOCK = 1 << 18


@keras.saving.register_keras_serializable(package="ctrl")
class RowAdamW(keras.optimizers.AdamW):
    """AdamW whose step costs what the batch reads of a large table, not what the table holds.

    Keras's Adam and AdamW make the gradient of an embedding, which names the rows that were read, a dense
    one, and move both moments, the weight decay and the average of every row in every step: at ten million
    rows a step takes seconds, whatever the batch. Here a row of a large table that a batch does not read
    stays as it is, with its moments: it neither decays nor moves on by momentum. This is
    TensorFlow Addons' `LazyAdam` and PyTorch's `SparseAdam`, with decoupled weight decay. It is another
    algorithm, so that small tables, and every other weight, keep Keras's.

    The average of the weights (`use_ema`) is Keras's exactly: since a row stays the same between two
    batches that read it, the steps in between are caught up on in one power of the momentum. `settle`
    does so for all rows; call it before the averages are read (`AveragedWeights` does).

    Args:
        large: rows from which on a table is updated so.
        **options: those of `keras.optimizers.AdamW`.

    Example:

    ```python
    optimizer = RowAdamW(learning_rate=1e-3, weight_decay=1e-5, large=1_000_000)
    model.compile(optimizer, "binary_crossentropy")
    ```
    """

    def __init__(self, learning_rate=1e-3, weight_decay=4e-3, large=1_000_000, name="row_adamw", **options):
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **options)
        self.large = large
        self._by_rows = set()

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        # The step after which a row's average was last up to date, from 1; 0: the row was never read.
        self._settled = [
            self.add_variable((v.shape[0],), dtype="int32", name=f"{v.name}_settled")
            if self.use_ema and self._is_large(v) else None for v in variables]

    def _is_large(self, variable):
        return len(variable.shape) == 2 and variable.shape[0] >= self.large

    def _backend_apply_gradients(self, grads, trainable_variables):
        # Known when the step is traced: a penalty on the whole table makes its gradient dense.
        self._by_rows = {
            self._var_key(variable) for gradient, variable in zip(grads, trainable_variables)
            if isinstance(gradient, tf.IndexedSlices) and self._is_large(variable)}
        super()._backend_apply_gradients(grads, trainable_variables)

    def _apply_weight_decay(self, variables):
        super()._apply_weight_decay([v for v in variables if self._var_key(v) not in self._by_rows])

    def _update_model_variables_moving_average(self, trainable_variables):
        momentum = tf.where(self.iterations > 0, self.ema_momentum, 0.0)
        averages = zip(trainable_variables, self._model_variables_moving_average, self._settled)
        for variable, average, settled in averages:
            if self._var_key(variable) in self._by_rows:
                continue
            average.assign(momentum * average + (1 - momentum) * variable)
            if settled is not None:
                settled.assign(tf.fill(settled.shape, tf.cast(self.iterations + 1, tf.int32)))

    def update_step(self, gradient, variable, learning_rate):
        if self._var_key(variable) not in self._by_rows:
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index].value, self._velocities[index].value
        rows, places = tf.unique(gradient.indices)
        g = tf.cast(tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows)), variable.dtype)
        step = tf.cast(self.iterations + 1, variable.dtype)
        rate = tf.cast(learning_rate, variable.dtype)
        alpha = rate * tf.sqrt(1 - self.beta_2 ** step) / (1 - self.beta_1 ** step)
        m = tf.gather(momentum, rows)
        m += (g - m) * (1 - self.beta_1)
        v = tf.gather(velocity, rows)
        v += (tf.square(g) - v) * (1 - self.beta_2)
        old = tf.gather(variable, rows)
        decay = rate * self.weight_decay if self.weight_decay and self._use_weight_decay(variable) else 0.0
        new = old - old * decay - alpha * m / (tf.sqrt(v) + self.epsilon)
        if self.use_ema:
            self._average(index, rows, old, new)
        for table, values in ((momentum, m), (velocity, v), (variable, new)):
            table.scatter_update(tf.IndexedSlices(values, rows))

    def _average(self, index, rows, old, new):
        """Moves the averages of rows through the steps in which they stayed `old`, and the one that made them `new`."""
        step = tf.cast(self.iterations, tf.int32)
        average = self._caught_up(index, rows, old, step)
        momentum = tf.where(step > 0, self.ema_momentum, 0.0)
        self._keep(index, rows, momentum * average + (1 - momentum) * new, step + 1)

    def _caught_up(self, index, rows, values, step):
        """The averages of rows that kept their values up to the end of a step, counted from 1."""
        settled = tf.gather(self._settled[index].value, rows)
        average = tf.gather(self._model_variables_moving_average[index].value, rows)
        kept = tf.where(settled > 0, self.ema_momentum ** tf.cast(step - settled, values.dtype), 0.0)[:, None]
        return kept * average + (1 - kept) * values

    def _keep(self, index, rows, average, step):
        self._model_variables_moving_average[index].value.scatter_update(tf.IndexedSlices(average, rows))
        self._settled[index].value.scatter_update(tf.IndexedSlices(tf.fill(tf.shape(rows), step), rows))

    def settle(self):
        """Brings the averages of all rows up to the present step."""
        if not self.built or not self.use_ema:
            return
        for index in (i for i, settled in enumerate(self._settled) if settled is not None):
            variable = self._trainable_variables[index].value
            for start in range(0, variable.shape[0], _BLOCK):
                rows = tf.range(start, min(start + _BLOCK, variable.shape[0]))
                self._distribution_strategy.extended.update(
                    variable, self._settle_rows, args=(index, rows), group=False)

    def _settle_rows(self, variable, index, rows):
        step = tf.cast(self.iterations, tf.int32)
        self._keep(index, rows, self._caught_up(index, rows, tf.gather(variable, rows), step), step)

    def finalize_variable_values(self, var_list):
        self.settle()
        super().finalize_variable_values(var_list)

    def get_config(self):
        return {**super().get_config(), "large": self.large}
