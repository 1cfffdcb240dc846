"""Turns a row's features into the sentences a language model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from models.spec.feature import SIDES, Feature
from models.spec.text_form import PROSE, TEXT_FORMS, TextForm

Values = Mapping[str, Sequence]
# Form to a feature's phrase, what stands between two of them, and what ends a side.
_PLAIN = {
    "dash": ("{field}-{value}", ", ", "."),
    "values": ("{value}", " ", ""),
    "masked_names": ("Field-{value}", ", ", "."),
    "key_value": ("{field}: {value}", ", ", "."),
    "field_value": ("{field} is {value}", ". ", "."),
}


class SentenceWriter:
    """Writes the prompt of CTRL, one part a side.

    In the form `prose`, "," separates features, "." ends a side and the list separator
    of a feature separates entries of sets and histories, as in the paper
    (arXiv 2306.02841, sec. 4.1):
    `This is a user, gender is female, who has recently watched Titanic|Avatar.
    This is a movie, title is The Terminator.`

    The other forms say the same values without the words around them. Four are made as
    the paper describes those that it compares prose with (sec. 5.6.2), the last as in
    ClickPrompt (arXiv 2310.09234). A field is called like its feature, with blanks for
    underscores:

    | form | example | after |
    |---|---|---|
    | `prose` | `This is a user, gender is female, age is 18.` | prompt 1 |
    | `dash` | `gender-female, age-18.` | prompt 2 |
    | `values` | `female 18` | prompt 3 |
    | `masked_names` | `Field-female, Field-18.` | prompt 4 |
    | `key_value` | `gender: female, age: 18.` | prompt 5 |
    | `field_value` | `gender is female. age is 18.` | ClickPrompt |

    What a specification says of a missing value (`text.missing`) is prose; the other
    forms leave the feature out.

    Args:
        spec: the dataset specification.
        form: one of the above.

    Raises:
        UserError: the form is unknown.

    Example:

    ```python
    writer = SentenceWriter(DatasetSpec.load("my.yaml"))
    writer.side("user", {"gender": ["F"], "age": ["1"]})
    # 'This is a user, gender is female, age is under 18.'
    ```
    """

    def __init__(self, spec: DatasetSpec, form: TextForm = PROSE):
        if form not in TEXT_FORMS:
            raise UserError(f"text form {form!r} is unknown; there are: {', '.join(TEXT_FORMS)}")
        self._spec = spec
        self._plain = _PLAIN.get(form)

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
        value = rule.separator.join(rule.values.get(w, w) for w in words)
        if self._plain:
            return self._plain[0].format(field=feature.name.replace("_", " "), value=value) if words else ""
        # Not str.format: a phrase may hold other braces.
        return rule.phrase.replace("{}", value) if words else rule.missing or ""

    def side(self, side: str, values: Values, with_history: bool = True) -> str:
        """One side's part, as prose `opening, phrase, phrase.`; "" for a side without text.

        Args:
            side: `user`, `item` or `context`.
            values: as for `phrase`.
            with_history: whether histories are written. A frozen language model reads
                sides without them, so that one text serves many rows.
        """
        features = [f for f in self._spec.side(side) if f.text and (with_history or f.kind != "history")]
        if not features:
            return ""
        phrases = [p for p in (self.phrase(f, values) for f in features) if p]
        if self._plain:
            _, between, end = self._plain
            return between.join(phrases) + end if phrases else ""
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
