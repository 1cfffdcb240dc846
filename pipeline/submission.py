"""A compiled pipeline with what one submission of it says."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from components.example_gen.files import expand, fingerprint
from models.spec.errors import UserError

# Every day at two in the night.
DAILY = "0 2 * * *"
_FILES, _FINGERPRINT = "files", "fingerprint"
_TYPES = {"STRING": str, "NUMBER_INTEGER": int, "NUMBER_DOUBLE": float}
_NUMBERS = {int: "a whole number", float: "a number"}


@dataclasses.dataclass(frozen=True)
class Submission:
    """What is submitted.

    Args:
        documents: the file's parts: the specification, and what is for Kubernetes alone where there is any.
        parameters: the run parameters that are not left to their defaults.
        cron: when a recurring run starts, as five fields; None for one run, now.
        version: names this submission.
    """

    documents: Sequence[Mapping]
    parameters: Mapping[str, Any]
    cron: str | None
    version: str

    @property
    def name(self) -> str:
        """The pipeline's."""
        return self.documents[0]["pipelineInfo"]["name"]

    def write(self, folder: str) -> str:
        """Writes the file that is uploaded into a folder; returns its path."""
        path = pathlib.Path(folder, f"{self.name}.yaml")
        path.write_text(yaml.safe_dump_all(self.documents), encoding="utf-8")
        return str(path)

    @classmethod
    def read(
        cls, file: pathlib.Path, parameters: Sequence[str] = (), cron: str | None = None, cache: bool = True
    ) -> Submission:
        """Reads and checks.

        Args:
            file: what `ctrl compile` wrote.
            parameters: `NAME=VALUE` each.
            cron: when a recurring run starts, as five fields (minute, hour, day of the month, month, day of the
                week); None for one run, now.
            cache: whether steps whose inputs have not changed are left out. A recurring run leaves none out:
                its patterns stay the same while the log's files change.

        Raises:
            UserError: there is no such file or parameter, or a value is of another type.

        Example:

        ```python
        Submission.read(pathlib.Path("pipeline.yaml"), ["max_drift=0.5"])
        ```
        """
        documents = _load(file)
        if cron is not None and len(cron.split()) != 5:
            raise UserError(f"--cron {cron}: must have five fields, minute, hour, day of the month, month, day of the "
                            f"week, as {DAILY!r} for two o'clock every night")
        root = documents[0]["root"]
        declared = root.get("inputDefinitions", {}).get("parameters", {})
        values = dict(_parsed(text, declared) for text in parameters)
        if _FINGERPRINT in declared and _FINGERPRINT not in values:
            files = values.get(_FILES, declared[_FILES].get("defaultValue", ""))
            values[_FINGERPRINT] = _fingerprint(files, recurring=cron is not None)
        if not cache or cron is not None:
            # The clients override this only for a file that is run without being uploaded.
            for task in root["dag"]["tasks"].values():
                task.pop("cachingOptions", None)
        return cls(documents, values, cron, _now().strftime("%Y-%m-%d %H:%M:%S.%f"))


def _load(file: pathlib.Path) -> list[dict]:
    try:
        documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
        if "deploymentSpec" not in documents[0] or "pipelineInfo" not in documents[0]:
            raise ValueError("it holds no pipeline specification")
        return documents
    except FileNotFoundError as error:
        raise UserError(f"{file}: there is no such file; `ctrl compile` writes one") from error
    except (OSError, ValueError, TypeError, IndexError, yaml.YAMLError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{file}: is not what `ctrl compile` writes: {reason}") from error


def _parsed(text: str, declared: Mapping[str, Mapping]) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise UserError(f"--param {text}: is not NAME=VALUE, as max_drift=0.5")
    if name not in declared:
        near = difflib.get_close_matches(name, declared, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"--param {name}: is no parameter of the pipeline; {hint}there are: "
                        f"{', '.join(sorted(declared))}")
    kind = _TYPES[declared[name]["parameterType"]]
    try:
        return name, kind(value)
    except ValueError:
        raise UserError(f"--param {name}={value}: must be {_NUMBERS[kind]}") from None


def _fingerprint(files: str, recurring: bool) -> str:
    """That of the log's files now. One that never comes again where it cannot be known: nothing old is reused then."""
    if not recurring:
        try:
            return fingerprint([file for pattern in files.split("\n") for file in expand(pattern)])
        except UserError:
            pass
    return f"submitted {_now().isoformat()}"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
