"""One input or output of a component."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class ArtifactRecord:
    """One input or output of a component.

    Attributes:
        name: under which the component reads or writes it, as `transform_graph`.
        type: of the artifact, as `TransformGraph`.
        uri: where it lies.
        id: in ML Metadata.
        properties: its custom properties, as plain values.
        deleted: whether its files were removed by `ctrl runs gc`.
    """

    name: str
    type: str
    uri: str
    id: int
    properties: dict[str, str | int | float | bool]
    deleted: bool = False
