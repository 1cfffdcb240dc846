import keras
import numpy as np

from models import alignment_snapshot
from models.alignment_model import AlignmentModel
from tests.unit.latent_clicks import LatentClicks


def test_a_snapshot_shows_what_evaluation_measures_and_survives_a_file(tmp_path):
    keras.utils.set_random_seed(7)
    clicks = LatentClicks()
    inputs, _ = clicks.rows(40, seed=3)
    model = AlignmentModel(clicks.ctr_model(), clicks.tower(), num_subspaces=2, width=4, temperature=0.5)
    model.compile(optimizer="adam", jit_compile=False)
    expected = model.evaluate(inputs, batch_size=40, verbose=0, return_dict=True)
    found = alignment_snapshot.snapshot(model, inputs)
    for name in ("alignment", "uniformity", "text_to_tabular_accuracy"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
    masked = np.where(found["same_text"], -np.inf, found["similarity"])
    assert found["same_text"].any() and not found["same_text"].diagonal().any()
    assert (masked.argmax(1) == np.arange(40)).mean() == np.float32(found["text_to_tabular_accuracy"])

    path = str(tmp_path / "snapshots.npz")
    assert not alignment_snapshot.exists(path)
    alignment_snapshot.save(path, before=found, after=found)
    loaded = alignment_snapshot.load(path)
    assert set(loaded) == {"before", "after"} and set(loaded["after"]) == set(found)
    np.testing.assert_array_equal(loaded["after"]["similarity"], found["similarity"])
