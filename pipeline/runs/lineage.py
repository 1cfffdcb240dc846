"""Where an artifact came from, and what became of it."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Collection, Iterable, Iterator

from ml_metadata import proto as mlmd_proto

from pipeline.runs.artifact_record import ArtifactRecord
from pipeline.runs.data_file import DataFile
from pipeline.runs.records import INPUTS, OUTPUTS, artifact_record, name_of, place_of, plain
from pipeline.runs.run import Run, time_of
from pipeline.runs.run_store import RunStore

PUSHED_MODEL = "PushedModel"
# The gate compares with it; nothing is made of it.
_BASELINE = "baseline_model"


@dataclasses.dataclass(frozen=True)
class Step:
    """A component's execution that an artifact came through.

    Attributes:
        id: of the execution.
        node: its component's id.
        run: the id of its run.
        started: when.
        parameters: its execution properties.
        inputs: name and artifact id of what it read, by name.
    """

    id: int
    node: str
    run: str
    started: datetime.datetime
    parameters: dict[str, str | int | float | bool]
    inputs: tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True)
class Lineage:
    """Where an artifact came from, and what became of it.

    Attributes:
        target: the artifact.
        artifacts: by id, the target and everything that it was made of.
        steps: artifact id to the execution that made it, of all that were not made elsewhere.
        runs: of these executions, oldest first.
        files: of the log, as the run found them.
        fingerprints: of the log as a whole, one for each time that it was read.
        schema: of the log.
        config: configuration of the run that made the target.
        language_model: its name.
        language_model_fingerprint: digest of its weights.
        pushed: models that were pushed and made of it; itself, where it is one.
        deployments: the folders with files for a stock server that were written for these.

    Example:

    ```python
    lineage = Lineage.trace(store, 25)
    [file.path for file in lineage.files]
    ```
    """

    target: ArtifactRecord
    artifacts: dict[int, ArtifactRecord]
    steps: dict[int, Step]
    runs: tuple[Run, ...]
    files: tuple[DataFile, ...]
    fingerprints: tuple[str, ...]
    schema: ArtifactRecord | None
    config: dict
    language_model: str | None
    language_model_fingerprint: str | None
    pushed: tuple[ArtifactRecord, ...]
    deployments: tuple[str, ...]

    @classmethod
    def trace(cls, store: RunStore, artifact: int) -> Lineage:
        """Follows an artifact both ways.

        Args:
            store: that holds it.
            artifact: its id.
        """
        steps = _upstream(store, artifact)
        made_of = {artifact, *(number for step in steps.values() for _, number in step.inputs)}
        artifacts = {a.id: artifact_record(a) for a in store.mlmd.get_artifacts_by_id(made_of)}
        runs = {name: store.get(name) for name in sorted({step.run for step in steps.values() if step.run})}
        ordered = sorted({step.id: step for step in steps.values()}.values(), key=lambda step: step.id)
        language_model = next(filter(None, map(_language_model, ordered)), (None, None))
        pushed, deployments = _downstream(store, artifact)
        return cls(
            target=artifacts[artifact], artifacts=artifacts, steps=steps, runs=tuple(runs.values()),
            files=_files(ordered, runs),
            fingerprints=tuple(s.parameters["fingerprint"] for s in ordered if "fingerprint" in s.parameters),
            schema=_schema(ordered, steps, artifacts),
            config=_config(ordered, runs),
            language_model=language_model[0], language_model_fingerprint=language_model[1],
            pushed=pushed, deployments=deployments)

    def to_dict(self) -> dict:
        """As plain JSON values."""
        values = dataclasses.asdict(self)
        values["runs"] = [{"id": r.id, "started": r.started.isoformat(), "code_version": r.code_version,
                           "command_line": r.command_line} for r in self.runs]
        for step in values["steps"].values():
            step["started"] = step["started"].isoformat()
        return values


def _upstream(store: RunStore, artifact: int) -> dict[int, Step]:
    """What made an artifact and, in turn, what that read. Baselines are not followed."""
    found, steps, frontier = {}, {}, {artifact}
    while frontier:
        makers = makers_of(store, frontier)
        wanted = set(makers.values()) - steps.keys()
        steps.update({step.id: step for step in _steps(store, wanted)})
        found.update({made: steps[maker] for made, maker in makers.items()})
        frontier = {number for maker in wanted for name, number in steps[maker].inputs
                    if name != _BASELINE} - found.keys()
    return found


def makers_of(store: RunStore, artifacts: Collection[int]) -> dict[int, int]:
    """Artifact id to the execution that made it; those that used it again came later."""
    makers: dict[int, int] = {}
    for event in store.mlmd.get_events_by_artifact_ids(list(artifacts)):
        if event.type in OUTPUTS:
            makers[event.artifact_id] = min(event.execution_id, makers.get(event.artifact_id, event.execution_id))
    return makers


def _steps(store: RunStore, executions: Collection[int]) -> Iterator[Step]:
    if not executions:
        return
    events = store.mlmd.get_events_by_execution_ids(list(executions))
    for execution in store.mlmd.get_executions_by_id(list(executions)):
        node, run = place_of(store.mlmd, execution.id)
        yield Step(
            id=execution.id, node=node or execution.type, run=run, started=time_of(execution.create_time_since_epoch),
            parameters=plain(execution.custom_properties),
            inputs=tuple(sorted((name_of(e), e.artifact_id) for e in events
                                if e.execution_id == execution.id and e.type in INPUTS)))


def _downstream(store: RunStore, artifact: int) -> tuple[tuple[ArtifactRecord, ...], tuple[str, ...]]:
    """The pushed models that were made of an artifact, and the deployments that were made of these."""
    seen, frontier, folders = {artifact}, {artifact}, []
    while frontier:
        events = [e for e in store.mlmd.get_events_by_artifact_ids(list(frontier))
                  if e.type in INPUTS and name_of(e) != _BASELINE]
        readers = store.mlmd.get_executions_by_id({e.execution_id for e in events}) if events else []
        # What is cached made nothing new.
        made = [e for e in readers if e.last_known_state == mlmd_proto.Execution.COMPLETE]
        folders += [folder for e in made if (folder := e.custom_properties["deployment_dir"].string_value)]
        outputs = store.mlmd.get_events_by_execution_ids([e.id for e in made]) if made else []
        frontier = {e.artifact_id for e in outputs if e.type in OUTPUTS} - seen
        seen |= frontier
    found = sorted(store.mlmd.get_artifacts_by_id(seen), key=lambda a: a.id)
    pushed = [artifact_record(a) for a in found if a.type == PUSHED_MODEL]
    return tuple(a for a in pushed if a.properties.get("pushed") == 1), tuple(dict.fromkeys(folders))


def _files(steps: Iterable[Step], runs: dict[str, Run]) -> tuple[DataFile, ...]:
    """The files that the readers of the log among the steps read; in what state, their runs say."""
    found = {}
    for step in steps:
        paths = [path for path in str(step.parameters.get("files", "")).split("\n") if path]
        known = {file.path: file for file in runs[step.run].files} if step.run in runs else {}
        found.update({path: known.get(path, DataFile(path)) for path in paths})
    return tuple(found.values())


def _schema(steps: Iterable[Step], made_by: dict[int, Step], artifacts) -> ArtifactRecord | None:
    """The first schema: later ones describe what was made of the log."""
    order = [step.id for step in steps]
    found = [a for a in artifacts.values() if a.type == "Schema" and a.id in made_by]
    return min(found, key=lambda a: order.index(made_by[a.id].id), default=None)


def _config(steps: Iterable[Step], runs: dict[str, Run]) -> dict:
    """That of the run of the last step; of an earlier version's, what its trainers were given."""
    together, last = {}, None
    for step in steps:
        together.update(_custom_config(step).get("config", {}))
        last = step
    return (runs[last.run].config if last and last.run in runs else {}) or together


def _language_model(step: Step) -> tuple[str, str | None] | None:
    name, digest = (step.parameters.get(key) for key in ("language_model", "language_model_fingerprint"))
    # A trainer that trains the language model itself has both among its own settings.
    custom = _custom_config(step)
    name = name or (custom.get("config", {}).get("language_model") if "language_model_fingerprint" in custom else None)
    return (name, digest or custom.get("language_model_fingerprint")) if name else None


def _custom_config(step: Step) -> dict:
    return json.loads(step.parameters.get("custom_config") or "null") or {}
