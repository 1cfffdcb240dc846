"""Validates with the averaged weights."""

import keras


class AveragedWeights(keras.callbacks.SwapEMAWeights):
    """Keras's `SwapEMAWeights`, for an optimizer that keeps averages up to date only where rows were read.

    Example:

    ```python
    model.fit(dataset, validation_data=held_out, callbacks=[AveragedWeights()])
    ```
    """

    def on_test_begin(self, logs=None):
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        if hasattr(optimizer, "settle"):
            optimizer.settle()
        super().on_test_begin(logs)
