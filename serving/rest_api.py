"""TF Serving's REST API without HTTP: from paths and bodies to bodies."""

from __future__ import annotations

import dataclasses
import re
import time
import urllib.parse

import orjson
from tensorflow_serving.apis import model_pb2

from serving import inference, json_values, rest_examples, rest_json
from serving.request_error import RequestError
from serving.servable import Servable
from serving.server_metrics import ServerMetrics
from serving.signature_names import DEFAULT
from serving.version_policy import MAX_VERSION, MAX_VERSION_DIGITS

_MODEL = r"/v1/models/(?P<model>[^/:]+)(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_INFERENCE = re.compile(rf"{_MODEL}:(?P<method>predict|classify|regress)", re.IGNORECASE)
_DESCRIPTION = re.compile(rf"{_MODEL}(?:/(?P<method>metadata))?", re.IGNORECASE)
_METRICS_PATH = "/monitoring/prometheus/metrics"
_STATUS = "status"
_METRICS = "metrics"


@dataclasses.dataclass(frozen=True)
class _Call:
    """What a path asks for."""

    verb: str
    method: str
    model: str = ""
    version: int | None = None
    label: str = ""


class RestApi:
    """Answers the calls of TF Serving's REST API; safe to use from many threads.

    Args:
        models: has `find(name, version, label)`, which returns a `Servable`, and
            `statuses(name, version, label)`, which returns a `GetModelStatusResponse`.
        admission: has `slot(seconds)`, a context manager that waits for leave to run.
        metrics: where the time in the graph is counted.

    Example:

    ```python
    api = RestApi(models, admission, metrics)
    call = api.find("/v1/models/ctr:predict")
    api.infer(call, b'{"instances": [{"b64": ""}]}', seconds=1.0)  # b'{"predictions":[...]}'
    ```
    """

    def __init__(self, models, admission, metrics: ServerMetrics):
        self._models = models
        self._admission = admission
        self._metrics = metrics

    def find(self, path: str) -> _Call | None:
        """What a path, with its %-escapes, asks for; None when it is none of the API's.

        Raises:
            RequestError: INVALID_ARGUMENT: the version is no int64.
        """
        if path == _METRICS_PATH:
            return _Call("GET", _METRICS)
        for pattern, verb in ((_INFERENCE, "POST"), (_DESCRIPTION, "GET")):
            if match := pattern.fullmatch(path):
                model, label = (urllib.parse.unquote(match[group] or "") for group in ("model", "label"))
                return _Call(verb, (match["method"] or _STATUS).lower(), model, _version(match["version"]), label)
        return None

    def infer(self, call: _Call, body: bytes, deadline: float) -> bytes:
        """Answers Predict, Classify or Regress.

        Args:
            call: from `find`.
            body: the request's.
            deadline: by `time.monotonic()`; a request that has not got a slot by then is refused.

        Raises:
            RequestError: the model, the signature or the request is not right, or there is no slot.
        """
        with self._admission.slot(max(0.0, deadline - time.monotonic())):
            servable = self._models.find(call.model, call.version, call.label)
            document = json_values.parse(body)
            name = json_values.signature_name(document)
            if call.method == "predict":
                return self._predict(call, servable, name or DEFAULT, document)
            return self._examples(call, servable, name, document)

    def describe(self, call: _Call) -> tuple[bytes, str]:
        """Answers the calls without a body: status, metadata and metrics.

        Returns:
            The body and its content type.

        Raises:
            RequestError: there is no such model or version.
        """
        if call.method == _METRICS:
            return self._metrics.render()
        if call.method == _STATUS:
            found = json_values.from_message(self._models.statuses(call.model, call.version, call.label))
        else:
            found = _metadata(call.model, self._models.find(call.model, call.version, call.label))
        return orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE), "application/json"

    def _predict(self, call: _Call, servable: Servable, name: str, document: dict) -> bytes:
        arrays, by_row = rest_json.to_arrays(document, name, servable.signature(name))
        start = time.perf_counter()
        outputs = servable.run_arrays(name, arrays)
        self._metrics.observe_run(call.model, "Predict", time.perf_counter() - start)
        return rest_json.from_arrays(outputs, by_row)

    def _examples(self, call: _Call, servable: Servable, name: str, document: dict) -> bytes:
        given = rest_examples.to_input(document)
        run, write = {
            "classify": (inference.classify, rest_examples.from_classes),
            "regress": (inference.regress, rest_examples.from_values)}[call.method]
        start = time.perf_counter()
        try:
            result = run(servable, name, given)
        except RequestError as error:
            raise rest_examples.explain(error) from error
        self._metrics.observe_run(call.model, call.method.capitalize(), time.perf_counter() - start)
        return write(result)


def _version(digits: str | None) -> int | None:
    if digits is None:
        return None
    # Their number is looked at first: Python refuses to read some thousands.
    if len(digits) > MAX_VERSION_DIGITS or int(digits) > MAX_VERSION:
        raise RequestError.invalid(f"the version {digits[:MAX_VERSION_DIGITS + 1]} is more than {MAX_VERSION}")
    return int(digits)


def _metadata(model: str, servable: Servable) -> dict:
    spec = model_pb2.ModelSpec(name=model)
    spec.version.value = servable.version
    return {
        "model_spec": json_values.from_message(spec),
        "metadata": {"signature_def": json_values.from_message(servable.signature_map())}}
