import tensorflow as tf

from models.unthreaded import unthreaded


def test_the_elements_are_the_same_and_no_thread_of_its_own_fetches_them():
    dataset = tf.data.Dataset.range(10).batch(4)
    found = unthreaded(dataset)
    assert [batch.tolist() for batch in found.as_numpy_iterator()] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    options = found.options()
    assert options.autotune.enabled is False and options.experimental_optimization.inject_prefetch is False
