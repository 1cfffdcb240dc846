import json

import pytest

from models.field import Field
from models.spec.errors import UserError


def test_config_round_trip_by_json():
    field = Field("liked", "history", num_ids=9, table="movie_id", max_length=3)
    assert Field.from_config(json.loads(json.dumps(field.to_config()))) == field
    assert field.is_list and field.value_name is None


def test_numeric_has_a_value_input():
    field = Field("price", "numeric", num_ids=6, table="price")
    assert field.value_name == "price_value" and not field.is_list


@pytest.mark.parametrize("change, words", [
    ({"kind": "text"}, "kind 'text' is unknown; there are: categorical"),
    ({"num_ids": 1}, "num_ids is 1"),
    ({"max_length": 0}, "max_length is 0"),
])
def test_refuses_what_cannot_be(change, words):
    with pytest.raises(UserError, match=words):
        Field(**{"name": "a", "kind": "set", "num_ids": 3, "table": "a", **change})
