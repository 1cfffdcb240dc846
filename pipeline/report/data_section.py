"""What a run read: counts, statistics, drift, anomalies, rows with their sentences."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Sequence

import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2
from tfx.dsl.io import fileio

from components.example_gen.executor import REJECTED
from models import raw_example
from models.spec.dataset_spec import LABEL
from models.spec.split_rule import SPLITS

_SHOWN_REJECTED = 10
_SHOWN_ROWS = 5
_SHOWN_VALUES = 5
_LONGEST = 300
_SENTENCE = "_sentence"
_NOT_SHOWN = (_SENTENCE, "_text_key")


@dataclasses.dataclass(frozen=True)
class Rejected:
    """One reason for which rows were rejected.

    Attributes:
        reason: without the place.
        rows: how many of those that were looked at.
        example: place and content of the first.
    """

    reason: str
    rows: int
    example: str


@dataclasses.dataclass(frozen=True)
class FeatureStatistics:
    """One feature in one split.

    Attributes:
        missing: share of rows without a value.
        unique: number of distinct values; None for a number.
        mean: of a number.
        deviation: of a number.
        median: of a number.
        top: the most frequent values with their shares of the values.
        bars: heights from 0 to 1 of a histogram: of the values of a number, of ranks otherwise.
    """

    missing: float
    unique: int | None = None
    mean: float | None = None
    deviation: float | None = None
    median: float | None = None
    top: tuple[tuple[str, float], ...] = ()
    bars: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Drift:
    """How far a feature's training split lies from the run before's.

    Attributes:
        feature: its name.
        measure: `Jensen-Shannon divergence` or `L-infinity distance`.
        value: the distance.
        allowed: the most that is no anomaly.
    """

    feature: str
    measure: str
    value: float
    allowed: float


@dataclasses.dataclass(frozen=True)
class ExampleRow:
    """A row of the log and the sentence that it became.

    Attributes:
        values: by feature, as text.
        label: 0 or 1.
        sentence: the sides' sentences in order.
    """

    values: dict[str, str]
    label: int
    sentence: str


def read_rejected(uris: Sequence[str]) -> list[Rejected]:
    """Why rows were rejected, out of `IngestionReport` artifacts, the most frequent reason first."""
    return reasons_of(line for uri in uris for line in _lines(os.path.join(uri, REJECTED)))


def _lines(path: str) -> Iterator[str]:
    if fileio.exists(path):
        with fileio.open(path) as stream:
            yield from stream


def reasons_of(lines: Iterable[str]) -> list[Rejected]:
    """The reasons in the lines of a dead-letter file; values in quotes belong to the row, not the reason."""
    found: dict[str, list] = {}
    for line in lines:
        row = json.loads(line)
        entry = found.setdefault(_general(row["reason"]), [0, row])
        entry[0] += 1
    ranked = sorted(found.items(), key=lambda item: -item[1][0])[:_SHOWN_REJECTED]
    return [Rejected(
        reason, count, f"{row['file']}:{row['line']}: {row['reason']}: {row['raw'][:_LONGEST]}")
        for reason, (count, row) in ranked]


def _general(reason: str) -> str:
    """A reason without the value that gave rise to it: `column 'price' is 'cheap', not a number`."""
    before, quoted, after = reason.partition(" is '")
    return f"{before} is …{after[after.rfind(chr(39)) + 1:]}" if quoted else reason


def read_statistics(uri: str) -> dict[str, dict[str, FeatureStatistics]]:
    """Statistics by feature by split, of an `ExampleStatistics` artifact."""
    found = {}
    for split in SPLITS:
        path = os.path.join(uri, f"Split-{split}", "FeatureStats.pb")
        if fileio.exists(path):
            (dataset,) = tfdv.load_stats_binary(path).datasets
            found[split] = {_name(f): _statistics(f, dataset.num_examples) for f in dataset.features}
    return found


def _statistics(feature: statistics_pb2.FeatureNameStatistics, rows: int) -> FeatureStatistics:
    if feature.HasField("num_stats"):
        stats = feature.num_stats
        histogram = next((h for h in stats.histograms if h.type == statistics_pb2.Histogram.STANDARD), None)
        return FeatureStatistics(
            missing=_missing(stats.common_stats, rows), mean=stats.mean, deviation=stats.std_dev, median=stats.median,
            bars=_bars([b.sample_count for b in histogram.buckets] if histogram else []))
    stats = feature.string_stats
    values = max(1, stats.common_stats.tot_num_values)
    return FeatureStatistics(
        missing=_missing(stats.common_stats, rows), unique=stats.unique,
        top=tuple((v.value, v.frequency / values) for v in stats.top_values[:_SHOWN_VALUES]),
        bars=_bars([b.sample_count for b in stats.rank_histogram.buckets[:12]]))


def _missing(common: statistics_pb2.CommonStatistics, rows: int) -> float:
    return 1 - common.num_non_missing / rows if rows else 0.0


def _bars(counts: list[float]) -> tuple[float, ...]:
    highest = max(counts, default=0)
    return tuple(round(c / highest, 3) for c in counts) if highest else ()


def _name(feature) -> str:
    return ".".join(feature.path.step) or feature.name


def read_anomalies(uri: str) -> tuple[list[str], list[Drift]]:
    """What an `ExampleAnomalies` artifact found: anomalies in words, and drift, the largest first."""
    anomalies, drift = [], []
    for split in SPLITS:
        path = os.path.join(uri, f"Split-{split}", "SchemaDiff.pb")
        if not fileio.exists(path):
            continue
        with fileio.open(path, "rb") as stream:
            found = anomalies_pb2.Anomalies.FromString(stream.read())
        for feature, info in sorted(found.anomaly_info.items()):
            anomalies += [f"{split} split, feature '{feature}': {r.short_description}: {r.description}"
                          for r in info.reason]
        for info in found.drift_skew_info:
            drift += [Drift(".".join(info.path.step), _MEASURES.get(m.type, "distance"), m.value, m.threshold)
                      for m in info.drift_measurements]
    return anomalies, sorted(drift, key=lambda d: -d.value)


_MEASURES = {
    anomalies_pb2.DriftSkewInfo.Measurement.L_INFTY: "L-infinity distance",
    anomalies_pb2.DriftSkewInfo.Measurement.JENSEN_SHANNON_DIVERGENCE: "Jensen-Shannon divergence",
}


def read_rows(uri: str, split: str) -> list[ExampleRow]:
    """The first rows of a split of textualised examples, clicked and not in turn."""
    files = sorted(tf.io.gfile.glob(os.path.join(uri, f"Split-{split}", "*.gz")))
    rows = (raw_example.decode(r) for r in tf.data.TFRecordDataset(files, "GZIP").take(1000).as_numpy_iterator())
    by_label: dict[int, list[ExampleRow]] = {1: [], 0: []}
    for values in rows:
        label = values[LABEL][0]
        if len(by_label[label]) < _SHOWN_ROWS:
            by_label[label].append(_row(values, label))
    pairs = itertools.zip_longest(by_label[1], by_label[0])
    return [row for pair in pairs for row in pair if row is not None][:_SHOWN_ROWS]


def _row(values: dict[str, list], label: int) -> ExampleRow:
    sentences = [n for side in ("user", "item", "context") if (n := f"{side}{_SENTENCE}") in values]
    return ExampleRow(
        {n: ", ".join(map(_text, v)) for n, v in sorted(values.items())
         if n != LABEL and not n.endswith(_NOT_SHOWN)},
        label, " ".join(_text(values[n][0]) for n in sentences if values[n]))


def _text(value) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return f"{value:g}" if isinstance(value, float) else str(value)
