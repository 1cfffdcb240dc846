"""Texts in place of clicks: what the map is for, on clicks of known origin."""

import keras
import numpy as np
from sklearn.metrics import roc_auc_score

from models.embedding_rows import rows_of, with_more_rows
from models.text_to_embedding import TextToEmbedding
from models.training import compile_ctr
from tests.unit.latent_clicks import ITEMS, LatentClicks

HIDDEN = 8


def test_rows_made_from_texts_tell_clicks_on_items_that_training_never_saw():
    keras.utils.set_random_seed(1)
    clicks = LatentClicks(seed=0)
    inputs, labels = clicks.rows(16_384, seed=1)
    # The last items stay unseen: their rows keep their initial values, as a shared row nobody trained.
    seen = inputs["item_id"] <= ITEMS - HIDDEN
    model = compile_ctr(clicks.ctr_model(), learning_rate=3e-3, weight_decay=0.0)
    model.fit({k: v[seen] for k, v in inputs.items()}, labels[seen], batch_size=512, epochs=6, verbose=0)

    ids = np.arange(1, ITEMS + 1)
    counts = np.bincount(inputs["item_id"][seen], minlength=ITEMS + 1)[1:]
    mapping = TextToEmbedding().fit(clicks.tables["item"][1:], rows_of(model, "item_id")[ids], counts)
    made = mapping.predict(clicks.tables["item"][ids[-HIDDEN:]])
    larger = with_more_rows(model, {"item_id": np.concatenate([made, mapping.mean_row[None]])})
    # Ids behind those of training: a row for each hidden item, then the mean.
    first = ITEMS + 1

    tested, truth = clicks.rows(8_192, seed=2)
    cold = tested["item_id"] > ITEMS - HIDDEN
    tested, truth = {k: v[cold] for k, v in tested.items()}, truth[cold]

    def auc(item_ids):
        return roc_auc_score(truth, np.asarray(larger({**tested, "item_id": item_ids})))

    text = auc(tested["item_id"] - (ITEMS - HIDDEN) - 1 + first)
    mean = auc(np.full(len(truth), first + HIDDEN))
    shared = auc(tested["item_id"])
    assert mapping.explained > 0.5
    assert text > max(mean, shared) + 0.15
    assert text > 0.7
