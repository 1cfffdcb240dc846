"""The questions and the tables of the benchmark of serving."""

import pytest

from benchmarks import serving, serving_table
from benchmarks.serving_case import CASES, ServingCase
from benchmarks.serving_latency import EMPTY
from serving import request_tensors, wire
from serving.signature_names import DEFAULT, PREDICT_COLUMNS, RANK_TOP_K
from tests.unit.served_model import SPEC

LOG = [{"reader_id": f"r{i}", "age": float(i), "lately": [f"b{i}"] * (i % 3), "book": f"b{i}",
        "topics": ["war"] * (i % 2)} for i in range(5)]


def _texts(request, name):
    return list(request.inputs[name].string_val)


def test_requests_take_the_rows_in_turn():
    case = ServingCase("", PREDICT_COLUMNS, 2)
    requests = [case.request(SPEC, "books", case.log_rows(SPEC, LOG, number)) for number in range(3)]
    assert [_texts(r, "book") for r in requests] == [[b"b0", b"b1"], [b"b2", b"b3"], [b"b4", b"b0"]]
    assert _texts(requests[1], "reader") == [b"r2", b"r3"]
    assert requests[0].model_spec.name == "books" and requests[0].model_spec.signature_name == PREDICT_COLUMNS
    assert list(requests[0].output_filter) == ["probability"]


def test_a_ranking_and_the_naive_ways_ask_the_same():
    ranking = ServingCase("", RANK_TOP_K, 3, one_user=True)
    rows = ranking.log_rows(SPEC, LOG, 1)
    request = ranking.request(SPEC, "books", rows)
    assert _texts(request, "book") == [b"b3", b"b4", b"b0"] and _texts(request, "reader") == [b"r3"]
    assert request.inputs["k"].int_val == [3] and sorted(request.output_filter) == ["index", "probability"]
    columns = ServingCase("", PREDICT_COLUMNS, 3, one_user=True)
    repeated = columns.request(SPEC, "books", columns.log_rows(SPEC, LOG, 1))
    assert _texts(repeated, "book") == _texts(request, "book") and _texts(repeated, "reader") == [b"r3"] * 3
    assert request_tensors.numbers(repeated.inputs["age"]).tolist() == [3.0] * 3
    examples = ServingCase("", DEFAULT, 3, one_user=True)
    sent = examples.request(SPEC, "books", examples.log_rows(SPEC, LOG, 1)).inputs["examples"].string_val
    features = [wire.Example.FromString(e).features.feature for e in sent]
    assert [list(f["book"].bytes_list.value) for f in features] == [[b"b3"], [b"b4"], [b"b0"]]
    assert [list(f["reader"].bytes_list.value) for f in features] == [[b"r3"]] * 3


def test_an_answer_must_have_as_many_values_as_were_asked_for():
    response = wire.PredictResponse()
    response.outputs["probability"].dtype = wire.DT_FLOAT
    response.outputs["probability"].tensor_shape.dim.add(size=2)
    response.outputs["probability"].float_val.extend([0.5, 0.25])
    assert ServingCase("", DEFAULT, 2).read(response.SerializeToString()) == {"probability": [0.5, 0.25]}
    with pytest.raises(RuntimeError, match="3 values were asked for"):
        ServingCase("three", DEFAULT, 3).read(response.SerializeToString())
    assert ServingCase("", RANK_TOP_K, 500).answers == 10 and ServingCase("", RANK_TOP_K, 4).answers == 4


def test_a_client_s_own_work_is_timed_once_a_question():
    response = wire.PredictResponse()
    response.outputs["probability"].dtype = wire.DT_FLOAT
    response.outputs["probability"].tensor_shape.dim.add(size=1)
    response.outputs["probability"].float_val.append(0.5)
    times = CASES["naive_hundred"].client_seconds(SPEC, "books", LOG, response.SerializeToString(), 2)
    assert len(times) == 2 and min(times) > 0


def _cell(p50, per_second=100.0, **more):
    return {"count": 3000, "p50": p50, "p90": 2 * p50, "p99": 3 * p50, "per_second": per_second, **more}


def _served(p50, per_second=100.0):
    return {clients: _cell(p50 * clients, per_second, server_cpu=0.5, client_cpu=0.1) for clients in (1, 8, 32)}


def _own(bare, socket):
    return {"bare": {"p50": bare}, "socket": {"p50": socket, "client_cpu": 0.03}}


