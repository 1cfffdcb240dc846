"""What the benchmark of serving measured, as tables and as targets that are reached or not."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.markdown import head, line, said
from benchmarks.serving_case import CASES
from benchmarks.serving_latency import CLIENTS, EMPTY
from benchmarks.serving_overload import TIMES
from benchmarks.serving_peers import BARE, ROWS, SERVED, WAYS

RANK_TARGET, OVERHEAD_TARGET, FLAT = 10.0, 1.0, 0.01
_EMPTY_NAME = "an empty call (health check)"
_NAIVE = {"hundred": ("naive_hundred",), "hundred_columns": ("naive_hundred",),
          "rank": ("naive_rank", "naive_rank_columns")}
_CELLS = ("question", "asked by", "p50 ms", "p90 ms", "p99 ms", "a second", "p50 to bare", "server's CPU ms",
          "clients' CPU ms", "questions")
_OVERHEADS = ("question", "bare p50 ms", "at the socket p50 ms", "server's own ms", "of it, an empty call ms",
              "gRPC's client p50 ms", "our client, building and reading ms", "target: own under 1 ms")
_OWN = """At the socket: one client without a gRPC library, which writes and reads HTTP/2's frames; for a call it takes
{cpu:.2f} ms of CPU, where gRPC's library for Python takes {grpc_cpu:.2f}. What it waits beyond the bare function is
the server's own overhead: both are measured in turns, a tenth at a time. What gRPC's client waits beyond is its own."""


def latency(results: Mapping[str, Mapping]) -> str:
    """Latencies and throughput, overhead, and the naive ways; `results` as `serving_latency.measure` returns them."""
    lines = head(_CELLS)
    for name in (*CASES, EMPTY):
        shown = _EMPTY_NAME if name == EMPTY else CASES[name].name
        bare = results[name].get("bare", {})
        for threads, cell in bare.items():
            lines.append(line([
                shown, f"bare, {_counted(threads, 'thread')}", *_times(cell), f"{cell['per_second']:,.0f}",
                "" if threads > 1 else "1.00", "", "", f"{cell['count']:,}"]))
        for clients, cell in results[name]["served"].items():
            lines.append(line([
                shown, _counted(clients, "client"), *_times(cell), f"{cell['per_second']:,.0f}",
                f"{cell['p50'] / bare[1]['p50']:.2f}" if bare else "", f"{cell['server_cpu']:.2f}",
                f"{cell['client_cpu']:.2f}", f"{cell['count']:,}"]))
    return "\n\n".join(["\n".join(lines), "### The server's own overhead", _overheads(results), "### The naive ways",
                        _naive(results), _rank_verdict(results)])


def overload(result: Mapping) -> str:
    """What came of a load that is several times what the server can do."""
    latency = result["latency"]
    lines = [
        f"Sustained in closed loops: {result['sustained']:,.0f} requests a second. Offered: {TIMES} times that, "
        f"{result['offered']:,.0f}; sent: {result['rate']:,.0f} a second, {result['sent']:,} in all, of which "
        f"{result['late']:,} left more than 10 ms after they were due.", "",
        *head(("of those sent", "share", "target")),
        line(["answered", f"{result['answered']:.1%}", ""]),
        line(["shed, RESOURCE_EXHAUSTED", f"{result['shed']:.1%}", ""]),
        line(["any other failure", f"{result['failed']:.1%}", f"none: {said(result['failed'] == 0)}"]), "",
        f"Status codes: {_statuses(result['statuses'])}. Answered: {result['answered_per_second']:,.0f} a second, "
        f"{result['answered_per_second'] / result['sustained']:.2f} times the sustained rate."]
    if latency:
        lines.append(f"Latency of those answered: p50 {latency['p50']:.1f} ms, p90 {latency['p90']:.1f} ms, p99 "
                     f"{latency['p99']:.1f} ms.")
    return "\n".join(lines)


def soak(result: Mapping) -> str:
    """What came of minutes of load."""
    latency, memory = result["latency"], result["memory"]
    (begun, settled), (ended, _) = memory[1], memory[-1]
    rise = result["slope"] * (ended - begun) / settled
    return "\n".join([
        f"{result['requests']:,} requests, {result['rate']:,.0f} a second (sustained: {result['sustained']:,.0f}), "
        f"{result['late']:,} sent late; failures: {result['failures']:,} (target: none: "
        f"{said(result['failures'] == 0)}); status codes: {_statuses(result['statuses'])}. Latency: p50 "
        f"{latency['p50']:.1f} ms, p90 {latency['p90']:.1f} ms, p99 {latency['p99']:.1f} ms.",
        f"The server's resident memory, without its first minute: {result['slope']:+.2f} MiB a minute, {rise:+.1%} in "
        f"all (target: flat, less than {FLAT:.0%}: {said(rise < FLAT)}).", "",
        *head(("minute", "MiB")), *(line([f"{at:.4g}", f"{mib:,.0f}"]) for at, mib in memory)])


def pushes(result: Mapping) -> str:
    """What memory a server holds that replaced its version many times."""
    memory = result["memory"]
    last = len(memory) - 1
    shown = sorted({n for n in (0, 1, 2, 5, last) if n <= last} | set(range(10, last, 10)))
    half = (memory[last] - memory[last // 2]) / max(1, last - last // 2)
    return "\n".join([
        f"{result['answers']:,} requests answered meanwhile, none failed. Of the later half of the replacements, each "
        f"left {half:+.1f} MiB behind in the mean.", "",
        *head(("versions replaced", "MiB", "more than at first")),
        *(line([n, f"{memory[n]:,.0f}", f"{memory[n] / memory[0] - 1:+.1%}"]) for n in shown)])


def beside_peers(result: Mapping) -> str:
    """Latencies beside the other libraries, and whether ours are lower."""
    cells = result["latency"]
    lines = head(("contender", "rows", "p50 ms", "p90 ms", "p99 ms", "rows/s", "p50 to ours over gRPC", "calls"))
    for name, by_rows in cells.items():
        for rows, cell in by_rows.items():
            lines.append(line([name, rows, *_times(cell), f"{1000 * rows / cell['p50']:,.0f}",
                                f"{cell['p50'] / _best(cells, SERVED, rows):.2f}", f"{cell['count']:,}"]))
    sizes = ", ".join(f"{name} {number:,}" for name, number in result["parameters"].items())
    return "\n".join([*lines, "", f"Parameters: {sizes}.", "", *_peer_verdicts(cells)])


def _overheads(results: Mapping[str, Mapping]) -> str:
    lines = head(_OVERHEADS)
    nothing = results[EMPTY]["own"]["socket"]
    for name, case in CASES.items():
        if case.calls == 1:
            bare, socket = (results[name]["own"][key]["p50"] for key in ("bare", "socket"))
            lines.append(line([
                case.name, f"{bare:.2f}", f"{socket:.2f}", f"{socket - bare:.2f}", f"{nothing['p50']:.2f}",
                f"{results[name]['served'][1]['p50']:.2f}", f"{results[name]['client']['work']['p50']:.2f}",
                said(socket - bare < OVERHEAD_TARGET)]))
    told = _OWN.format(cpu=nothing["client_cpu"], grpc_cpu=results[EMPTY]["served"][1]["client_cpu"])
    return "\n".join([told, "", *lines])


def _naive(results: Mapping[str, Mapping]) -> str:
    lines = head((
        "question", "naive way", "clients", "p50 ms", "naive p50 ms", "naive to ours", "throughput, ours to naive"))
    for name, ways in _NAIVE.items():
        for way in ways:
            for clients in CLIENTS:
                ours, theirs = (results[n]["served"][clients] for n in (name, way))
                lines.append(line([
                    CASES[name].name, CASES[way].name.removeprefix("naive: "), clients, f"{ours['p50']:.2f}",
                    f"{theirs['p50']:.2f}", f"{theirs['p50'] / ours['p50']:.1f}",
                    f"{ours['per_second'] / theirs['per_second']:.1f}"]))
    return "\n".join(lines)


def _rank_verdict(results: Mapping[str, Mapping]) -> str:
    p99 = results["rank"]["served"][1]["p99"]
    return (f"Target: {CASES['rank'].name}, p99 under {RANK_TARGET:g} ms with one client: "
            f"{said(p99 < RANK_TARGET)} ({p99:.2f} ms).")


def _peer_verdicts(cells: Mapping[str, Mapping]) -> list[str]:
    peers = {name: by_rows for name, by_rows in cells.items() if name not in SERVED and name not in BARE}
    lines = []
    for rows in ROWS if peers else ():
        parts = []
        for kind, ours in (("over gRPC", SERVED), ("bare", BARE)):
            for way, shown in WAYS.items():
                # Of either way the fastest peer: to be ahead of it is to be ahead of all.
                of_way = {n: c for n, c in peers.items() if n.endswith(WAYS["forward"]) == (way == "forward")}
                name = min(of_way, key=lambda n: of_way[n][rows]["p50"])
                ahead = of_way[name][rows]["p50"] / _best(cells, ours, rows)
                parts.append(f"{kind} ahead of {name}'s `predict`: {said(ahead > 1)} ({ahead:.2f})" if not shown else
                             f"{kind} ahead of {name}: {said(ahead > 1)} ({ahead:.2f})")
        lines.append(f"* {_counted(rows, 'row')}: {'; '.join(parts)}.")
    return lines


def _best(cells: Mapping[str, Mapping], names, rows: int) -> float:
    """The lower p50 of the two forms in which rows are sent."""
    return min(cells[name][rows]["p50"] for name in names)


def _times(cell: Mapping) -> list[str]:
    return [f"{cell[p]:.2f}" for p in ("p50", "p90", "p99")]


def _statuses(found: Mapping[str, int]) -> str:
    return ", ".join(f"{status} {count:,}" for status, count in sorted(found.items())) or "none"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number > 1 else ''}"
