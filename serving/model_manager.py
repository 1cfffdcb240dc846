"""All models of a server."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Sequence

import grpc
from tensorflow_serving.apis import get_model_status_pb2

from models.spec.errors import UserError
from serving.model_config import ModelConfig
from serving.model_versions import UNREADABLE, ModelVersions
from serving.request_error import RequestError
from serving.servable import Servable

_LOG = logging.getLogger(__name__)


class ModelManager:
    """Finds the version that answers a request, and follows the models' folders in a thread.

    Args:
        configs: the models.
        poll_seconds: time between two looks at their folders.
        load: as for `ModelVersions`.

    Example:

    ```python
    models = ModelManager([ModelConfig("ctr", "serving/ctr")])
    models.load()
    models.start()
    models.find("ctr").run("serving_default", {"examples": proto})
    ```
    """

    def __init__(self, configs: Sequence[ModelConfig], poll_seconds: float = 1.0,
                 load: Callable[[str, int], Servable] = Servable):
        self._load = load
        self._poll_seconds = poll_seconds
        # Replaced as a whole: a request sees one state of it.
        self._models = {c.name: ModelVersions(c, load) for c in configs}
        # Of polls and reloads, which may take long; requests never wait for it.
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="model-manager", daemon=True)

    @property
    def loaded(self) -> dict[str, list[int]]:
        """The versions that answer requests, newest first, by model."""
        return {name: model.loaded for name, model in self._models.items()}

    def find(self, name: str, version: int | None = None, label: str = "") -> Servable:
        """The version that a request asks for; a model's newest when it asks for none.

        Raises:
            RequestError: NOT_FOUND, with what there is.
        """
        return self._model(name).find(version, label)

    def statuses(self, name: str, version: int | None = None, label: str = "") -> (
            get_model_status_pb2.GetModelStatusResponse):
        """States of a model's versions, newest first, or of one of them.

        Raises:
            RequestError: NOT_FOUND, with what there is.
        """
        return self._model(name).statuses(version, label)

    def load(self) -> None:
        """Loads all models for the first time.

        Raises:
            UserError: a model has no version that can be loaded, or a label names none.
        """
        with self._lock:
            for model in self._models.values():
                model.poll(settle=False)
                wrong = _wrong(model)
                if wrong:
                    raise UserError(wrong)

    def reload(self, configs: Sequence[ModelConfig]) -> None:
        """Serves these models from now on: all of them, or, where one cannot be, the same as before.

        Models that are served already keep their loaded versions, as far as the policy wants them.

        Raises:
            RequestError: FAILED_PRECONDITION: a model has no version that can be loaded, or a
                label names none.
        """
        with self._lock:
            models = {}
            for config in configs:
                before = self._models.get(config.name)
                if before and before.config.base_path != config.base_path:
                    before = None
                models[config.name] = ModelVersions(config, self._load, before)
                models[config.name].poll(settle=False)
                wrong = _wrong(models[config.name])
                if wrong:
                    raise RequestError(grpc.StatusCode.FAILED_PRECONDITION, f"nothing is changed: {wrong}")
            self._models = models

    def start(self) -> None:
        """Starts following the folders."""
        self._thread.start()

    def stop(self) -> None:
        """Begins no further look at the folders; one that is under way goes on, see `wait`."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """After `stop`: whether the thread ends within so many seconds; a version that it loads may take minutes.

        Where it does not, the interpreter's end waits for it.
        """
        if self._thread.is_alive():
            self._thread.join(seconds)
        ended = not self._thread.is_alive()
        if not ended:
            # Python's end, while TensorFlow loads in a thread, would abort the process: it has to wait.
            atexit.register(self._thread.join)
        return ended

    def _model(self, name: str) -> ModelVersions:
        models = self._models
        if name not in models:
            raise RequestError.not_found(
                f"no model {name!r}; this server has: {', '.join(sorted(map(repr, models)))}")
        return models[name]

    def _follow(self) -> None:
        while not self._stop.wait(self._poll_seconds):
            with self._lock:
                for model in self._models.values():
                    try:
                        model.poll()
                    except UNREADABLE as error:
                        # A folder that vanishes between two calls; what is loaded keeps serving.
                        _LOG.warning("%s cannot be read: %s", model.config.base_path, error)


def _wrong(model: ModelVersions) -> str | None:
    config = model.config
    if not config.policy.choose(model.loaded):
        reasons = [f"version {v}: {reason}" for v, reason in sorted(model.failures.items())]
        wanted = "" if not config.policy.specific else f" of {', '.join(map(str, config.policy.specific))}"
        return (f"{config.base_path}: no model version{wanted} can be served: " + (
            "; ".join(reasons) or "there is no folder <number>/ with saved_model.pb in it; "
            "a pipeline run writes one when its model is blessed"))
    for label, version in config.labels.items():
        if version not in model.loaded:
            return (f"model {config.name!r}: the label {label!r} stands for version {version}, which is not served; "
                    f"served are: {', '.join(map(str, model.loaded))}")
    return None
