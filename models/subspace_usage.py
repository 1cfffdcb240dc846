"""How many of the sub-spaces of max-sim are used."""

import math

from keras import ops


def subspace_usage(queries, keys):
    """How evenly the sub-vectors of the keys win the maximum of max-sim: 1 is evenly, 0 is one alone.

    Of each query's sub-vectors m, in its own key, one sub-vector n has the greatest dot
    product. With p(n) the share of rows and m that n wins,

        usage = - sum_n p(n) log p(n) / log M

    A low usage says that the similarity is, in effect, one with fewer sub-spaces. Near
    0 the others are dead: the gradient of the maximum does not reach them.

    Args:
        queries: float tensor `[batch, M, width]`, M above 1.
        keys: float tensor `[batch, M, width]`; row i is the counterpart of query i.

    Returns:
        Float scalar from 0 to 1.

    Example:

    ```python
    subspace_usage(ops.eye(2)[None], ops.eye(2)[None])  # 1.0: each finds another
    ```
    """
    num_subspaces = keys.shape[1]
    winners = ops.argmax(ops.matmul(queries, ops.swapaxes(keys, 1, 2)), axis=-1)
    shares = ops.mean(ops.one_hot(winners, num_subspaces), axis=(0, 1))
    # Of a share of 0 the product is 0, its limit.
    entropy = -ops.sum(shares * ops.log(ops.maximum(shares, 1e-30)))
    return entropy / math.log(num_subspaces)
