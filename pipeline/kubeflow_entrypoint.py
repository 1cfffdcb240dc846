"""What a step's container runs on Kubeflow Pipelines and Vertex AI Pipelines.

TFX's own entry point, with three things put right before and one after it:

* Keras 3 is chosen before TensorFlow Transform chooses Keras 2.
* The backend of open-source Kubeflow Pipelines does not say of which type an input artifact is, and TFX's entry point
  ends there (https://github.com/tensorflow/tfx/issues/7768). The step's own description of its inputs, which is
  on the command line, says it.
* Nor does it name every artifact, while TFX's Evaluator wants the names of models.
* An error of the user's ends the step with its message alone, as it does on one machine.
"""

from __future__ import annotations

import json
import runpy
import sys

from pipeline.console import set_environment

_TFX_ENTRYPOINT = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
_INVOCATION, _INPUTS = "--json_serialized_invocation_args", "--json_serialized_inputs_spec_args"
# What the backend says of an artifact whose type it does not know.
_UNTYPED = ("", "system.Artifact")


def main(arguments: list[str] | None = None) -> None:
    """Runs one step.

    Args:
        arguments: those of TFX's entry point; the process's own when absent.
    """
    set_environment()
    sys.argv[1:] = with_types(sys.argv[1:] if arguments is None else arguments)
    from models.spec.errors import UserError
    from pipeline.run import user_error

    try:
        runpy.run_module(_TFX_ENTRYPOINT, run_name="__main__", alter_sys=True)
    except Exception as error:
        cause = user_error(error)
        if cause is None:
            raise
        sys.exit(f"{UserError.__name__}: {cause}")


def with_types(arguments: list[str]) -> list[str]:
    """A step's arguments with a type, and a name, for every input artifact.

    Example:

    ```python
    with_types(["--json_serialized_invocation_args", invocation, "--json_serialized_inputs_spec_args", inputs])
    ```
    """
    arguments = list(arguments)
    if _INVOCATION not in arguments or _INPUTS not in arguments:
        return arguments
    at = arguments.index(_INVOCATION) + 1
    invocation = json.loads(arguments[at])
    declared = json.loads(arguments[arguments.index(_INPUTS) + 1]).get("artifacts", {})
    for key, found in invocation.get("inputs", {}).get("artifacts", {}).items():
        for number, artifact in enumerate(found.get("artifacts", [])):
            if not _title(artifact) and key in declared:
                artifact["type"] = declared[key]["artifactType"]
            artifact.setdefault("name", f"{key}-{number}")
    arguments[at] = json.dumps(invocation)
    return arguments


def _title(artifact: dict) -> str:
    """The title of an artifact's type; empty where the backend did not know it."""
    kind = artifact.get("type") or {}
    title = kind.get("schemaTitle") or kind.get("instanceSchema") or ""
    return "" if title in _UNTYPED else title


if __name__ == "__main__":
    main()
