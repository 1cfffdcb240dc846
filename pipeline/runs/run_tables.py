"""Runs as text for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from pipeline.evaluated import AUC, CALIBRATION, COUNT, LOGLOSS
from pipeline.runs.component_execution import ComponentExecution
from pipeline.runs.run import Run
from pipeline.runs.terminal import Column, clean, coloured, local, number, table
from pipeline.runs.units import duration, size

_LIST = [
    Column("RUN"), Column("STARTED", rank=6), Column("DATASET", rank=1), Column("BACKBONE", rank=2),
    Column("LANGUAGE MODEL", rank=4), Column("ROWS", right=True, rank=3), Column("PLAIN AUC", right=True, rank=5),
    Column("AUC", right=True), Column("VERDICT"), Column("DURATION", right=True, rank=1), Column("STATE"),
]
_COMPONENTS = [Column("COMPONENT"), Column("STATE"), Column("TIME", right=True), Column("READS AND WRITES", fold=True)]
_FIGURES = [Column("TEST SPLIT"), *(Column(title, right=True) for title in ("AUC", "LOGLOSS", "CALIBRATION", "ROWS"))]
_FILES_SHOWN = 10


def listing(runs: Sequence[Run]) -> RenderableType:
    """One line a run."""
    return table(_LIST, [[
        run.id, local(run.started), run.dataset, run.backbone or "", run.language_model or "", number(run.rows, ","),
        number(run.plain_auc, ".4f"), number(run.auc, ".4f"), coloured(run.verdict or ""), duration(run.seconds),
        coloured(run.state.value),
    ] for run in runs])


def details(run: Run, components: Sequence[ComponentExecution]) -> list[RenderableType]:
    """Everything about one run."""
    parts = [Text.assemble(
        ("Run ", "bold"), (clean(run.id), "bold"), f" of {clean(run.dataset)}: ", coloured(run.state.value),
        *([", ", coloured(run.verdict)] if run.verdict else []))]
    parts += [Text(f"  {name:<16}{clean(text)}") for name, text in _facts(run)]
    models = [(name, model) for name, model in (("plain backbone", run.plain), ("student", run.student)) if model]
    if models:
        parts += ["", table(_FIGURES, [[
            name, *(number(model.overall.get(metric), form) for metric, form in (
                (AUC, ".4f"), (LOGLOSS, ".4f"), (CALIBRATION, ".3f"), (COUNT, ",.0f")))] for name, model in models])]
    return [*parts, "", *_components(run, components)]


def _facts(run: Run) -> list[tuple[str, str]]:
    """What is known, in words; a long message or list goes on below."""
    files = [f"{f.path}" + (f" ({size(f.bytes)})" if f.bytes is not None else "") for f in run.files]
    if len(files) > _FILES_SHOWN:
        files = [*files[:_FILES_SHOWN], f"and {len(files) - _FILES_SHOWN:,} more"]
    language_model = ", ".join(filter(None, (run.language_model, run.text_mode)))
    facts = [
        ("started", f"{local(run.started)}" + (f", took {duration(run.seconds)}" if run.seconds is not None else "")),
        ("command", run.command_line),
        ("code", run.code_version),
        ("process", f"{run.pid} on {run.host}" if run.pid else None),
        ("backbone", run.backbone),
        ("language model", language_model),
        ("seed", number(run.seed, "d")),
        ("data", f"\n{'':18}".join(files)),
        ("fingerprint", run.fingerprint),
        ("rows", number(run.rows, ",")),
        ("not pushed", f"\n{'':18}".join(run.reasons)),
        ("failed in", run.failed_component if run.error else None),
        ("stopped in", run.failed_component if not run.error else None),
        ("error", (run.error or "").replace("\n", f"\n{'':18}")),
        ("model", run.pushed),
        ("summary", run.summary),
    ]
    return [(name, text) for name, text in facts if text]


def _components(run: Run, components: Sequence[ComponentExecution]) -> list[RenderableType]:
    # TFX puts an artifact at `<root>/<node>/<name>/<execution>`.
    prefix = common_folder([o.uri.rsplit("/", 2)[0] for c in components for o in c.outputs])
    rows = []
    for component in components:
        origin = f"made in {component.made_in}, execution {component.made_by}" if component.made_in else None
        lines = [f"execution {component.id}" + (f", {origin}" if origin else "")]
        if component.error:
            lines.append(component.error)
        if component.inputs:
            lines.append("from " + ", ".join(f"{i.name} {i.id}" for i in component.inputs))
        lines += [
            f"{o.name} {o.id}: {o.uri.removeprefix(prefix)}" + (" (deleted)" if o.deleted else "")
            for o in component.outputs]
        rows.append([component.node, coloured(component.state), duration(component.seconds), lines[0]])
        rows += [["", "", "", line] for line in lines[1:]]
    begun = {component.node for component in components}
    rows += [[node, "not reached", "", ""] for node in run.graph if node not in begun]
    return [table(_COMPONENTS, rows), *(["", f"URIs are below {prefix}"] if prefix else [])]


def common_folder(uris: Sequence[str]) -> str:
    """The longest folder, with a slash at its end, that all URIs are below; empty when there is none.

    Example:

    ```python
    common_folder(["gs://b/a/x/1", "gs://b/a/y/2"])  # "gs://b/a/"
    ```
    """
    parts = [uri.split("/")[:-1] for uri in uris]
    shared = 0
    while parts and all(len(p) > shared and p[shared] == parts[0][shared] for p in parts):
        shared += 1
    return "/".join(parts[0][:shared]) + "/" if shared > 1 else ""
