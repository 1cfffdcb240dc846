"""Which versions of a model are served."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from tensorflow_serving.config import file_system_storage_path_source_pb2

from models.spec.errors import UserError

_Proto = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy
MAX_VERSION = (1 << 63) - 1  # The protocol has an int64 for it.
MAX_VERSION_DIGITS = len(str(MAX_VERSION))


@dataclasses.dataclass(frozen=True)
class VersionPolicy:
    """The newest few versions, some that are named, or all.

    TF Serving's `model_version_policy` (https://www.tensorflow.org/tfx/serving/serving_config).

    Args:
        latest: how many of the newest are served; None for all.
        specific: the versions that are served, and no others; overrides `latest`.

    Example:

    ```python
    VersionPolicy(latest=2).choose([1, 2, 3])  # [3, 2]
    ```
    """

    latest: int | None = 1
    specific: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> VersionPolicy:
        """From `latest`, `latest:2`, `all`, or versions as `3,7`.

        Raises:
            UserError: it is none of these.
        """
        kind, _, count = text.partition(":")
        if text == "all":
            return cls(latest=None)
        if kind == "latest" and (count.isdecimal() and int(count) > 0 or text == "latest"):
            return cls(latest=int(count or 1))
        if text and all(v.isdecimal() for v in text.split(",")):
            return cls(specific=tuple(map(int, text.split(","))))
        raise UserError(f"version policy {text!r}: must be latest, latest:N, all, or version numbers as 3,7")

    @classmethod
    def from_proto(cls, policy: _Proto) -> VersionPolicy:
        """From the policy of a `ModelConfig`; without one, the newest version."""
        choice = policy.WhichOneof("policy_choice")
        if choice == "all":
            return cls(latest=None)
        if choice == "specific":
            return cls(specific=tuple(policy.specific.versions))
        return cls(latest=policy.latest.num_versions or 1)

    def to_proto(self, policy: _Proto) -> None:
        """Fills the policy of a `ModelConfig`."""
        if self.specific:
            policy.specific.versions.extend(self.specific)
        elif self.latest is None:
            policy.all.SetInParent()
        else:
            policy.latest.num_versions = self.latest

    def choose(self, versions: Iterable[int]) -> list[int]:
        """Those to be served, newest first.

        Args:
            versions: those that can be.
        """
        newest_first = sorted(versions, reverse=True)
        if self.specific:
            return [v for v in newest_first if v in self.specific]
        return newest_first[:self.latest]
