import keras
import numpy as np
import pytest

from models import backbones
from models.ctr_model import CTRModel
from models.field import Field
from models.spec.errors import UserError
from models.training import compile_ctr
from tests.model_test_case import ModelTestCase

FIELDS = (
    Field("item", "categorical", 5, "item"),
    Field("price", "numeric", 4, "price"),
    Field("liked", "history", 5, "item", max_length=2),
)
INPUTS = {
    "item": np.array([1, 4, 2], "int64"),
    "price": np.array([2, 3, 1], "int64"),
    "price_value": np.array([0.5, 0.0, -1.0], "float32"),
    "liked": np.array([[4, 0], [1, 2], [0, 0]], "int64"),
}


def _new(**options):
    return CTRModel(FIELDS, embedding_dim=4, backbone_options={"hidden_units": [6]}, **options)


class TestCTRModel(ModelTestCase):
    def test_basics(self, tmp_path):
        self.check_all(_new, INPUTS, (3,), tmp_path)

    def test_counts_its_weights_before_the_first_row(self):
        embedding = (5 + 4) * 4 + 4
        attention = 3 * 4 * (4 * 4)
        tower = 12 * 6 + 4 * 6
        assert _new().count_params() == embedding + attention + tower + (12 + 6) + 1

    def test_logit_is_linear_in_the_representation(self):
        model = _new()
        representation = np.asarray(model.represent(INPUTS))
        assert representation.shape == (3, model.representation_dim) == (3, 18)
        kernel, bias = (np.asarray(w) for w in model.output_layer.weights)
        expected = (representation @ kernel + bias)[:, 0]
        np.testing.assert_allclose(model(INPUTS), expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("backbone", backbones.names())
    def test_every_backbone(self, backbone, tmp_path):
        rng = np.random.default_rng(1)
        # So many rows that no ReLU unit is shut for all, as the one of FiBiNET's SENET may be for three.
        inputs = {
            "item": rng.integers(1, 5, 50),
            "price": rng.integers(1, 4, 50),
            "price_value": rng.normal(size=50).astype("float32"),
            "liked": rng.integers(0, 5, (50, 2)),
        }
        self.check_all(lambda: CTRModel(FIELDS, backbone, embedding_dim=4), inputs, (50,), tmp_path)
        model = CTRModel(FIELDS, backbone, embedding_dim=4)
        assert model.represent(inputs).shape == (50, model.representation_dim)

    def test_first_order_by_hand(self):
        model = CTRModel(FIELDS, "deepfm", embedding_dim=4, backbone_options={"hidden_units": ()})
        assert model.count_params() == (5 + 4) * 4 + 4 + (5 + 4) + 1 + 2 + 1
        weights = {w.name: w for w in model.first_order.weights}
        weights["item_embeddings"].assign([[0], [1], [2], [3], [4]])
        weights["price_embeddings"].assign([[0], [10], [20], [30]])
        weights["price_direction"].assign([100])
        # Item, price's bucket and 100 times its value, mean of the history.
        expected = [1 + 20 + 50 + 4, 4 + 30 + 1.5, 2 + 10 - 100]
        np.testing.assert_allclose(model.represent(INPUTS)[:, 0], expected, rtol=1e-6)

    def test_first_order_only_where_the_backbone_asks(self):
        assert _new().first_order is None
        model = CTRModel(FIELDS, "wide_deep", embedding_dim=4, embedding_l2=0.5)
        weights = [*model.embedding.weights, *model.first_order.weights]
        penalty = 0.5 * sum(float(keras.ops.sum(w**2)) for w in weights)
        assert float(sum(model.losses)) == pytest.approx(penalty, rel=1e-5)

    def test_ignores_other_inputs(self):
        model = _new()
        more = {**INPUTS, "item_text_key": np.array([7, 8, 9]), "token_ids": np.zeros((3, 5), "int64")}
        np.testing.assert_array_equal(model(more), model(INPUTS))
        assert model.input_names == ["item", "price", "price_value", "liked"]

    def test_reset_changes_the_output_layer_alone(self):
        model = _new()
        model.output_layer.bias.assign([3.0])
        before = [np.array(w) for w in model.weights]
        model.reset_output_layer()
        changed = [w.path for old, w in zip(before, model.weights) if not np.array_equal(old, w)]
        assert sorted(changed) == sorted(w.path for w in model.output_layer.weights)
        assert float(model.output_layer.bias[0]) == 0
        second = np.array(model.output_layer.kernel)
        model.reset_output_layer(log_odds=-1.5)
        assert float(model.output_layer.bias[0]) == -1.5
        assert not np.array_equal(second, model.output_layer.kernel)

    def test_l2_option(self):
        assert not _new().losses
        model = _new(embedding_l2=0.1)
        squares = sum(float(keras.ops.sum(w**2)) for w in model.embedding.weights)
        assert float(sum(model.losses)) == pytest.approx(0.1 * squares, rel=1e-5)

    def test_whole_model_file(self, tmp_path):
        model = _new()
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(loaded(INPUTS), model(INPUTS))

    def test_history_pooling_reaches_the_embedding_alone(self, tmp_path):
        model = CTRModel(FIELDS, "deepfm", embedding_dim=4, history_pooling="din")
        assert model.embedding.history_pooling == "din"
        assert model.first_order.history_pooling == "mean"
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        assert loaded.get_config() == model.get_config()
        np.testing.assert_array_equal(loaded(INPUTS), model(INPUTS))

    def test_unknown_backbone(self):
        with pytest.raises(UserError, match="backbone 'mlp' is unknown"):
            CTRModel(FIELDS, backbone="mlp")


def test_tables_are_where_they_are_told_to_be_and_learn_there():
    model = CTRModel([Field("id", "categorical", 5, "id")], embedding_dim=2, embedding_device="cpu:0")
    assert "CPU:0" in model.embedding.tables["id"].value.device
    compile_ctr(model)
    before = np.array(model.embedding.tables["id"])
    model.fit({"id": np.array([1, 2])}, np.array([0, 1]), verbose=0)
    assert "CPU:0" in model.optimizer._momentums[0].value.device
    assert (np.array(model.embedding.tables["id"])[1:3] != before[1:3]).any()
    assert CTRModel.from_config(model.get_config()).embedding_device == "cpu:0"
