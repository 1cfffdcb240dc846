"""What the server counts, read back by Prometheus' own parser."""

import timeit
from concurrent import futures

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.server_metrics import ServerMetrics


@pytest.fixture
def metrics():
    return ServerMetrics(lambda name: name == "ctr")


def _samples(metrics):
    body, content_type = metrics.render()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode()) for sample in family.samples}


def test_a_count_has_tf_servings_name_and_no_other(metrics):
    metrics.observe("ctr", "Predict", "GRPC", "OK", 0.001)
    metrics.observe("ctr", "predict", "REST", "OK", 0.001)
    metrics.observe("ctr", "Predict", "GRPC", "NOT_FOUND", 0.001)
    lines = metrics.render()[0].decode().splitlines()
    assert [line for line in lines if "request_count" in line and "created" not in line] == [
        "# HELP :tensorflow:serving:request_count The total number of requests.",
        "# TYPE :tensorflow:serving:request_count counter",
        ':tensorflow:serving:request_count{model_name="ctr",status="OK"} 2.0',
        ':tensorflow:serving:request_count{model_name="ctr",status="NOT_FOUND"} 1.0']


def test_latencies_are_in_tf_servings_buckets_of_microseconds(metrics):
    for seconds in (9e-6, 20e-6, 0.001, 2000.0):
        metrics.observe("ctr", "Predict", "GRPC", "OK", seconds)
    found = _samples(metrics)
    labels = (("API", "Predict"), ("entrypoint", "GRPC"), ("model_name", "ctr"))
    name = ":tensorflow:serving:request_latency"
    buckets = {
        dict(key)["le"]: value for (sample, key), value in found.items() if sample == f"{name}_bucket"}
    # 10 us and 1.8 times as much each time, 33 bounds and one for what is more.
    assert list(buckets)[:5] == ["10.0", "18.0", "32.4", "58.32", "104.976"] and len(buckets) == 34
    assert [buckets[le] for le in ("10.0", "18.0", "32.4", "612.22", "1102.0", "+Inf")] == [1, 1, 2, 2, 3, 4]
    assert found[f"{name}_count", labels] == 4
    assert found[f"{name}_sum", labels] == pytest.approx(9 + 20 + 1000 + 2e9)


def test_threads_lose_no_observation_and_none_piles_up(metrics):
    def observe(_):
        metrics.observe("ctr", "Predict", "GRPC", "OK", 0.001)
        metrics.observe_run("ctr", "Predict", 0.001)
        return len(metrics._written)

    with futures.ThreadPoolExecutor(4) as threads:
        assert max(threads.map(observe, range(2000))) < 100
    numbers = [value for (name, _), value in _samples(metrics).items() if name.endswith(("_count_total", "y_count"))]
    assert numbers == [2000] * 3


def test_the_time_in_the_graph_has_a_metric_of_its_own(metrics):
    metrics.observe_run("ctr", "Predict", 0.002)
    metrics.observe_run("ctr", "Predict", 0.003)
    labels = (("API", "Predict"), ("model_name", "ctr"), ("runtime", "TF1"))
    assert _samples(metrics)[":tensorflow:serving:runtime_latency_sum", labels] == pytest.approx(5000)


def test_models_that_do_not_exist_are_one(metrics):
    for i in range(50):
        metrics.observe(f"no{i}", "Predict", "GRPC", "NOT_FOUND", 0.001)
        metrics.observe_run(f"no{i}", "Predict", 0.001)
    counts = {key: value for key, value in _samples(metrics).items() if key[0].endswith("request_count_total")}
    assert list(counts.values()) == [50] and dict(list(counts)[0][1])["model_name"] == ""
    assert not metrics._children


def test_gauges_are_read_when_they_are_asked_for(metrics):
    waiting, versions = [3], {("ctr", "7"): 1}
    metrics.watch("ctrl:serving:waiting_requests", "Requests that wait.", lambda: waiting[0])
    metrics.watch("ctrl:serving:loaded_version", "1 if loaded.", lambda: versions, ["model_name", "version"])
    assert _samples(metrics)["ctrl:serving:waiting_requests", ()] == 3
    waiting[0], versions["ctr", "8"] = 0, 1
    found = _samples(metrics)
    assert found["ctrl:serving:waiting_requests", ()] == 0
    assert found["ctrl:serving:loaded_version", (("model_name", "ctr"), ("version", "8"))] == 1
    with pytest.raises(ValueError, match="ctrl:serving:loaded_version"):
        metrics.watch("ctrl:serving:loaded_version", "Again.", lambda: 1)


def test_two_servers_do_not_share_their_counts(metrics):
    other = ServerMetrics(lambda name: True)
    other.observe("ctr", "Predict", "GRPC", "OK", 0.001)
    assert not any(name.endswith("request_count_total") for name, _ in _samples(metrics))


def test_an_observation_is_cheap(metrics):
    def observe():
        metrics.observe("ctr", "Predict", "GRPC", "OK", 0.002)

    # It takes 2 to 3 us; the best of some tries, since the machine may have other work.
    assert min(timeit.repeat(observe, number=1000, repeat=20)) / 1000 < 20e-6
