"""Where a run on a cluster writes what."""

from __future__ import annotations

import dataclasses
import os
import posixpath

from components.example_gen.files import is_uri
from models.spec.errors import UserError

# Those that the launcher of Kubeflow Pipelines knows; Vertex AI knows the first.
_ARTIFACTS = ("gs://", "s3://", "minio://")
# Those that TensorFlow, TFX and Beam write to as they are installed.
_SHARED = ("gs://",)


@dataclasses.dataclass(frozen=True)
class UriLayout:
    """The folders of one dataset's runs: `RunLayout`'s, on what the steps of a cluster can reach.

    Args:
        root: `<--pipeline-root>/<dataset>`: a URI in object storage.
        shared: `<--shared>/<dataset>`: what is no artifact of one run, as served versions and the state of killed
            training.

    Example:

    ```python
    UriLayout.below("gs://bucket/ctrl", "clicks").serving("ctr")  # "gs://bucket/ctrl/clicks/serving/ctr"
    UriLayout.below("minio://bucket", "clicks", shared="/mnt/ctrl").serving("ctr")  # "/mnt/ctrl/clicks/serving/ctr"
    ```
    """

    root: str
    shared: str

    @classmethod
    def below(cls, root: str, dataset: str, shared: str | None = None) -> UriLayout:
        """The layout of a dataset.

        Args:
            root: what `--pipeline-root` says.
            dataset: its name.
            shared: what `--shared` says; the root when absent.

        Raises:
            UserError: one of them is nothing that a step can reach.
        """
        if not root.startswith(_ARTIFACTS) or not root.partition("://")[2].strip("/"):
            raise UserError(f"--pipeline-root {root}: must be a folder in object storage ({', '.join(_ARTIFACTS)}), as "
                            "gs://bucket/folder")
        if shared is None and not root.startswith(_SHARED):
            raise UserError(f"--pipeline-root {root}: Kubeflow copies artifacts there and back, but served versions, "
                            "the state of training and the log need a place that the steps write to themselves; "
                            "give --shared, a volume that every step mounts or a gs:// folder")
        shared = shared or root
        if not shared.startswith(_SHARED) and (":" in shared or not os.path.isabs(shared)):
            raise UserError(f"--shared {shared}: must be the absolute path of a volume that every step mounts, or a "
                            "gs:// folder")
        return cls(*(posixpath.join(folder.rstrip("/"), dataset) for folder in (root, shared)))

    @property
    def remote(self) -> bool:
        """Whether what is shared lies in object storage."""
        return is_uri(self.shared)

    def reaches(self, path: str) -> bool:
        """Whether the steps can read a file: it lies in object storage or on the volume that they share."""
        return is_uri(path) or not self.remote and path.startswith(posixpath.dirname(self.shared) + "/")

    def folder(self, *parts: str) -> str:
        """A folder of what is shared."""
        return posixpath.join(self.shared, *parts)

    @property
    def artifacts(self) -> str:
        """The pipeline root of Kubeflow Pipelines: what components write."""
        return posixpath.join(self.root, "artifacts")

    def serving(self, model_name: str) -> str:
        """Versions of the pushed model."""
        return self.folder("serving", model_name)
