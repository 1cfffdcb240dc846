"""Turns a row's features into the sentences a language model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.spec.dataset_spec import DatasetSpec
from models.spec.feature import SIDES, Feature

Values = Mapping[str, Sequence]


class SentenceWriter:
    """Writes the natural-language prompt of CTRL, one part a side.

    "," separates features, "." ends a side and the list separator of a feature
    separates entries of sets and histories, as in the paper (arXiv 2306.02841,
    sec. 4.1):
    `This is a user, gender is female, who has recently watched Titanic|Avatar.
    This is a movie, title is The Terminator.`

    Args:
        spec: the dataset specification.

    Example:

    ```python
    writer = SentenceWriter(DatasetSpec.load("my.yaml"))
    writer.side("user", {"gender": ["F"], "age": ["1"]})
    # 'This is a user, gender is female, age is under 18.'
    ```
    """

    def __init__(self, spec: DatasetSpec):
        self._spec = spec

    def phrase(self, feature: Feature, values: Values) -> str:
        """One feature's phrase, or "" where there is nothing to say.

        Args:
            feature: a feature with a `text` rule.
            values: feature name to the row's values: strings or bytes, floats for a
                numeric feature; an absent or empty list is a missing value.
        """
        rule = feature.text
        key = feature.history_text or feature.name
        words = [w for w in (self._word(v) for v in values.get(key, ())) if w]
        if not words:
            return rule.missing or ""
        # Not str.format: a phrase may hold other braces.
        return rule.phrase.replace("{}", rule.separator.join(rule.values.get(w, w) for w in words))

    def side(self, side: str, values: Values, with_history: bool = True) -> str:
        """One side's part, `opening, phrase, phrase.`; "" for a side without text.

        Args:
            side: `user`, `item` or `context`.
            values: as for `phrase`.
            with_history: whether histories are written. A frozen language model reads
                sides without them, so that one text serves many rows.
        """
        features = [f for f in self._spec.side(side) if f.text and (with_history or f.kind != "history")]
        if not features:
            return ""
        phrases = filter(None, (self.phrase(f, values) for f in features))
        return ", ".join([self._spec.openings[side], *phrases]) + "."

    def row(self, values: Values) -> str:
        """The whole row's sentence: all sides, histories included."""
        return " ".join(filter(None, (self.side(side, values) for side in SIDES)))

    @staticmethod
    def _word(value) -> str:
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace").strip()
        if isinstance(value, float):
            # A whole number reads as one (1500000, not 1.5e+06); a float32 shows the digits it has.
            return str(int(value)) if value.is_integer() else format(value, ".6g")
        return str(value).strip()
