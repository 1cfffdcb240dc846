"""A made-up click log whose IDs and texts carry the same latent factors."""

import numpy as np

from models.ctr_model import CTRModel
from models.field import Field
from models.text_tower import TextTower

USERS, ITEMS, LATENT, TEXT_WIDTH = 30, 40, 4, 12


class LatentClicks:
    """Rows of users and items that are drawn from latent factors.

    A text's vector is a random linear image of its user's or item's factors with a little
    noise; a click follows the product of both factors. The ID model sees neither.

    Args:
        seed: of all that is random.

    Example:

    ```python
    clicks = LatentClicks(seed=0)
    inputs, labels = clicks.rows(256, seed=1)
    ```
    """

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.users, self.items = rng.normal(size=(USERS, LATENT)), rng.normal(size=(ITEMS, LATENT))
        self.tables = {}
        for side, factors in (("user", self.users), ("item", self.items)):
            noise = 0.1 * rng.normal(size=(len(factors), TEXT_WIDTH))
            vectors = factors @ rng.normal(size=(LATENT, TEXT_WIDTH)) + noise
            self.tables[side] = np.concatenate([np.zeros((1, TEXT_WIDTH)), vectors]).astype("float32")

    def rows(self, count, seed):
        """Inputs and labels of `count` rows."""
        rng = np.random.default_rng(seed)
        user, item = rng.integers(USERS, size=count), rng.integers(ITEMS, size=count)
        logits = 2 * np.sum(self.users[user] * self.items[item], axis=1)
        inputs = {
            "user_id": user + 1, "item_id": item + 1,
            "user_text_index": (user + 1).astype("int32"), "item_text_index": (item + 1).astype("int32"),
        }
        return inputs, (rng.random(count) < 1 / (1 + np.exp(-logits))).astype("float32")

    def tower(self):
        """A frozen tower over the texts."""
        return TextTower(self.tables)

    @staticmethod
    def ctr_model():
        """A small ID model of the two fields."""
        fields = [Field("user_id", "categorical", USERS + 1, "user_id"),
                  Field("item_id", "categorical", ITEMS + 1, "item_id")]
        small = {"num_layers": 1, "hidden_units": [16], "dropout": 0.0}
        return CTRModel(fields, embedding_dim=8, backbone_options=small)
