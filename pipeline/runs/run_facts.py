"""What is known of a run when it starts, out of its pipeline and its settings."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from components.example_gen.files import fingerprint
from pipeline.runs.data_file import DataFile

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline


def facts_at_start(
    command: str, dataset: str, pipeline: Pipeline, config: Mapping[str, Any], files: list[str] | None = None,
) -> dict:
    """Attributes of `pipeline.runs.run.Run`, for `RunRecord`.

    Args:
        command: `run` or `refresh`.
        dataset: under which it is listed: that of its folder, which is another with `--smoke`.
        pipeline: what is about to run.
        config: the run configuration, or the part of it that there is, as plain JSON values.
        files: what it reads; those of its ExampleGen when absent.
    """
    properties = {c.id: c.exec_properties for c in pipeline.components if hasattr(c, "exec_properties")}
    example_gen = properties.get("ExampleGen", {})
    if files is None:
        files = [f for f in (example_gen.get("files") or "").split("\n") if f]
    order = [c.id for c in pipeline.components]
    return {
        "dataset": dataset,
        "command": command,
        "config": dict(config),
        **{name: config.get(name) for name in ("seed", "backbone", "language_model", "text_mode")},
        "files": [dataclasses.asdict(_data_file(f)) for f in files],
        "fingerprint": example_gen.get("fingerprint"),
        "graph": {c.id: sorted((u.id for u in c.upstream_nodes), key=order.index) for c in pipeline.components},
    }


def _data_file(path: str) -> DataFile:
    if not os.path.isfile(path):
        return DataFile(path)
    return DataFile(os.path.abspath(path), fingerprint([path]), os.path.getsize(path))
