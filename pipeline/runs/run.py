"""One run of a pipeline, as ML Metadata knows it."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping

from pipeline.evaluated import AUC, Evaluated
from pipeline.runs.data_file import DataFile
from pipeline.runs.run_state import RunState


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a pipeline, as ML Metadata knows it.

    Apart from the first four, what the store does not say is None or empty: a run of an older
    version wrote less, and one that goes on has no end yet.

    Attributes:
        id: name of its `pipeline_run` context.
        dataset: its name; with `-smoke` at its end for a run with `--smoke`.
        state: what became of it.
        started: when, in UTC.
        ended: likewise.
        command: `run` or `refresh`.
        command_line: what was typed.
        config: the run configuration, by key.
        seed: of initial weights and shuffling.
        backbone: its name.
        language_model: its name.
        text_mode: `frozen` or `finetune`.
        code_version: of the package, and the git commit where there is one.
        files: the log.
        fingerprint: of the log as a whole.
        host: where it ran.
        pid: of its process.
        graph: each component with those that it waits for, in the order of the pipeline.
        rows: of the log that were kept.
        plain: figures of the plain backbone.
        student: figures of the student.
        verdict: `PUSHED` or `NOT PUSHED`.
        reasons: why not.
        pushed: the folder of the pushed version, also when an earlier run pushed it.
        summary: the file that its end was written to.
        failed_component: the component that raised the error.
        error: its message.
    """

    id: str
    dataset: str
    state: RunState
    started: datetime.datetime
    ended: datetime.datetime | None = None
    command: str | None = None
    command_line: str | None = None
    config: dict = dataclasses.field(default_factory=dict)
    seed: int | None = None
    backbone: str | None = None
    language_model: str | None = None
    text_mode: str | None = None
    code_version: str | None = None
    files: tuple[DataFile, ...] = ()
    fingerprint: str | None = None
    host: str | None = None
    pid: int | None = None
    graph: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    rows: int | None = None
    plain: Evaluated | None = None
    student: Evaluated | None = None
    verdict: str | None = None
    reasons: tuple[str, ...] = ()
    pushed: str | None = None
    summary: str | None = None
    failed_component: str | None = None
    error: str | None = None

    @property
    def seconds(self) -> float | None:
        """Wall time, until now where it goes on; None where nobody knows when it ended."""
        if self.state == RunState.RUNNING:
            return (datetime.datetime.now(datetime.timezone.utc) - self.started).total_seconds()
        return (self.ended - self.started).total_seconds() if self.ended else None

    @property
    def auc(self) -> float | None:
        """The student's AUC on the test split."""
        return self.student.overall.get(AUC) if self.student else None

    @property
    def plain_auc(self) -> float | None:
        """The plain backbone's AUC on the test split."""
        return self.plain.overall.get(AUC) if self.plain else None

    def to_dict(self) -> dict:
        """As plain JSON values."""
        values = dataclasses.asdict(self)
        values.update(
            state=self.state.value, seconds=self.seconds, auc=self.auc, plain_auc=self.plain_auc,
            started=self.started.isoformat(), ended=self.ended.isoformat() if self.ended else None)
        return values


def facts_of(properties: Mapping[str, str | int | float | bool]) -> dict:
    """A run's attributes out of the properties that `RunRecord` wrote; others are passed over.

    Example:

    ```python
    facts_of({"seed": 1, "files": '[{"path": "log.csv"}]'})  # {"seed": 1, "files": (DataFile("log.csv"),)}
    ```
    """
    names = {f.name for f in dataclasses.fields(Run)} - {"id", "state", "started", "ended"}
    facts = {name: value for name, value in properties.items() if name in names}
    for name, read in _READERS.items():
        if name in facts:
            facts[name] = read(json.loads(facts[name]))
    for name in ("started", "ended"):
        if name in properties:
            facts[name] = datetime.datetime.fromisoformat(properties[name])
    if "rows" in facts:
        facts["rows"] = int(facts["rows"])
    return facts


def time_of(milliseconds: int) -> datetime.datetime:
    """ML Metadata's milliseconds since the epoch as a time in UTC."""
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc)


# What is written as JSON, since a property holds one value.
_READERS = {
    "config": dict,
    "files": lambda files: tuple(DataFile(**f) for f in files),
    "graph": dict,
    "plain": lambda values: Evaluated(**values),
    "student": lambda values: Evaluated(**values),
    "reasons": tuple,
}