RESULTS = {
    **{name: {"bare": {1: _cell(1.0), 2: _cell(1.5, 150.0)}, "served": _served(1.5), "own": _own(1.0, 1.375),
              "client": {"work": {"count": 100, "p50": 0.2, "p90": 0.2, "p99": 0.3}}} for name in CASES},
    "rank": {"bare": {1: _cell(2.0)}, "served": _served(3.25, 50.0), "own": _own(2.0, 3.0),
             "client": {"work": {"count": 100, "p50": 9.0, "p90": 9.0, "p99": 9.0}}},
    "naive_hundred": {"served": _served(120.0, 2.0),
                      "client": {"work": {"count": 100, "p50": 7.0, "p90": 8.0, "p99": 9.0}}},
    EMPTY: {"served": _served(0.3), "own": _own(None, 0.25)}}


def test_the_table_of_latencies():
    lines = serving_table.latency(RESULTS).splitlines()
    assert lines[2:7] == [
        "| 1 row, Example | bare, 1 thread | 1.00 | 2.00 | 3.00 | 100 | 1.00 |  |  | 3,000 |",
        "| 1 row, Example | bare, 2 threads | 1.50 | 3.00 | 4.50 | 150 |  |  |  | 3,000 |",
        "| 1 row, Example | 1 client | 1.50 | 3.00 | 4.50 | 100 | 1.50 | 0.50 | 0.10 | 3,000 |",
        "| 1 row, Example | 8 clients | 12.00 | 24.00 | 36.00 | 100 | 12.00 | 0.50 | 0.10 | 3,000 |",
        "| 1 row, Example | 32 clients | 48.00 | 96.00 | 144.00 | 100 | 48.00 | 0.50 | 0.10 | 3,000 |"]
    assert ("| naive: 100 rows as 100 requests | 1 client | 120.00 | 240.00 | 360.00 | 2 |  | 0.50 | 0.10 | 3,000 |"
            in lines)
    assert "| an empty call (health check) | 1 client | 0.30 | 0.60 | 0.90 | 100 |  | 0.50 | 0.10 | 3,000 |" in lines


def test_the_overhead_and_its_target():
    lines = serving_table.latency(RESULTS).splitlines()
    assert "| 1 row, Example | 1.00 | 1.38 | 0.38 | 0.25 | 1.50 | 0.20 | yes |" in lines
    assert "| best 10 of 500, `rank_top_k` | 2.00 | 3.00 | 1.00 | 0.25 | 3.25 | 9.00 | no |" in lines
    assert "for a call it takes\n0.03 ms of CPU, where gRPC's library for Python takes 0.10." in "\n".join(lines)
    assert lines[-1] == ("Target: best 10 of 500, `rank_top_k`, p99 under 10 ms with one client: yes (9.75 ms).")
    slower = {**RESULTS, "rank": {**RESULTS["rank"], "served": _served(3.5)}}
    assert serving_table.latency(slower).endswith("one client: no (10.50 ms).")


def test_the_naive_ways():
    lines = serving_table.latency(RESULTS).splitlines()
    assert "| 100 rows, Examples | 100 rows as 100 requests | 1 | 1.50 | 120.00 | 80.0 | 50.0 |" in lines
    assert "| best 10 of 500, `rank_top_k` | 500 items as columns | 8 | 26.00 | 12.00 | 0.5 | 0.5 |" in lines


OVERLOADED = {"sustained": 100.0, "offered": 400.0, "rate": 396.0, "sent": 8000, "late": 7, "answered": 0.25,
              "shed": 0.74, "failed": 0.01, "statuses": {"RESOURCE_EXHAUSTED": 5920, "OK": 2000, "INTERNAL": 80},
              "answered_per_second": 110.0, "latency": {"count": 2000, "p50": 300.0, "p90": 400.0, "p99": 500.0}}


def test_the_overload():
    text = serving_table.overload(OVERLOADED)
    assert text.splitlines()[0] == (
        "Sustained in closed loops: 100 requests a second. Offered: 4 times that, 400; sent: 396 a second, 8,000 in "
        "all, of which 7 left more than 10 ms after they were due.")
    assert ("| answered | 25.0% |  |\n| shed, RESOURCE_EXHAUSTED | 74.0% |  |\n| any other failure | 1.0% | none: no |"
            in text)
    assert "Status codes: INTERNAL 80, OK 2,000, RESOURCE_EXHAUSTED 5,920. Answered: 110 a second, 1.10 times" in text
    assert text.endswith("Latency of those answered: p50 300.0 ms, p90 400.0 ms, p99 500.0 ms.")
    nothing = serving_table.overload({**OVERLOADED, "failed": 0.0, "latency": None})
    assert "| any other failure | 0.0% | none: yes |" in nothing and "Latency" not in nothing


