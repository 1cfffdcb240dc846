"""A lineage as a tree for the terminal."""

from __future__ import annotations

import json
import os

from rich.text import Text
from rich.tree import Tree

from components.example_gen.files import fingerprint
from pipeline.runs.artifact_record import ArtifactRecord
from pipeline.runs.data_file import DataFile
from pipeline.runs.lineage import Lineage
from pipeline.runs.terminal import clean, local
from pipeline.runs.units import size


def tree(lineage: Lineage) -> Tree:
    """What the target came from, in short and artifact by artifact, and what became of it."""
    root = Tree(_text(_title(lineage.target), "bold"))
    _branch(root, "pushed to", [_pushed(artifact) for artifact in lineage.pushed] + [
        f"{folder}: files for a stock server" for folder in lineage.deployments])
    _branch(root, "data", [_file(file) for file in lineage.files] + [
        f"fingerprint of the whole {digest}" for digest in lineage.fingerprints])
    _branch(root, "schema", [f"{lineage.schema.uri} (artifact {lineage.schema.id})"] if lineage.schema else [])
    _branch(root, "language model", [
        lineage.language_model + (f", fingerprint {lineage.language_model_fingerprint}"
                                  if lineage.language_model_fingerprint else "")] if lineage.language_model else [])
    nodes = {run.id: [] for run in lineage.runs}
    for step in sorted({step.id: step for step in lineage.steps.values()}.values(), key=lambda step: step.id):
        nodes.setdefault(step.run, []).append(step.node)
    _branch(root, "runs and their code", [
        f"{run.id}, code {run.code_version or 'unknown'}: {', '.join(nodes[run.id])}" for run in lineage.runs])
    _branch(root, "configuration", _config(lineage.config))
    made_of = root.add(_text("made of", "bold"))
    _grow(made_of, lineage, lineage.target.id, "", set())
    return root


def state_of(file: DataFile) -> str:
    """Whether a file is still what the run read."""
    if "://" in file.path or file.fingerprint is None:
        return "not checked"
    if not os.path.isfile(file.path):
        return "no longer there"
    return "unchanged" if fingerprint([file.path]) == file.fingerprint else "changed since"


def _title(target: ArtifactRecord) -> str:
    version = target.properties.get("pushed_version")
    return (f"version {version} " if version else "") + f"({target.type} {target.id})"


def _branch(root: Tree, title: str, lines: list[str]) -> None:
    if lines:
        branch = root.add(_text(title, "bold"))
        for line in lines:
            branch.add(_text(line))


def _pushed(artifact: ArtifactRecord) -> str:
    folder = str(artifact.properties["pushed_destination"])
    return folder + ("" if "://" in folder or os.path.isdir(folder) else " (no longer there)")


def _file(file: DataFile) -> str:
    facts = [size(file.bytes)] if file.bytes is not None else []
    facts += [f"fingerprint {file.fingerprint[:16]}"] if file.fingerprint else []
    return f"{file.path} ({', '.join([*facts, state_of(file)])})"


def _config(config: dict) -> list[str]:
    """A line for the keys on their own, and one for each group."""
    groups: dict[str, list[str]] = {"": []}
    for key, value in config.items():
        if isinstance(value, dict):
            groups[key] = [f"{name} {_value(v)}" for name, v in value.items()]
        else:
            groups[""].append(f"{key} {_value(value)}")
    return [f"{name}: {', '.join(values)}" if name else ", ".join(values) for name, values in groups.items() if values]


def _value(value) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _grow(branch: Tree, lineage: Lineage, artifact: int, name: str, shown: set[int]) -> None:
    """Adds an artifact and, where it stands for the first time, what it was made of."""
    record, step = lineage.artifacts[artifact], lineage.steps.get(artifact)
    line = f"{name}: " * bool(name) + f"{record.type} {record.id}"
    if artifact in shown:
        branch.add(_text(f"{line} (see above)"))
        return
    shown.add(artifact)
    if step:
        line += f" by {step.node}, {local(step.started)}"
    grown = branch.add(_text(line + (" (deleted)" if record.deleted else "")))
    for input_name, number in step.inputs if step else ():
        _grow(grown, lineage, number, input_name, shown)


def _text(text: str, style: str = "") -> Text:
    return Text(clean(text), style=style)
