"""Writes what happens to a run into ML Metadata."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import shlex
import sys

from ml_metadata import errors, metadata_store
from ml_metadata import proto as mlmd_proto

from models.spec.errors import UserError
from pipeline.runs import this_process
from pipeline.runs.code_version import code_version
from pipeline.runs.run_state import RunState

_TYPE = mlmd_proto.ContextType(name="pipeline_run")
_PASSWORD = re.compile(r"(?<=://)([^/\s:@]+):[^/\s@]+@|(?<=[?&]sslpassword=)[^&\s]+")
_LONGEST_ERROR = 2000


class RunRecord:
    """Keeps a run's facts in its `pipeline_run` context, which TFX finds when it starts components.

    Within it, the run is `running` from the runner's start on; it ends as `complete` once `complete` was called, as
    `failed` by an error and as `interrupted` by Ctrl-C. A process that is killed writes nothing
    more; `RunStore` sees that it is gone.

    Args:
        connection: the store's connection configuration.
        runner: a `LocalRunner`: its `run_id`, which is settled when it calls its `on_start`, and its
            `current` component at an error.
        started: when the run began, with a time zone; now when absent.
        facts: attributes of `pipeline.runs.run.Run`, None for what is not known.

    Example:

    ```python
    with RunRecord(connection, runner, dataset="sample", seed=1) as record:
        runner.run(pipeline)
        record.complete(verdict="PUSHED")
    ```
    """

    def __init__(
        self, connection: mlmd_proto.ConnectionConfig, runner, started: datetime.datetime | None = None, **facts):
        self._connection, self._runner, self._facts = connection, runner, facts
        self._started = started or _now()
        self._begun = self._completed = False

    def __enter__(self) -> RunRecord:
        self._runner.on_start = self._begin
        return self

    def __exit__(self, kind, error, traceback) -> None:
        if self._completed:
            return
        if not self._begun:
            self._begin()
        failed = isinstance(error, Exception)
        self._end(
            RunState.FAILED if failed else RunState.INTERRUPTED,
            failed_component=self._runner.current,
            error=_message(error, self._runner.current) if failed else None)

    def complete(self, **facts) -> None:
        """The run came to a verdict.

        Args:
            facts: further attributes of `Run`.
        """
        self._end(RunState.COMPLETE, **facts)
        self._completed = True

    def _begin(self) -> None:
        self._begun = True
        self._write({
            **self._facts, "state": RunState.RUNNING.value, "started": self._started.isoformat(),
            "command_line": command_line(sys.argv[1:]), "code_version": code_version(),
            "host": platform.node(), "pid": os.getpid(), "process": this_process.identify()})

    def _end(self, state: RunState, **facts) -> None:
        self._write({**facts, "state": state.value, "ended": _now().isoformat()})

    def _write(self, facts: dict) -> None:
        """Sets properties of the run's context, which is made when there is none yet."""
        store = metadata_store.MetadataStore(self._connection)
        context = mlmd_proto.Context(
            type_id=store.put_context_type(_TYPE, can_omit_fields=True), name=self._runner.run_id)
        for name, value in facts.items():
            if value is not None:
                _set(context.custom_properties[name], value)
        try:
            store.put_contexts([context])
        except errors.AlreadyExistsError:
            context.id = store.get_context_by_type_and_name(_TYPE.name, context.name).id
            # Without a mask, the properties that are not named here would be removed.
            store.put_contexts([context], [f"custom_properties.{name}" for name in context.custom_properties])


def command_line(arguments: list[str]) -> str:
    """What was typed, without passwords in URIs.

    Example:

    ```python
    command_line(["run", "--metadata", "mysql://ctrl:secret@db/runs"])
    # "ctrl run --metadata 'mysql://ctrl:***@db/runs'"
    ```
    """
    return shlex.join(["ctrl", *(_PASSWORD.sub(lambda m: f"{m[1]}:***@" if m[1] else "***", a) for a in arguments)])


def _set(target: mlmd_proto.Value, value) -> None:
    if isinstance(value, str):
        target.string_value = value
    # MySQL's column has 32 bits.
    elif isinstance(value, int) and abs(value) < 1 << 31:
        target.int_value = value
    elif isinstance(value, int):
        target.double_value = value
    else:
        # A property holds one value, or a structure that other tools do not show.
        target.string_value = json.dumps(value)


def _message(error: Exception, component: str | None) -> str:
    """An error in words: a user's own without the component's name, which is kept apart."""
    text = str(error).strip()[:_LONGEST_ERROR]
    if isinstance(error, UserError):
        return text.removeprefix(f"{component}: ")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
