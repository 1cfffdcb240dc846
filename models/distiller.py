"""Stage 2: the pure-ID student learns from clicks and, softly, from the teacher."""

import keras
from keras import ops

from models import distribution
from models.max_sim import unit_length
from models.soft_labels import TEACHER_LOGIT
from models.spec.errors import UserError


class Distiller(keras.Model):
    """Trains the student on clicks and on the teacher's soft labels.

    The loss is the binary cross-entropy of the clicks, plus `weight * temperature^2`
    times the binary cross-entropy of the student's softened prediction against the
    teacher's (Hinton et al., arXiv 1503.02531), plus `feature_weight` times the mean
    squared difference of the two models' cosine similarities between the batch's rows
    (Tung & Mori, arXiv 1907.09682), which asks for no layer to match their widths.

    The soft labels are computed by the teacher in each step, or come with the rows: made
    beforehand by teachers that had not seen them (`soft_labels`).

    With both weights 0, or without a teacher, this is exactly the second stage of CTRL
    (arXiv 2306.02841, sec. 4.3): the teacher is not called, nor kept. The prediction
    is the student's, so metrics are compiled as for any model that returns logits.
    The student alone is exported; it has no weight that a plain `CTRModel` lacks.

    Metrics beside the compiled ones: `loss`, the whole; with a teacher `click_loss` and
    `soft_loss`, its first two terms before weighting. `val_click_loss` is comparable
    between weights, `val_loss` is not.

    Args:
        student: `CTRModel`, trained.
        teacher: `TeacherModel` over an ID model of its own, or None. It is frozen by
            this, and runs in inference mode without a gradient.
        weight: of the soft labels.
        temperature: by which both logits are divided for the soft labels.
        feature_weight: of the similarity term, which takes a second forward pass of
            the student.
        soft_labels: whether the rows bring their soft labels, as the input
            `teacher_logit`, float `[batch]`; there is no teacher then. Rows without it,
            as in validation, are learnt from their clicks alone.

    Call arguments:
        inputs: dict of the transformed features; in training also what the teacher's
            tower reads.
        training: whether the student's dropout and batch normalisation are in training
            mode.

    Returns:
        The student's logits, float tensor `[batch]`.

    Raises:
        UserError: a weight is negative, the temperature is not positive, or a weight
            asks for a teacher that is not there.
        ValueError: the teacher reads the student's own weights.

    Example:

    ```python
    distiller = Distiller(student, teacher, weight=0.5, temperature=2.0)
    distiller.compile("adam", metrics=[keras.metrics.AUC(from_logits=True, name="auc")])
    distiller.fit(dataset)
    student.save_weights("student.weights.h5")
    ```
    """

    def __init__(self, student, teacher=None, weight=0.0, temperature=1.0, feature_weight=0.0, soft_labels=False,
                 **kwargs):
        super().__init__(**kwargs)
        for name, value in (("weight", weight), ("feature_weight", feature_weight)):
            if not value >= 0:
                raise UserError(f"distillation {name} is {value}; it must be 0 or more")
        if not temperature > 0:
            raise UserError(f"distillation temperature is {temperature}; it must be more than 0")
        if soft_labels and (teacher is not None or feature_weight > 0):
            raise UserError("soft labels that come with the rows leave no part to a teacher, and no feature_weight")
        taught = (weight > 0 or feature_weight > 0) and not soft_labels
        if taught and teacher is None:
            raise UserError(f"distillation weight is {weight} and feature_weight {feature_weight}, but there "
                            "is no teacher; without one both must be 0")
        if teacher is not None and teacher.ctr_model is student:
            raise ValueError("the teacher reads the student itself; give it a copy of the aligned model")
        self.student = student
        self.teacher = teacher if taught else None
        self.weight = weight
        self.temperature = temperature
        self.feature_weight = feature_weight
        if taught:
            self.teacher.trainable = False
            self._click_loss = keras.metrics.Mean(name="click_loss")
            self._soft_loss = keras.metrics.Mean(name="soft_loss")
        self.build()

    def build(self, input_shape=None):
        # Student and teacher have all their weights from their construction on.
        self.built = True

    def call(self, inputs, training=False):
        return self.student(inputs, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        click_losses = _cross_entropy(ops.cast(ops.reshape(y, (-1,)), y_pred.dtype), y_pred)
        loss = _mean(click_losses, sample_weight)
        if self.teacher is not None:
            self._click_loss.update_state(click_losses, sample_weight=sample_weight)
            loss = loss + self._taught_loss(x, y_pred, sample_weight, training)
        elif self.weight > 0 and TEACHER_LOGIT in x:
            loss = loss + self._weighted(self._soft_losses(x[TEACHER_LOGIT], y_pred), sample_weight)
        for penalty in self.losses:
            loss = loss + ops.sum(penalty)
        return distribution.share_of_loss(loss)

    def _taught_loss(self, x, y_pred, sample_weight, training):
        """The weighted terms that come from the teacher."""
        features = ops.stop_gradient(self.teacher.represent(x, training=False))
        loss = 0.0
        if self.weight > 0:
            soft_losses = self._soft_losses(ops.stop_gradient(self.teacher.logits(features)), y_pred)
            self._soft_loss.update_state(soft_losses, sample_weight=sample_weight)
            loss = loss + self._weighted(soft_losses, sample_weight)
        if self.feature_weight > 0:
            difference = _cosines(self.student.represent(x, training=training)) - _cosines(features)
            loss = loss + self.feature_weight * ops.mean(ops.square(difference))
        return loss

    def _soft_losses(self, teacher_logits, logits):
        return _cross_entropy(ops.sigmoid(teacher_logits / self.temperature), logits / self.temperature)

    def _weighted(self, soft_losses, sample_weight):
        # A softened gradient shrinks with the square of the temperature.
        return self.weight * self.temperature**2 * _mean(soft_losses, sample_weight)


def _cross_entropy(labels, logits):
    """Binary cross-entropy a row, stable for large logits."""
    return ops.binary_crossentropy(labels, logits, from_logits=True)


def _mean(losses, sample_weight):
    if sample_weight is None:
        return ops.mean(losses)
    sample_weight = ops.cast(ops.reshape(sample_weight, (-1,)), losses.dtype)
    return ops.sum(losses * sample_weight) / ops.maximum(ops.sum(sample_weight), 1e-12)


def _cosines(features):
    """Cosine between every two rows, `[batch, batch]`; of several replicas, between own rows and all."""
    features = unit_length(ops.cast(features, "float32"))
    all_features, _ = distribution.gather_rows(features)
    return ops.matmul(features, ops.transpose(all_features))
