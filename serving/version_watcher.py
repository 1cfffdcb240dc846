"""Follows the versions of a model in a folder."""

from __future__ import annotations

import logging
import os
import threading

import tensorflow as tf
from google.protobuf import message

from serving.request_error import RequestError
from serving.servable import Servable

# What TensorFlow and protobuf raise for a SavedModel that is missing, cut short or wrong.
_BROKEN = (OSError, ValueError, TypeError, KeyError, RuntimeError, tf.errors.OpError, message.DecodeError)
_LOG = logging.getLogger(__name__)


class VersionWatcher:
    """Keeps the newest version that works loaded.

    A version is a folder with a number for its name and `saved_model.pb` inside, as
    TFX's Pusher writes it. A newer one is loaded and warmed up beside the old one, and
    then a reference is swapped; one that fails is logged, remembered, and tried again
    only when its files change. Files must stand unchanged for one poll before they are
    loaded: a copy under way may load, with half a vocabulary.

    Args:
        base_path: the folder of the version folders; anything `tf.io.gfile` reads.
        model_name: what requests call the model.
        poll_seconds: time between two looks at the folder.

    Example:

    ```python
    watcher = VersionWatcher("serving/ctr", "ctr")
    watcher.poll(settle=False)
    watcher.start()
    watcher.find("ctr").run("serving_default", {"examples": proto})
    ```
    """

    def __init__(self, base_path: str, model_name: str, poll_seconds: float = 1.0):
        self.base_path = base_path
        self.model_name = model_name
        self.current: Servable | None = None
        self._poll_seconds = poll_seconds
        self._seen: dict[int, tuple] = {}
        self._failed: dict[int, tuple[tuple, str]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="version-watcher", daemon=True)

    @property
    def failures(self) -> dict[int, str]:
        """Versions that could not be loaded, and why."""
        return {version: reason for version, (_, reason) in list(self._failed.items())}

    def find(self, name: str, version: int | None = None, label: str = "") -> Servable:
        """The version that a request asks for.

        Raises:
            RequestError: NOT_FOUND, with what there is.
        """
        servable = self.current
        if name != self.model_name:
            raise RequestError.not_found(f"no model {name!r}; this server has the model {self.model_name!r}")
        if servable is None:
            raise RequestError.not_found(f"no version of the model {name!r} is loaded")
        if label:
            raise RequestError.not_found(f"no version label {label!r}; version {servable.version} is loaded")
        if version is not None and version != servable.version:
            raise RequestError.not_found(
                f"no version {version} of the model {name!r}; version {servable.version} is loaded"
            )
        return servable

    def poll(self, settle: bool = True) -> None:
        """Looks once: loads the newest version that works when it is not loaded already.

        Args:
            settle: leave a version whose files changed since the last look for the next.
        """
        files = self._versions()
        seen, self._seen = self._seen, files
        self._failed = {v: f for v, f in self._failed.items() if v in files}
        for version in sorted(files, reverse=True):
            if self.current and version == self.current.version:
                return
            if self._failed.get(version, (None,))[0] == files[version]:
                continue
            if settle and seen.get(version) != files[version]:
                return
            if self._load(version, files[version]):
                return

    def start(self) -> None:
        """Starts following the folder in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _load(self, version: int, files: tuple) -> bool:
        try:
            servable = Servable(os.path.join(self.base_path, str(version)), version)
            servable.warm_up()
        except _BROKEN as error:
            reason = str(error).strip().partition("\n")[0]
            self._failed[version] = (files, reason)
            kept = (
                f"version {self.current.version} keeps serving"
                if self.current
                else "no version is serving yet"
            )
            _LOG.error("version %s of %s cannot be loaded, %s: %s", version, self.model_name, kept, reason)
            return False
        self.current = servable
        self._failed.pop(version, None)
        _LOG.info("serving %s version %s", self.model_name, version)
        return True

    def _versions(self) -> dict[int, tuple]:
        """Version number to its files, each with length and time of change."""
        if not tf.io.gfile.isdir(self.base_path):
            return {}
        versions = {}
        for entry in tf.io.gfile.listdir(self.base_path):
            name = entry.rstrip("/")
            folder = os.path.join(self.base_path, name)
            if name.isdecimal() and tf.io.gfile.exists(os.path.join(folder, "saved_model.pb")):
                versions[int(name)] = tuple(
                    (path, stat.length, stat.mtime_nsec)
                    for root, _, names in tf.io.gfile.walk(folder)
                    for path in sorted(os.path.join(root, n) for n in names)
                    for stat in (tf.io.gfile.stat(path),)
                )
        return versions

    def _follow(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            try:
                self.poll()
            except tf.errors.OpError as error:
                # A folder that vanishes between two calls; what is loaded keeps serving.
                _LOG.warning("%s cannot be read: %s", self.base_path, error.message)
