"""Where a run on a cluster writes what."""

from __future__ import annotations

import dataclasses
import os
import posixpath

from models.spec.errors import UserError

# What TensorFlow (with its Google Cloud plugin), TFX and Beam all write to; `s3` needs tensorflow-io and Beam's extra.
_SCHEMES = ("gs", "s3", "hdfs")


@dataclasses.dataclass(frozen=True)
class UriLayout:
    """The folders of one dataset's runs below a URI: `RunLayout`'s, on any file system.

    Args:
        root: `<--pipeline-root>/<dataset>`.

    Example:

    ```python
    UriLayout.below("gs://bucket/ctrl", "clicks").serving("ctr")  # "gs://bucket/ctrl/clicks/serving/ctr"
    ```
    """

    root: str

    @classmethod
    def below(cls, root: str, dataset: str) -> UriLayout:
        """The layout of a dataset below what `--pipeline-root` says.

        Raises:
            UserError: it is no URI of a known file system and no absolute path.
        """
        scheme, separator, rest = root.partition("://")
        if separator and scheme in _SCHEMES and rest.strip("/") or not separator and os.path.isabs(root):
            return cls(posixpath.join(root.rstrip("/"), dataset))
        raise UserError(f"--pipeline-root {root}: must be a folder that every step can reach: a URI as "
                        f"gs://bucket/folder ({', '.join(f'{s}://' for s in _SCHEMES)}), or the absolute path of a "
                        "volume that all of them mount")

    @property
    def remote(self) -> bool:
        """Whether it lies in object storage."""
        return "://" in self.root

    def folder(self, *parts: str) -> str:
        """A folder below the root."""
        return posixpath.join(self.root, *parts)

    @property
    def artifacts(self) -> str:
        """The pipeline root of Kubeflow Pipelines: what components write."""
        return self.folder("artifacts")

    def serving(self, model_name: str) -> str:
        """Versions of the pushed model."""
        return self.folder("serving", model_name)
