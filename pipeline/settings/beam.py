"""The keys `beam.*` of a run configuration."""

from __future__ import annotations

import re
from typing import Any

import pydantic

from models.spec.errors import UserError
from pipeline.settings.part import Part

DIRECT, PORTABLE, DATAFLOW = "DirectRunner", "PortableRunner", "DataflowRunner"
RUNNERS = (DIRECT, PORTABLE, DATAFLOW)
# What Beam's DirectRunner becomes: the same without Prism. Named, since importing it takes Beam.
LOCAL_RUNNER = "pipeline.local_beam_runner.LocalBeamRunner"
_REFUSED = {
    "DaskRunner": "it was seen to report success and to write an empty file",
    "FlinkRunner": "start Flink's job server and name it as beam.options.job_endpoint of PortableRunner",
    "SparkRunner": "start Spark's job server and name it as beam.options.job_endpoint of PortableRunner",
    "PrismRunner": "start Prism and name it as beam.options.job_endpoint of PortableRunner",
}
_ENDPOINT = re.compile(r"[^\s:/]+:\d+|\[[0-9a-fA-F:]+\]:\d+")
_IMAGES = ("environment_config", "environment_options", "sdk_container_image")
_SEE = "see docs/beam.md"


class Beam(Part):
    """Where the Beam pipelines of the components run.

    Args:
        runner: `DirectRunner` (this machine), `PortableRunner` (a job server: Flink, Spark) or
            `DataflowRunner`.
        options: Beam's pipeline options for it, by their names, as `direct_num_workers: 4`; `true`
            for a flag without a value, a list for one that is repeated.
    """

    runner: str = DIRECT
    options: dict[str, Any] = {}

    @pydantic.field_validator("runner")
    @classmethod
    def _known_runner(cls, value: str) -> str:
        if value not in RUNNERS:
            reason = _REFUSED.get(value, "there are: " + ", ".join(RUNNERS))
            raise ValueError(f"is not offered: {reason}; {_SEE}")
        return value

    @pydantic.field_validator("options")
    @classmethod
    def _plain_names(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "runner" in value:
            raise ValueError("the runner is the key beam.runner")
        for name in value:
            if not re.fullmatch(r"[A-Za-z]\w*", name):
                raise ValueError(f"{name!r} is no name of an option; write it as direct_num_workers: 4")
        return value

    def check(self) -> None:
        """Checks what a runner cannot work without.

        Raises:
            UserError: naming the option that is missing or has no effect.
        """
        {DIRECT: self._check_direct, PORTABLE: self._check_portable, DATAFLOW: self._check_dataflow}[self.runner]()

    def flags(self) -> list[str]:
        """What `beam.Pipeline(argv=...)` takes; empty by default.

        Example:

        ```python
        Beam(options={"direct_num_workers": 2, "experiments": ["a", "b"]}).flags()
        # --runner=pipeline.local_beam_runner.LocalBeamRunner, --direct_num_workers=2, --experiments=a, --experiments=b
        ```
        """
        # Without any flag TFX does not package itself for workers elsewhere.
        if self == Beam():
            return []
        result = [f"--runner={LOCAL_RUNNER if self.runner == DIRECT else self.runner}"]
        for name, value in self.options.items():
            if value is True:
                result.append(f"--{name}")
            elif value not in (None, False):
                result += [f"--{name}={v}" for v in (value if isinstance(value, list) else [value])]
        return result

    def _check_direct(self) -> None:
        workers = self.options.get("direct_num_workers", 1)
        mode = self.options.get("direct_running_mode", "in_memory")
        if workers != 1 and mode == "in_memory":
            raise UserError(f"beam.options.direct_num_workers is {workers}, and has no effect with the running mode "
                            f"in_memory; set beam.options.direct_running_mode to multi_processing; {_SEE}")

    def _check_portable(self) -> None:
        endpoint = self.options.get("job_endpoint")
        if endpoint is None:
            raise UserError("beam.runner is PortableRunner, and beam.options.job_endpoint is missing: the address of "
                            f"the job server, as localhost:8099; {_SEE}")
        if not _ENDPOINT.fullmatch(str(endpoint)):
            raise UserError(f"beam.options.job_endpoint: {endpoint!r} is not HOST:PORT, as localhost:8099; {_SEE}")
        kind = self.options.get("environment_type", "DOCKER")
        if kind == "EXTERNAL" and not self._has("environment_config", "environment_options"):
            raise UserError("beam.options.environment_type is EXTERNAL, and beam.options.environment_config is "
                            f"missing: the address of the worker pool, as localhost:50000; {_SEE}")
        if kind == "DOCKER" and not self._has(*_IMAGES):
            raise UserError("beam.runner is PortableRunner, and neither beam.options.environment_type nor an image is "
                            "set: Beam's own image does not hold this package. Set environment_config to an image "
                            f"that does, or environment_type to EXTERNAL with a worker pool; {_SEE}")

    def _check_dataflow(self) -> None:
        missing = [name for name in ("project", "region", "temp_location") if not self._has(name)]
        if missing:
            raise UserError("beam.runner is DataflowRunner, and these are missing: "
                            + ", ".join(f"beam.options.{name}" for name in missing) + f"; {_SEE}")
        for name in ("temp_location", "staging_location"):
            location = self.options.get(name)
            if location and not str(location).startswith("gs://"):
                raise UserError(f"beam.options.{name}: {location!r} is no folder in Google Cloud Storage, as "
                                f"gs://bucket/tmp; {_SEE}")
        if not self._has("setup_file", "sdk_container_image"):
            raise UserError("beam.runner is DataflowRunner, and its workers need this package: set "
                            "beam.options.setup_file to its setup.py, or beam.options.sdk_container_image to an image "
                            f"that holds it; {_SEE}")

    def _has(self, *names: str) -> bool:
        return any(self.options.get(name) for name in names)
