import math

import numpy as np
import pytest

from models.subspace_usage import subspace_usage

AXES = np.eye(3, dtype="float32")


def keys(rows):
    return np.stack([AXES] * rows)


def test_even_and_collapsed():
    assert float(subspace_usage(keys(2), keys(2))) == pytest.approx(1)
    # Every query points along the second axis.
    assert float(subspace_usage(np.stack([AXES[[1, 1, 1]]] * 2), keys(2))) == pytest.approx(0, abs=1e-6)


def test_by_hand():
    # The first axis is found four times of six, the third twice.
    queries = np.stack([AXES[[0, 0, 2]], AXES[[0, 2, 0]]])
    entropy = -(4 / 6 * math.log(4 / 6) + 2 / 6 * math.log(2 / 6))
    assert float(subspace_usage(queries, keys(2))) == pytest.approx(entropy / math.log(3), rel=1e-5)


def test_it_depends_on_the_direction():
    # All sub-vectors of the first side lie nearest to the same one of the second, not so the other way round.
    one = np.array([[[1, 0], [0.8, 0.6]]], "float32")
    other = np.array([[[1, 0.2], [0, 0.9]]], "float32")
    # Products: 1, 0; 0.92, 0.54. Rows' maxima: first, first. Columns': first, second.
    assert float(subspace_usage(one, other)) == pytest.approx(0, abs=1e-6)
    assert float(subspace_usage(other, one)) == pytest.approx(1)
