"""Both stages at once: clicks and alignment in one loss."""

import keras
from keras import ops

from models import distribution


class JointModel(keras.Model):
    """Trains the ID model on clicks and on its agreement with the text together.

    The ablation "end to end" of CTRL (arXiv 2306.02841, sec. 5.6.1), which the paper finds
    worse than its two stages. The loss is the mean binary cross-entropy of the clicks,
    plus `weight` times the contrastive loss of the same batch. The ID model alone is kept.

    Metrics beside the compiled ones: `loss`, the whole; `contrastive_loss`, before weighting.

    Args:
        alignment: `AlignmentModel`: the ID model, the tower and their projections, all
            trained.
        weight: of the contrastive loss; 0 trains on clicks alone.

    Call arguments:
        inputs: dict of the transformed features and what the tower reads.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Dict of `logits`, float tensor `[batch]`, on which compiled metrics are computed, and
        `text` and `tabular`, the projections, float `[batch, num_subspaces, width]`.

    Example:

    ```python
    model = compile_ctr(JointModel(AlignmentModel(ctr_model, tower), weight=0.1))
    model.fit(dataset)
    ctr_model.predict(dataset)
    ```
    """

    def __init__(self, alignment, weight=1.0, **kwargs):
        super().__init__(**kwargs)
        self.alignment = alignment
        self.weight = weight
        self._contrastive_loss = keras.metrics.Mean(name="contrastive_loss")
        self.build()

    def build(self, input_shape=None):
        # The alignment model has all its weights from its construction on.
        self.built = True

    def call(self, inputs, training=False):
        ctr_model = self.alignment.ctr_model
        # One pass of the backbone serves both losses.
        representation = ctr_model.represent(inputs, training=training)
        return {
            "logits": ctr_model.logits(representation),
            "text": self.alignment.text_projection(self.alignment.tower(inputs, training=training)),
            "tabular": self.alignment.tabular_projection(representation),
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        labels = ops.cast(ops.reshape(y, (-1,)), y_pred["logits"].dtype)
        loss = ops.mean(ops.binary_crossentropy(labels, y_pred["logits"], from_logits=True))
        contrastive = self.alignment.contrast(x, y_pred["text"], y_pred["tabular"])
        self._contrastive_loss.update_state(contrastive)
        loss = loss + self.weight * contrastive
        for penalty in self.losses:
            loss = loss + ops.sum(penalty)
        return distribution.share_of_loss(loss)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred["logits"], sample_weight)