def test_the_soak():
    result = {"requests": 30000, "rate": 50.0, "sustained": 100.0, "late": 0, "failures": 2,
              "statuses": {"OK": 29998, "UNAVAILABLE": 2}, "latency": _cell(4.0), "slope": 1.5,
              "memory": [(0, 400.4), (1.0, 600.6), (2.0, 602.1), (3.0, 603.6)]}
    lines = serving_table.soak(result).splitlines()
    assert lines[0] == (
        "30,000 requests, 50 a second (sustained: 100), 0 sent late; failures: 2 (target: none: no); status codes: OK "
        "29,998, UNAVAILABLE 2. Latency: p50 4.0 ms, p90 8.0 ms, p99 12.0 ms.")
    # 3.0 of 600.6.
    assert lines[1] == ("The server's resident memory, without its first minute: +1.50 MiB a minute, +0.5% in all "
                        "(target: flat, less than 1%: yes).")
    assert lines[-4:-2] == ["| 0 | 400 |", "| 1 | 601 |"]
    assert "+1.0% in all (target: flat, less than 1%: no)" in serving_table.soak({**result, "slope": 3.1})


def test_many_versions():
    lines = serving_table.pushes({"memory": [800.0, 816.0, 820.0, 824.0, 825.0], "answers": 1234}).splitlines()
    assert lines[0] == (
        "1,234 requests answered meanwhile, none failed. Of the later half of the replacements, each left +2.5 MiB "
        "behind in the mean.")
    assert lines[-4:] == ["| 0 | 800 | +0.0% |", "| 1 | 816 | +2.0% |", "| 2 | 820 | +2.5% |", "| 4 | 825 | +3.1% |"]
    many = serving_table.pushes({"memory": [800.0] * 31, "answers": 1}).splitlines()
    assert [line.split(" | ")[0] for line in many[4:]] == [f"| {n}" for n in (0, 1, 2, 5, 10, 20, 30)]


def _by_rows(*times):
    return {rows: _cell(p50) for rows, p50 in zip((1, 100, 500), times)}


def test_beside_the_peers_the_fastest_of_each_way_counts():
    ours = {
        "this project, gRPC, Examples": _by_rows(2.0, 4.0, 9.0),
        "this project, gRPC, columns": _by_rows(1.0, 5.0, 8.0),
        "this project, bare, Examples": _by_rows(0.5, 2.0, 5.0),
        "this project, bare, columns": _by_rows(0.6, 3.0, 4.0)}
    theirs = {"one": _by_rows(0.9, 8.0, 16.0), "one, network alone": _by_rows(0.4, 3.0, 12.0),
              "other": _by_rows(3.0, 6.0, 20.0), "other, network alone": _by_rows(0.7, 1.0, 2.0)}
    result = {"latency": {**ours, **theirs}, "parameters": {"this project": 1000, "one": 990}, "versions": {}}
    lines = serving_table.beside_peers(result).splitlines()
    assert "| this project, gRPC, Examples | 1 | 2.00 | 4.00 | 6.00 | 500 | 2.00 | 3,000 |" in lines
    assert "| other | 500 | 20.00 | 40.00 | 60.00 | 25,000 | 2.50 | 3,000 |" in lines
    assert "Parameters: this project 1,000, one 990." in lines
    assert lines[-3:] == [
        "* 1 row: over gRPC ahead of one's `predict`: no (0.90); over gRPC ahead of one, network alone: no (0.40); "
        "bare ahead of one's `predict`: yes (1.80); bare ahead of one, network alone: no (0.80).",
        "* 100 rows: over gRPC ahead of other's `predict`: yes (1.50); over gRPC ahead of other, network alone: no "
        "(0.25); bare ahead of other's `predict`: yes (3.00); bare ahead of other, network alone: no (0.50).",
        "* 500 rows: over gRPC ahead of one's `predict`: yes (2.00); over gRPC ahead of other, network alone: no "
        "(0.25); bare ahead of one's `predict`: yes (4.00); bare ahead of other, network alone: no (0.50)."]
    assert "*" not in serving_table.beside_peers({**result, "latency": ours})


@pytest.mark.parametrize(("arguments", "words"), [
    (["--rounds", "0"], "--rounds is 0; it must be more than 0"),
    (["--soak-minutes", "-1"], "--soak-minutes is -1.0; it must be more than 0"),
])
def test_a_user_is_told_what_is_wrong(monkeypatch, capsys, arguments, words):
    monkeypatch.setattr("sys.argv", ["serving", *arguments])
    with pytest.raises(SystemExit):
        serving.main()
    assert words in capsys.readouterr().err
