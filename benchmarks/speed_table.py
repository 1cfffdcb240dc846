"""Training speeds as a table: medians over rounds, and ratios to the best peer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.markdown import head, line, said

MEMORY, STREAM = "this project, in memory", "this project, streamed"
OURS = (MEMORY, STREAM)
COLUMNS = ("model", "contender", "parameters", "rows/s", "lowest to highest", "to the best peer", "to in memory")
# The model's parameters may differ by so much between contenders: DeepCTR-Torch's towers have a bias more a unit.
_SIZE_TOLERANCE = 0.01
_STREAM_TARGET = 0.9
# Model to contender to the results of its rounds.
Results = Mapping[str, Mapping[str, Sequence[Mapping]]]


def table(results: Results) -> str:
    """One line a model and contender."""
    lines = head(COLUMNS)
    for model, contenders in results.items():
        best = best_peer(contenders)
        for name, rounds in contenders.items():
            speeds = [r["rows_per_second"] for r in rounds]
            lines.append(line([
                model, name, f"{rounds[0]['parameters']:,}", f"{median(speeds):,.0f}",
                f"{min(speeds):,.0f} to {max(speeds):,.0f}",
                f"{ratio(contenders, name, best):.2f}" if best else "–",
                f"{ratio(contenders, name, MEMORY):.2f}" if name == STREAM else ""]))
    return "\n".join(lines)


def verdicts(results: Results) -> str:
    """One line a model: whether the targets are reached."""
    lines = []
    for model, contenders in results.items():
        best, streamed = best_peer(contenders), ratio(contenders, STREAM, MEMORY)
        parts = [f"streaming within 10 % of in memory: {said(streamed >= _STREAM_TARGET)} ({streamed:.2f})"]
        for name in OURS if best else ():
            ahead = ratio(contenders, name, best)
            parts.append(f"{name.split(', ')[1]} ahead of {best}, the best peer: {said(ahead > 1)} ({ahead:.2f})")
        lines.append(f"* {model}: {'; '.join(parts)}.")
    return "\n".join(lines)


def best_peer(contenders: Mapping[str, Sequence[Mapping]]) -> str | None:
    """The other library with the highest median; None where there is none."""
    peers = [name for name in contenders if name not in OURS]
    return max(peers, key=lambda name: _median(contenders, name), default=None)


def ratio(contenders: Mapping[str, Sequence[Mapping]], name: str, to: str) -> float:
    """The median speed of one contender over that of another."""
    return _median(contenders, name) / _median(contenders, to)


def different_sizes(contenders: Mapping[str, Sequence[Mapping]]) -> bool:
    """Whether the contenders' models are not the same: by more parameters than a tower's biases."""
    sizes = [rounds[0]["parameters"] for rounds in contenders.values()]
    return max(sizes) > min(sizes) * (1 + _SIZE_TOLERANCE)


def _median(contenders, name: str) -> float:
    return median(r["rows_per_second"] for r in contenders[name])
