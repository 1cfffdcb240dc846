"""One input of the ID model."""

from __future__ import annotations

import dataclasses

from models.spec.errors import UserError

KINDS = ("categorical", "numeric", "set", "history")


@dataclasses.dataclass(frozen=True)
class Field:
    """One input of the ID model: a transformed feature and the ids it can hold.

    Args:
        name: the feature's name, which is its key among the inputs.
        kind: `categorical`, `numeric`, `set` or `history`.
        num_ids: rows of the embedding table, the padding row 0 included.
        table: name of the embedding table; fields of the same table share it. A
            history's is the name of the feature its entries are values of.
        max_length: ids in a row; 1 unless the kind is `set` or `history`.

    Raises:
        UserError: the kind is unknown, or a number is too small.

    Example:

    ```python
    Field("movie_id", "categorical", num_ids=3708, table="movie_id")
    Field("liked", "history", num_ids=3708, table="movie_id", max_length=10)
    ```
    """

    name: str
    kind: str
    num_ids: int
    table: str
    max_length: int = 1

    def __post_init__(self):
        if self.kind not in KINDS:
            raise UserError(f"field {self.name!r}: kind {self.kind!r} is unknown; "
                            f"there are: {', '.join(KINDS)}")
        if self.num_ids < 2:
            raise UserError(f"field {self.name!r}: num_ids is {self.num_ids}; "
                            "the padding row and one id make 2")
        if self.max_length < 1:
            raise UserError(f"field {self.name!r}: max_length is {self.max_length}; it must be 1 or more")

    @property
    def is_list(self) -> bool:
        """Whether a row may hold several ids."""
        return self.kind in ("set", "history")

    @property
    def value_name(self) -> str | None:
        """The input that holds a numeric field's normalised value; None for the other kinds."""
        return f"{self.name}_value" if self.kind == "numeric" else None

    def to_config(self) -> dict:
        """The field as a dict that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict) -> Field:
        """The inverse of `to_config`."""
        return cls(**config)
