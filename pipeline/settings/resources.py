"""The keys `resources.*` of a run configuration."""

from __future__ import annotations

from typing import Any

import pydantic

from pipeline.settings.part import Part


class Request(Part):
    """What one step of a pipeline asks a cluster for.

    Args:
        cpu: cores; absent, what the cluster gives by default.
        memory: gigabytes; likewise.
        accelerator: as the cluster calls it: `nvidia.com/gpu` on Kubernetes, `NVIDIA_TESLA_T4` on
            Vertex AI, `cloud-tpus.google.com/v3` for a TPU; absent, none.
        accelerators: how many of them.
        kubernetes: further settings of the step on Kubernetes, named as in the SDK's
            `KubernetesExecutorConfig`: `nodeSelector`, `tolerations`, `secretAsEnv`, `pvcMount` and so on.
    """

    cpu: float | None = pydantic.Field(None, gt=0)
    memory: float | None = pydantic.Field(None, gt=0)
    accelerator: str | None = None
    accelerators: int = pydantic.Field(1, ge=1)
    kubernetes: dict[str, Any] = {}


class Resources(Part):
    """What the steps ask a cluster for; a run on this machine does not read it.

    Args:
        default: for every component.
        training: what is different for the components that train or encode text.
        components: what is different for a single component, by its name.
    """

    default: Request = Request()
    training: Request = Request()
    components: dict[str, Request] = {}

    def request(self, component: str, trains: bool) -> Request:
        """What a component asks for.

        Args:
            component: its name.
            trains: whether it trains or encodes text.

        Example:

        ```python
        resources = Resources(default={"cpu": 2}, training={"accelerator": "nvidia.com/gpu"})
        resources.request("PlainTrainer", trains=True)  # 2 cores and a GPU
        ```
        """
        parts = [self.default, *([self.training] if trains else []), self.components.get(component, Request())]
        return Request.model_validate({k: v for part in parts for k, v in part.model_dump(exclude_unset=True).items()})
