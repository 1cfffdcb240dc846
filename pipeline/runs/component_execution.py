"""How one component of a run went."""

from __future__ import annotations

import dataclasses
import datetime

from pipeline.runs.artifact_record import ArtifactRecord

RESOLVER = "tfx.dsl.components.common.resolver.Resolver"


@dataclasses.dataclass(frozen=True)
class ComponentExecution:
    """How one component of a run went.

    Attributes:
        node: its id in the pipeline.
        type: its class, with the module.
        state: `complete`, `cached`, `running`, `failed`, `interrupted`, or `canceled`.
        started: when it began.
        seconds: wall time, until now where it goes on.
        id: of the execution in ML Metadata.
        inputs: what it read.
        outputs: what it wrote, or used again.
        parameters: its execution properties, as plain values.
        made_by: where it is cached, the id of the execution that made its outputs.
        made_in: the id of that one's run.
        error: why it failed.
    """

    node: str
    type: str
    state: str
    started: datetime.datetime
    seconds: float
    id: int
    inputs: tuple[ArtifactRecord, ...]
    outputs: tuple[ArtifactRecord, ...]
    parameters: dict[str, str | int | float | bool]
    made_by: int | None = None
    made_in: str | None = None
    error: str | None = None

    @property
    def cached(self) -> bool:
        """Whether an earlier result was used again."""
        return self.state == "cached"

    @property
    def is_resolver(self) -> bool:
        """Whether it only looks up artifacts of earlier runs."""
        return self.type == RESOLVER
