"""The loaded versions of one model."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable

import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import get_model_status_pb2

from serving.freed_memory import give_back
from serving.model_config import ModelConfig
from serving.request_error import RequestError
from serving.servable import Servable
from serving.version_policy import MAX_VERSION, MAX_VERSION_DIGITS
from serving.warm_up import warm_up

# What TensorFlow and protobuf raise for a SavedModel that is missing, cut short or wrong.
_BROKEN = (OSError, ValueError, TypeError, KeyError, RuntimeError, tf.errors.OpError, message.DecodeError, RequestError)
# TensorFlow reads the names of files as UTF-8, which they need not be.
UNREADABLE = (tf.errors.OpError, UnicodeDecodeError)
_LOG = logging.getLogger(__name__)
_STATE = get_model_status_pb2.ModelVersionStatus.State


class ModelVersions:
    """Keeps the versions that the policy wants, and that work, loaded.

    A version is a folder with a number for its name and `saved_model.pb` inside, as
    TFX's Pusher writes it; a number above int64, or with zeros before it, is passed over
    with a warning. A new one is loaded and warmed up beside the old ones, and
    only then are those dropped that are wanted no longer; requests under way on them end
    undisturbed. One that fails is logged, remembered, and tried again only when its files
    change, and the next best keeps serving. Files must stand unchanged for one poll before
    they are loaded: a copy under way may load, with half a vocabulary. Where no version is
    left in the folder, what is loaded goes on.

    `poll` is to be called by one thread at a time; the rest is safe from any.

    Args:
        config: the model.
        load: from a version's directory and number to what answers requests.
        before: the same model under an earlier configuration, whose loaded versions are taken over.

    Example:

    ```python
    versions = ModelVersions(ModelConfig("ctr", "serving/ctr"))
    versions.poll(settle=False)
    versions.find().run("serving_default", {"examples": proto})
    ```
    """

    def __init__(self, config: ModelConfig, load: Callable[[str, int], Servable] = Servable,
                 before: ModelVersions | None = None):
        self.config = config
        self._load_servable = load
        self._seen: dict[int, tuple] = dict(before._seen) if before else {}
        self._failed: dict[int, tuple[tuple, str]] = dict(before._failed) if before else {}
        # Replaced as a whole, never changed: a request sees one state of it.
        self._loaded: dict[int, Servable] = before._loaded if before else {}
        self._draining: list[tuple[int, weakref.ref]] = list(before._draining) if before else []
        self._loading: int | None = None
        self._passed_over: set[str] = before._passed_over if before else set()

    @property
    def loaded(self) -> list[int]:
        """The versions that answer requests, newest first."""
        return sorted(self._loaded, reverse=True)

    @property
    def failures(self) -> dict[int, str]:
        """Versions that could not be loaded, and why."""
        return {version: reason for version, (_, reason) in list(self._failed.items())}

    def find(self, version: int | None = None, label: str = "") -> Servable:
        """The version that a request asks for; the newest when it asks for none.

        Raises:
            RequestError: NOT_FOUND, with what there is.
        """
        loaded, name = self._loaded, self.config.name
        if not loaded:
            raise RequestError.not_found(f"no version of the model {name!r} is loaded")
        if label:
            labels = self.config.labels
            if label not in labels:
                raise RequestError.not_found(f"no version label {label!r} of the model {name!r}; there are: "
                                             f"{', '.join(sorted(labels)) or 'none'}; {_are_loaded(loaded)}")
            version = labels[label]
        if version is None:
            version = max(loaded)
        if version not in loaded:
            raise RequestError.not_found(f"no version {version} of the model {name!r}; {_are_loaded(loaded)}")
        return loaded[version]

    def statuses(self, version: int | None = None, label: str = "") -> get_model_status_pb2.GetModelStatusResponse:
        """States of all versions, newest first, or of the one that is asked for.

        Raises:
            RequestError: NOT_FOUND, with what there is.
        """
        if label:
            version = self.find(label=label).version
        failures = self.failures
        # The later of two states of one version counts.
        states = {v: _STATE.END for v in failures}
        states.update({v: _STATE.UNLOADING for v, servable in list(self._draining) if servable() is not None})
        if self._loading is not None:
            states[self._loading] = _STATE.LOADING
        states.update({v: _STATE.AVAILABLE for v in self._loaded})
        if version is not None and version not in states:
            raise RequestError.not_found(f"no version {version} of the model {self.config.name!r}; "
                                         f"{_are_loaded(self._loaded)}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for found, state in sorted(states.items(), reverse=True):
            if version in (None, found):
                status = response.model_version_status.add(version=found, state=state).status
                status.error_code = error_codes_pb2.OK
                if state == _STATE.END:
                    status.error_code, status.error_message = error_codes_pb2.UNKNOWN, failures[found]
        return response

    def poll(self, settle: bool = True) -> None:
        """Looks once: loads what the policy wants and is not loaded, then drops what it does not want.

        Args:
            settle: leave a version whose files changed since the last look for the next.
        """
        files = self._files()
        seen, self._seen = self._seen, files
        self._failed = {v: f for v, f in self._failed.items() if v in files}
        waiting = {v for v in files if settle and seen.get(v) != files[v]}
        while True:
            usable = [v for v in files if v in self._loaded or self._failed.get(v, (None,))[0] != files[v]]
            wanted = self.config.policy.choose(usable)
            missing = [v for v in wanted if v not in self._loaded and v not in waiting]
            if not missing:
                break
            self._load(missing[0], files[missing[0]])
        if wanted and set(wanted) <= set(self._loaded):
            dropped = {v: s for v, s in self._loaded.items() if v not in wanted}
            self._loaded = {v: s for v, s in self._loaded.items() if v in wanted}
            self._draining += [(v, weakref.ref(s)) for v, s in dropped.items()]
        before, self._draining = self._draining, [(v, s) for v, s in self._draining if s() is not None]
        if len(self._draining) < len(before):
            give_back()

    def _load(self, version: int, files: tuple) -> None:
        name = self.config.name
        self._loading = version
        try:
            directory = os.path.join(self.config.base_path, str(version))
            servable = self._load_servable(directory, version)
            warm_up(servable, directory)
        except _BROKEN as error:
            reason = str(error).strip().partition("\n")[0]
            self._failed[version] = (files, reason)
            kept = f"version {max(self._loaded)} keeps serving" if self._loaded else "no version is serving yet"
            _LOG.error("version %s of %s cannot be loaded, %s: %s", version, name, kept, reason)
        else:
            self._loaded = {**self._loaded, version: servable}
            self._failed.pop(version, None)
            give_back()
            _LOG.info("serving %s version %s", name, version)
        finally:
            self._loading = None

    def _files(self) -> dict[int, tuple]:
        """Version number to its files, each with length and time of change; to none where it is loaded."""
        base_path = self.config.base_path
        if not tf.io.gfile.isdir(base_path):
            return {}
        versions, passed_over = {}, set()
        for entry in tf.io.gfile.listdir(base_path):
            name = entry.rstrip("/")
            folder = os.path.join(base_path, name)
            if not name.isdecimal() or not tf.io.gfile.exists(os.path.join(folder, "saved_model.pb")):
                continue
            if not _is_version(name):
                passed_over.add(name)
            else:
                # What is loaded is not read again. A look at every file, each second, would show in the slowest
                # requests.
                versions[int(name)] = () if int(name) in self._loaded else _files_of(folder)
        for name in sorted(passed_over - self._passed_over):
            _LOG.warning("%s is passed over: a version is a number up to %d, without zeros before it",
                         os.path.join(base_path, name), MAX_VERSION)
        self._passed_over = passed_over
        return versions


def _is_version(digits: str) -> bool:
    # Their number is looked at first: Python refuses to read some thousands.
    return len(digits) <= MAX_VERSION_DIGITS and str(int(digits)) == digits and int(digits) <= MAX_VERSION


def _files_of(folder: str) -> tuple:
    """A version's files, each with length and time of change, or with what hinders to look at it.

    That is no reason to leave the version, let alone others: where the model needs the file, loading it fails.
    """
    files = []
    try:
        for root, _, names in tf.io.gfile.walk(folder):
            files += [_look_at(os.path.join(root, name)) for name in sorted(names)]
    except UNREADABLE as error:
        files.append((folder, str(error)))
    return tuple(files)


def _look_at(path: str) -> tuple:
    try:
        stat = tf.io.gfile.stat(path)
    except UNREADABLE as error:
        return path, str(error)
    return path, stat.length, stat.mtime_nsec


def _are_loaded(loaded) -> str:
    versions = ", ".join(map(str, sorted(loaded, reverse=True)))
    return f"version {versions} is loaded" if len(loaded) == 1 else f"versions {versions or 'none'} are loaded"
