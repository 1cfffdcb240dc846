"""The forms that a row's text can take."""

from typing import Literal, get_args

# See `models.sentence_writer.SentenceWriter`.
TextForm = Literal["prose", "dash", "values", "masked_names", "key_value", "field_value"]
TEXT_FORMS: tuple[str, ...] = get_args(TextForm)
PROSE = TEXT_FORMS[0]
