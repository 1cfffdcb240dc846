import numpy as np
import pytest

from models.feature_embedding import FeatureEmbedding
from models.field import Field
from models.spec.errors import UserError
from tests.model_test_case import ModelTestCase

FIELDS = (
    Field("item", "categorical", 5, "item"),
    Field("price", "numeric", 4, "price"),
    Field("tags", "set", 4, "tags", max_length=2),
    Field("liked", "history", 5, "item", max_length=3),
)
INPUTS = {
    "item": np.array([1, 4], "int64"),
    "price": np.array([2, 3], "int64"),
    "price_value": np.array([0.5, 0.0], "float32"),
    "tags": np.array([[1, 3], [0, 0]], "int64"),
    "liked": np.array([[4, 0, 0], [1, 2, 4]], "int64"),
}


def _set_tables(layer):
    """Row i of the item's table is [i, 10 i]; the price's 100 more, the tags' 1000 more."""
    for name, offset in (("item", 0), ("price", 100), ("tags", 1000)):
        size = layer._tables[name].shape[0]
        layer._tables[name].assign([[i + offset, 10 * i + offset] for i in range(size)])
    layer._directions["price"].assign([2.0, -4.0])


class TestFeatureEmbedding(ModelTestCase):
    def test_basics(self, tmp_path):
        self.check_all(lambda: FeatureEmbedding(FIELDS, 8), INPUTS, (2, 4, 8), tmp_path)

    def test_by_hand(self):
        layer = FeatureEmbedding(FIELDS, 2)
        layer.build()
        _set_tables(layer)
        np.testing.assert_allclose(layer(INPUTS), [
            [[1, 10], [102 + 0.5 * 2, 120 - 0.5 * 4], [1002, 1020], [4, 40]],
            [[4, 40], [103, 130], [0, 0], [7 / 3, 70 / 3]],
        ], rtol=1e-6)

    def test_shares_a_table(self):
        layer = FeatureEmbedding(FIELDS, 3)
        layer.build()
        assert layer.count_params() == (5 + 4 + 4) * 3 + 3
        with pytest.raises(ValueError, match="field 'b' has 6 ids, but table 'a' has 5"):
            FeatureEmbedding([Field("a", "categorical", 5, "a"), Field("b", "history", 6, "a", 2)], 3)

    def test_names_its_inputs_and_needs_no_other(self):
        layer = FeatureEmbedding(FIELDS, 2)
        assert layer.input_names == ["item", "price", "price_value", "tags", "liked"]
        with pytest.raises(ValueError, match="at least one field"):
            FeatureEmbedding([], 2)

    def test_l2_is_the_sum_of_squares(self):
        layer = FeatureEmbedding([FIELDS[1]], 2, l2=0.5)
        layer.build()
        layer._tables["price"].assign([[1, 2], [0, 0], [0, 3], [0, 0]])
        layer._directions["price"].assign([0.0, 4.0])
        assert float(sum(layer.losses)) == pytest.approx(0.5 * (1 + 4 + 9 + 16))

    @pytest.mark.parametrize("pooling", ["din", "din_softmax"])
    def test_basics_with_attention(self, pooling, tmp_path):
        self.check_all(lambda: FeatureEmbedding(FIELDS, 8, history_pooling=pooling),
                       INPUTS, (2, 4, 8), tmp_path)

    @pytest.mark.parametrize("pooling", ["din", "din_softmax"])
    def test_attention_is_that_of_the_item_to_the_history(self, pooling):
        layer = FeatureEmbedding(FIELDS, 2, history_pooling=pooling)
        layer.build()
        _set_tables(layer)
        output, attention = np.asarray(layer(INPUTS)), layer._attentions["liked"]
        assert attention.softmax == (pooling == "din_softmax")
        vectors = np.array([[i, 10 * i] for i in range(5)], "float32")
        expected = attention(vectors[INPUTS["item"]], vectors[INPUTS["liked"]], INPUTS["liked"] > 0)
        np.testing.assert_allclose(output[:, 3], expected, rtol=1e-5)
        mean = FeatureEmbedding(FIELDS, 2)
        mean.build()
        _set_tables(mean)
        np.testing.assert_allclose(output[:, :3], np.asarray(mean(INPUTS))[:, :3], err_msg="the other fields")

    def test_a_history_has_an_attention_of_its_own(self):
        seen = Field("seen", "history", 5, "item", max_length=3)
        layer = FeatureEmbedding([*FIELDS, seen], 2, history_pooling="din")
        layer.build()
        assert sorted(layer._attentions) == ["liked", "seen"]
        one = FeatureEmbedding(FIELDS, 2, history_pooling="din")
        one.build()
        assert layer.count_params() - one.count_params() == (8 * 64 + 64) + (64 * 32 + 32) + (32 + 1)

    def test_refuses_a_pooling_that_cannot_be(self):
        with pytest.raises(UserError, match="is 'sum'; it must be one of: mean, din, din_softmax"):
            FeatureEmbedding(FIELDS, 2, history_pooling="sum")
        with pytest.raises(UserError, match="history 'liked' by the row's 'item', but that is no"):
            FeatureEmbedding(FIELDS[1:], 2, history_pooling="din")
        FeatureEmbedding(FIELDS[:2], 2, history_pooling="din").build()
