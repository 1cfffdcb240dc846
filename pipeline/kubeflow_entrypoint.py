"""What a step's container runs on Kubeflow Pipelines and Vertex AI Pipelines.

TFX's own entry point, with what stands in its way put right:

* Keras 3 is chosen before TensorFlow Transform chooses Keras 2.
* The backend of open-source Kubeflow Pipelines says of an input artifact no type, or one of its own, and TFX's entry
  point ends there (https://github.com/tensorflow/tfx/issues/7768). The step's own description of its inputs, which
  is on the command line, counts. Nor need an artifact have a name, while TFX's Evaluator wants those of models.
* Artifacts in `s3://` and `minio://` are at hand as local files: Kubeflow's launcher copies them there before a step
  and back after it. TensorFlow, TFX and Beam, which read no `minio://` at all, are given these.
* An error of the user's ends the step with its message alone, as it does on one machine.
* Beam pipelines without a runner of their own go to `LocalBeamRunner`, which downloads nothing.
"""

from __future__ import annotations

import json
import os
import pathlib
import runpy
import sys

from pipeline.console import set_environment

_TFX_ENTRYPOINT = "tfx.orchestration.kubeflow.v2.container.kubeflow_v2_run_executor"
_INVOCATION, _INPUTS = "--json_serialized_invocation_args", "--json_serialized_inputs_spec_args"
# Where Kubeflow's launcher keeps its copies (kubeflow/pipelines, backend/src/v2/component/launcher_v2.go).
_COPIES = {"s3://": "/s3/", "minio://": "/minio/"}
# A folder before these, for tests that are not root.
LAUNCHER_ROOT = "CTRL_KUBEFLOW_LAUNCHER_ROOT"


def main(arguments: list[str] | None = None) -> None:
    """Runs one step.

    Args:
        arguments: those of TFX's entry point; the process's own when absent.
    """
    set_environment()
    arguments = with_types(sys.argv[1:] if arguments is None else arguments)
    sys.argv[1:], copies, output_file = with_copies(arguments)
    from models.spec.errors import UserError
    from pipeline.local_beam_runner import LocalBeamRunner
    from pipeline.run import user_error

    LocalBeamRunner.make_default()
    try:
        runpy.run_module(_TFX_ENTRYPOINT, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if not ended.code and copies:
            _name_originals(output_file, copies)
        raise
    except Exception as error:
        cause = user_error(error)
        if cause is None:
            raise
        sys.exit(f"{UserError.__name__}: {cause}")


def with_types(arguments: list[str]) -> list[str]:
    """A step's arguments with the declared type, and a name, for every input artifact.

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
            if key in declared:
                artifact["type"] = declared[key]["artifactType"]
            artifact.setdefault("name", f"{key}-{number}")
    arguments[at] = json.dumps(invocation)
    return arguments


def with_copies(arguments: list[str]) -> tuple[list[str], dict[str, str], str | None]:
    """A step's arguments with the launcher's copies in place of artifacts that it copies.

    Returns:
        The arguments; the original by copy; and the file that the step says of its outputs in.
    """
    arguments = list(arguments)
    if _INVOCATION not in arguments:
        return arguments, {}, None
    at = arguments.index(_INVOCATION) + 1
    invocation = json.loads(arguments[at])
    copies = {}
    for side in ("inputs", "outputs"):
        for found in invocation.get(side, {}).get("artifacts", {}).values():
            for artifact in found.get("artifacts", []):
                copy = _copy(artifact["uri"])
                if copy != artifact["uri"]:
                    copies[copy], artifact["uri"] = artifact["uri"], copy
    arguments[at] = json.dumps(invocation)
    return arguments, copies, invocation.get("outputs", {}).get("outputFile")


def _copy(uri: str) -> str:
    for scheme, folder in _COPIES.items():
        if uri.startswith(scheme):
            return os.environ.get(LAUNCHER_ROOT, "") + folder + uri.removeprefix(scheme)
    return uri


def _name_originals(output_file: str, copies: dict[str, str]) -> None:
    """Puts the originals in place of their copies in what a step says of its outputs."""
    path = pathlib.Path(output_file)
    said = path.read_text(encoding="utf-8")
    # The longest first: one may begin as another does.
    for copy in sorted(copies, key=len, reverse=True):
        said = said.replace(copy, copies[copy])
    path.write_text(said, encoding="utf-8")


if __name__ == "__main__":
    main()
