"""What a pushed model was made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from pipeline.runs.component_execution import ComponentExecution


@dataclasses.dataclass(frozen=True)
class Ancestor:
    """An artifact that something was made of.

    Attributes:
        component: that made it; "an earlier run" where this one only looked it up.
        name: of the component's output.
        type: of the artifact.
        id: in ML Metadata.
        uri: where it lies.
        made_in: the run that made it, where that was another.
        deleted: whether its files were removed.
    """

    component: str
    name: str
    type: str
    id: int
    uri: str
    made_in: str | None
    deleted: bool


def ancestors(components: Sequence[ComponentExecution], of: str) -> list[Ancestor]:
    """The artifacts that went into a component and what came of it, in the order of the pipeline.

    Args:
        components: of the run.
        of: the component, as `Pusher`.
    """
    makers = {a.id: c for c in components for a in c.outputs if not c.is_resolver}
    found, open_nodes, seen = {}, [c for c in components if c.node == of], set()
    while open_nodes:
        component = open_nodes.pop()
        if component.id in seen:
            continue
        seen.add(component.id)
        own = component.outputs if component.node == of else ()
        for artifact in (*component.inputs, *own):
            maker = makers.get(artifact.id)
            found[artifact.id] = Ancestor(
                maker.node if maker else "an earlier run", artifact.name, artifact.type, artifact.id, artifact.uri,
                maker.made_in if maker else None, artifact.deleted)
            if maker:
                open_nodes.append(maker)
    order = [c.node for c in components]
    return sorted(found.values(), key=lambda a: (order.index(a.component) if a.component in order else -1, a.id))
