"""What runs left behind that nothing needs any more."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil
from collections.abc import Iterator

from ml_metadata import proto as mlmd_proto

from pipeline.runs.execution_graph import ExecutionGraph
from pipeline.runs.lineage import PUSHED_MODEL
from pipeline.runs.run_state import RunState
from pipeline.runs.run_store import RunStore

# They say what happened, are small, and are what reports and comparisons read.
RECORDS = frozenset({
    "ExampleAnomalies", "ExampleStatistics", "InfraBlessing", "ModelBlessing", "ModelEvaluation", "Schema",
    "components.DeploymentFiles", "components.IngestionReport", "components.ScoredRows"})
_ENDED = (mlmd_proto.Execution.COMPLETE, mlmd_proto.Execution.CACHED)


@dataclasses.dataclass(frozen=True)
class Removable:
    """A folder that nothing needs any more.

    Attributes:
        folder: where it lies.
        node: the component that wrote it.
        run: the run that it was written in.
        bytes: of all of its files.
        artifact: its id in ML Metadata; None for what a component wrote that never ended.
    """

    folder: pathlib.Path
    node: str
    run: str
    bytes: int
    artifact: int | None


@dataclasses.dataclass(frozen=True)
class Garbage:
    """What runs left behind that nothing needs any more.

    Needed are, of each dataset, what the newest runs read or wrote; blessed models and the newest
    version that is served, with all that they were made of; and every run's records, such as
    statistics and evaluations. Where a run goes on, nothing of its dataset is garbage, since it may
    use any earlier result again.

    Attributes:
        removable: folders, in the order in which they were written.
        elsewhere: URIs of artifacts that would be garbage and do not lie where TFX puts them on this
            machine; they are left alone.
        going_on: ids of runs that go on.

    Example:

    ```python
    garbage = Garbage.find(store, keep=10)
    sum(folder.bytes for folder in garbage.removable)
    garbage.remove(store)
    ```
    """

    removable: tuple[Removable, ...]
    elsewhere: tuple[str, ...]
    going_on: tuple[str, ...]

    @classmethod
    def find(cls, store: RunStore, keep: int, blessed: int | None = None) -> Garbage:
        """Looks for it; nothing is changed.

        Args:
            store: of the runs.
            keep: so many of the newest runs of each dataset are kept.
            blessed: so many of the newest blessed models of each dataset; all of them when None.
        """
        graph = ExecutionGraph(store)
        dataset_of = {run.id: run.dataset for run in graph.runs}
        going_on = [run for run in graph.runs if run.state == RunState.RUNNING]
        busy = {run.dataset for run in going_on}
        needed = _of_newest_runs(graph, keep) | _of_models(graph, dataset_of, blessed)
        removable, elsewhere = [], []
        for number, artifact in sorted(graph.artifacts.items()):
            maker = graph.maker.get(number)
            if (number in needed or maker is None or artifact.type in RECORDS
                    or dataset_of[graph.run_of[maker]] in busy):
                continue
            folder = _folder(graph, maker, number)
            if folder is None:
                if artifact.state != mlmd_proto.Artifact.DELETED:
                    elsewhere.append(artifact.uri)
            elif folder.is_dir():
                removable.append(_removable(graph, maker, folder, number))
        removable += _abandoned(graph, dataset_of, busy)
        return cls(tuple(removable), tuple(elsewhere), tuple(run.id for run in going_on))

    def only(self, other: Garbage) -> Garbage:
        """The part of it that is in another one too; what was needed meanwhile is not."""
        folders = {folder.folder for folder in other.removable}
        return dataclasses.replace(
            self, removable=tuple(f for f in self.removable if f.folder in folders), going_on=other.going_on)

    def remove(self, store: RunStore) -> Iterator[tuple[Removable, OSError | None]]:
        """Removes it: first in ML Metadata, so that no run uses again what is half gone.

        Args:
            store: that it was found in.

        Yields:
            Each folder once it was removed, or with the error that kept it from being.
        """
        numbers = [folder.artifact for folder in self.removable if folder.artifact is not None]
        for artifact in store.mlmd.get_artifacts_by_id(numbers) if numbers else ():
            artifact.state = mlmd_proto.Artifact.DELETED
            store.mlmd.put_artifacts([artifact])
        for folder in self.removable:
            try:
                shutil.rmtree(folder.folder)
            except OSError as error:
                yield folder, error
            else:
                yield folder, None


def _of_newest_runs(graph: ExecutionGraph, keep: int) -> set[int]:
    """What the newest runs of each dataset read or wrote, and those that may go on for all that is known."""
    kept, counts = set(), {}
    for run in graph.runs:
        counts[run.dataset] = counts.get(run.dataset, 0) + 1
        if counts[run.dataset] <= keep or run.state == RunState.RUNNING:
            kept.add(run.id)
    return {artifact for execution, run in graph.run_of.items() if run in kept for artifact in graph.touched(execution)}


def _of_models(graph: ExecutionGraph, dataset_of: dict[str, str], blessed: int | None) -> set[int]:
    """Blessed models and what is served, with all that they were made of."""
    models: dict[str, list[int]] = {}
    served: dict[tuple[str, str], tuple[str, int]] = {}
    needed: set[int] = set()
    for number, artifact in sorted(graph.artifacts.items()):
        maker = graph.maker.get(number)
        if maker is None:
            continue
        properties = artifact.custom_properties
        if artifact.type == "ModelBlessing" and properties["blessed"].int_value == 1:
            model = dict(graph.inputs[maker]).get("model")
            if model is not None and model not in models.setdefault(dataset_of[graph.run_of[maker]], []):
                models[dataset_of[graph.run_of[maker]]].append(model)
        elif artifact.type == PUSHED_MODEL and properties["pushed"].int_value == 1:
            destination = properties["pushed_destination"].string_value
            if "://" in destination or os.path.isdir(destination):
                needed.add(number)
                served[(dataset_of[graph.run_of[maker]], os.path.dirname(destination))] = destination, number
    roots = [number for _, number in served.values()]
    for found in models.values():
        roots += found if blessed is None else found[-blessed:]
    for root in roots:
        needed |= graph.made_of(root)
    return needed


def _folder(graph: ExecutionGraph, maker: int, artifact: int) -> pathlib.Path | None:
    """Where an artifact lies, if it is where TFX puts it: `<root>/<node>/<name>/<execution>`."""
    folder = pathlib.PurePosixPath(graph.artifacts[artifact].uri)
    name = next(name for name, number in graph.outputs[maker] if number == artifact)
    if "://" in str(folder) or not folder.is_absolute() or folder.parts[-2:] != (name, str(maker)):
        return None
    return pathlib.Path(folder)


def _abandoned(graph: ExecutionGraph, dataset_of: dict[str, str], busy: set[str]) -> list[Removable]:
    """What components wrote that were killed: TFX knows no artifact of theirs."""
    known = {artifact.uri for artifact in graph.artifacts.values()}
    # Runs of an earlier version did not say whether they go on.
    ended = {run.id for run in graph.runs if run.command is not None and run.dataset not in busy}
    roots: dict[str, set[pathlib.Path]] = {}
    for number, maker in graph.maker.items():
        if folder := _folder(graph, maker, number):
            roots.setdefault(dataset_of[graph.run_of[maker]], set()).add(folder.parents[2])
    found = []
    for number, execution in sorted(graph.executions.items()):
        run = graph.run_of[number]
        if run in ended and execution.last_known_state not in _ENDED:
            # TFX's own files, in `<node>/.system`, lie a level deeper.
            folders = [f for root in sorted(roots.get(dataset_of[run], ())) for f in sorted(root.glob(f"*/*/{number}"))]
            found += [_removable(graph, number, folder, None) for folder in folders
                      if folder.is_dir() and not folder.is_symlink() and str(folder) not in known]
    return found


def _removable(graph: ExecutionGraph, execution: int, folder: pathlib.Path, artifact: int | None) -> Removable:
    return Removable(folder, folder.parents[1].name, graph.run_of[execution], _bytes(folder), artifact)


def _bytes(folder: pathlib.Path) -> int:
    return sum(os.lstat(os.path.join(parent, name)).st_size for parent, _, names in os.walk(folder) for name in names)
