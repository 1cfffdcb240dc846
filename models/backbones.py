"""The backbones of the ID model, by name.

A backbone is a `keras.layers.Layer` that models how a row's features interact. To add
one, write it in a file of its own and name it in `_BACKBONES`. It must

* take its options as keyword arguments with defaults, refuse those out of range by a
  `UserError` (see `models/options.py`; `get` puts the backbone's name before it),
  return them from `get_config`, and be registered by
  `keras.saving.register_keras_serializable(package="ctrl")`;
* learn the number of fields and their width in `build(input_shape)`, and create all
  weights there;
* map `call(inputs, training=False)` from float `[batch, fields, dim]` to a
  representation `[batch, h]`, on which a linear layer gives the logit;
* answer `compute_output_shape` once built, with `h` known.

A backbone with a linear part over the ids, as wide parts and factorisation machines have,
says `first_order = True` in its class. It is then called with one tensor more,
`call(inputs, first_order, training=False)`: float `[batch, fields]`, the weight of each
field's id (of a numeric field also its value times a weight; of a list the mean over its
ids). It puts their sum, and every other term of its paper's logit, into the representation
as a column, so that the linear layer on it still gives the logit: each term's factor,
1 in the papers, is learnt.

The representation is also what CTRL aligns with the text (arXiv 2306.02841, sec. 4.2).
"""

import inspect

from models.auto_int import AutoInt
from models.dcn import DCN
from models.dcnv2 import DCNv2
from models.deep_fm import DeepFM
from models.fibinet import FiBiNET
from models.final_mlp import FinalMLP
from models.pnn import PNN
from models.spec.errors import UserError
from models.wide_deep import WideDeep
from models.x_deep_fm import XDeepFM

_BACKBONES = {
    "autoint": AutoInt,
    "dcn": DCN,
    "dcnv2": DCNv2,
    "deepfm": DeepFM,
    "fibinet": FiBiNET,
    "finalmlp": FinalMLP,
    "pnn": PNN,
    "wide_deep": WideDeep,
    "xdeepfm": XDeepFM,
}


def names():
    """Names that `get` knows, sorted."""
    return sorted(_BACKBONES)


def get(name, **options):
    """A new backbone.

    Args:
        name: one of `names()`.
        **options: the backbone's own options; absent ones keep their defaults.

    Returns:
        A Keras layer that is not built yet.

    Raises:
        UserError: the name or an option is unknown, or an option is out of range.

    Example:

    ```python
    backbone = backbones.get("autoint", num_layers=2, hidden_units=(128, 64))
    ```
    """
    if name not in _BACKBONES:
        raise UserError(f"backbone {name!r} is unknown; there are: {', '.join(names())}")
    known = [p.name for p in inspect.signature(_BACKBONES[name].__init__).parameters.values()
             if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self"]
    for option in options:
        if option not in known:
            raise UserError(f"backbone {name}: the option {option!r} is unknown; "
                            f"there are: {', '.join(known)}")
    try:
        return _BACKBONES[name](**options)
    except UserError as error:
        raise UserError(f"backbone {name}: {error}") from None
