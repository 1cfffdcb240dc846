"""What a server counts, in Prometheus' text format."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import prometheus_client
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

# TF Serving's: 10 us to 25 minutes, printed with six digits.
_BUCKETS = [float(f"{10 * 1.8**i:g}") for i in range(33)]
_PREFIX = ":tensorflow:serving:"
_COUNT = f"{_PREFIX}request_count"
_UNKNOWN = ""
# Observations; counting so many takes some 0.2 ms.
_COUNTED_AT_ONCE = 64


class ServerMetrics:
    """Counts and times requests under the names that TF Serving gives its metrics, so its dashboards fit.

    An observation is written down, and counted some requests later, or when the metrics are read: Prometheus' client
    takes 2 us for it where it has just been used, but ten times as long between two requests, whose work has
    meanwhile driven it from the processor's caches. Safe to use from many threads.

    Args:
        has_model: whether there is a model of this name. Names come from requests: those of no
            model are counted together, as the model "", so that nobody can fill the memory.

    Example:

    ```python
    metrics = ServerMetrics(lambda name: name == "ctr")
    metrics.watch("ctrl:serving:waiting_requests", "Requests that wait.", lambda: admission.waiting)
    metrics.observe("ctr", "Predict", "GRPC", "OK", 0.0021)
    body, content_type = metrics.render()
    ```
    """

    def __init__(self, has_model: Callable[[str], bool]):
        self._has_model = has_model
        self._registry = prometheus_client.CollectorRegistry()
        self._counts = prometheus_client.Counter(
            _COUNT, "The total number of requests.", ["model_name", "status"], registry=self._registry)
        self._latencies = prometheus_client.Histogram(
            f"{_PREFIX}request_latency",
            "Distribution of wall time (in microseconds) for Tensorflow Serving request.",
            ["model_name", "API", "entrypoint"], registry=self._registry, buckets=_BUCKETS)
        self._run_latencies = prometheus_client.Histogram(
            f"{_PREFIX}runtime_latency",
            "Distribution of wall time (in microseconds) for Tensorflow runtime.",
            ["model_name", "API", "runtime"], registry=self._registry, buckets=_BUCKETS)
        # Finding a child by its labels takes longer than counting with it.
        self._children: dict[tuple, tuple] = {}
        self._written: collections.deque[tuple[tuple, float]] = collections.deque()

    def observe(self, model_name: str, api: str, entrypoint: str, status: str, seconds: float) -> None:
        """Counts a request that was answered, and its time.

        Args:
            model_name: the model's name in the request.
            api: "Predict" and so on; TF Serving writes "predict" for REST.
            entrypoint: "GRPC" or "REST".
            status: the name of the gRPC status code, as "OK".
            seconds: from its arrival to its answer.
        """
        key = (model_name, api, entrypoint, status)
        children = self._children.get(key)
        if children is None:
            name = self._known(model_name)
            children = (self._latencies.labels(name, api, entrypoint), self._counts.labels(name, status))
            if name == model_name:
                self._children[key] = children
        self._write_down(children, seconds)

    def observe_run(self, model_name: str, api: str, seconds: float, runtime: str = "TF1") -> None:
        """Times the graph's share of a request.

        Args:
            model_name, api: as for `observe`; TF Serving writes "Predict" here for REST too.
            seconds: in the graph.
            runtime: "TF1", as TF Serving calls a session.
        """
        key = (model_name, api, runtime)
        children = self._children.get(key)
        if children is None:
            name = self._known(model_name)
            children = (self._run_latencies.labels(name, api, runtime),)
            if name == model_name:
                self._children[key] = children
        self._write_down(children, seconds)

    def watch(self, name: str, documentation: str, function: Callable, labels: Sequence[str] = ()) -> None:
        """Adds a gauge that is read whenever the metrics are.

        Args:
            name: the metric's, as `ctrl:serving:waiting_requests`.
            documentation: a sentence.
            function: returns the number; with `labels`, the numbers by their labels' values.
            labels: the labels' names.

        Raises:
            ValueError: there is such a gauge already.

        Example:

        ```python
        metrics.watch(
            "ctrl:serving:loaded_version", "1 for each version that is loaded.",
            lambda: {("ctr", "1718000000"): 1}, ["model_name", "version"])
        ```
        """
        self._registry.register(_Watched(name, documentation, function, labels))

    def render(self) -> tuple[bytes, str]:
        """All metrics: the body and the content type of an answer to Prometheus."""
        self._count_written()
        body = prometheus_client.generate_latest(self._registry)
        # Prometheus' client ends a counter's name with `_total`; TF Serving does not.
        return body.replace(f"{_COUNT}_total".encode(), _COUNT.encode()), CONTENT_TYPE_PLAIN_0_0_4

    def _write_down(self, children: tuple, seconds: float) -> None:
        self._written.append((children, seconds))
        if len(self._written) >= _COUNTED_AT_ONCE:
            self._count_written()

    def _count_written(self) -> None:
        # Several threads may do so at once.
        with contextlib.suppress(IndexError):
            while True:
                (latency, *counts), seconds = self._written.popleft()
                latency.observe(1e6 * seconds)
                for count in counts:
                    count.inc()

    def _known(self, model_name: str) -> str:
        return model_name if self._has_model(model_name) else _UNKNOWN


class _Watched:
    """A gauge whose values a function gives."""

    def __init__(self, name: str, documentation: str, function: Callable, labels: Sequence[str]):
        self._function = function
        self._new = lambda: GaugeMetricFamily(name, documentation, labels=list(labels))
        self._labels = labels

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield self._new()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        metric = self._new()
        found = self._function()
        by_labels: Mapping = found if self._labels else {(): found}
        for values, number in by_labels.items():
            metric.add_metric(list(values), number)
        yield metric
