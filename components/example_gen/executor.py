"""Executor of ExampleGen."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence

import apache_beam as beam
from absl import logging
from apache_beam.transforms import stats
from tfx.components.example_gen import utils as example_gen_utils
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from components.beam_io import read_records, write_examples
from components.example_gen import past, readers, splitting
from components.example_gen.row_parser import Parsed, RowParser, parse_time
from models import raw_example
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError

_COUNTERS = "ingestion"
# Rank error of the time cuts: 0.01 % of the rows.
_QUANTILES = 10_000
SUMMARY = "summary.json"
REJECTED = "rejected.jsonl"
# TFX's custom property of examples of one day.
SPAN = example_gen_utils.SPAN_PROPERTY_NAME


class Executor(base_beam_executor.BaseBeamExecutor):
    """Reads, labels, splits and writes a log; see `component.ExampleGen`."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:
        """Runs the ingestion.

        Raises:
            UserError: more rows are malformed than allowed, or a split is empty.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        spec = DatasetSpec.from_json(exec_properties["dataset_spec"])
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        report_uri = artifact_utils.get_single_uri(output_dict["report"])
        examples.split_names = artifact_utils.encode_split_names(list(spec.split.written))
        if exec_properties.get("span") is not None:
            examples.set_int_custom_property(SPAN, exec_properties["span"])
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)

        pipeline = self._make_beam_pipeline()
        earlier = [artifact_utils.get_single_uri(input_dict[key]) for key in past.KEYS if input_dict.get(key)]
        _build(pipeline, spec, exec_properties["files"].split("\n"), examples.uri, report_uri, earlier)
        result = pipeline.run()
        result.wait_until_finish()

        summary = _summarise(result, spec)
        with fileio.open(os.path.join(report_uri, SUMMARY), "w") as f:
            json.dump(summary, f, indent=2)
        logging.info("Ingestion: %s", json.dumps(summary))
        _check(summary, exec_properties["max_rejected_share"], report_uri, exec_properties.get("dead_letter_dir"))


def _build(pipeline, spec: DatasetSpec, files: list[str], examples_uri: str, report_uri: str,
           earlier: Sequence[str] = ()) -> None:
    """The Beam graph: read and parse, see each user's past, split, write."""
    outputs = (
        pipeline
        | "Files" >> beam.Create(files)
        | "SpreadFiles" >> beam.Reshuffle()
        | "ReadAndParse" >> beam.ParDo(_ReadAndParse(spec)).with_outputs("rejected", main="rows")
    )
    _ = (
        outputs.rejected
        | "WriteRejected" >> beam.io.WriteToText(os.path.join(report_uri, REJECTED), shard_name_template="")
    )
    # A row is (user, time, split key, label, entries, serialized example).
    rows = outputs.rows
    if spec.derivation or spec.split.by == "user_time":
        keyed = rows | "KeyByUser" >> beam.Map(lambda row: (row[0], row[1:]))
        if earlier:
            groups = {"rows": keyed, "past": _read_past(pipeline, earlier)} | "JoinEarlierDays" >> beam.CoGroupByKey()
            rows = groups | "SeePast" >> beam.FlatMap(
                lambda group, spec: _with_past((group[0], group[1]["rows"]), spec, group[1]["past"]), spec)
        else:
            rows = keyed | "GroupByUser" >> beam.GroupByKey() | "SeePast" >> beam.FlatMap(_with_past, spec)
    else:
        rows = rows | "WithoutPast" >> beam.Map(lambda row: (None, *row[1:4], row[5]))
    # From here on a row is (split or None, time, split key, label, serialized example).
    if spec.split.by in ("hash", "day"):
        fractions = spec.split.fractions if spec.split.by == "hash" else splitting.before_test(spec.split.fractions)
        split = rows | "SplitByHash" >> beam.Map(
            lambda row, fractions: (splitting.hash_split(row[2], fractions), *row[3:]), fractions)
    elif spec.split.by == "user_time":
        split = rows | "TakeUserSplit" >> beam.Map(lambda row: (row[0], *row[3:]))
    elif spec.split.test_from is not None:
        split = rows | "SplitFromTime" >> beam.Map(
            _split_from, parse_time(spec.split.test_from, "test_from"), splitting.before_test(spec.split.fractions))
    else:
        cuts = (
            rows
            | "Times" >> beam.Map(lambda row: row[1])
            | "Quantiles" >> stats.ApproximateQuantiles.Globally(_QUANTILES + 1)
            | "Cuts" >> beam.Map(splitting.time_cuts, spec.split.fractions)
        )
        split = rows | "SplitByTime" >> beam.Map(
            lambda row, cuts: (splitting.time_split(row[1], cuts), *row[3:]), beam.pvalue.AsSingleton(cuts))
    names = spec.split.written
    parts = split | "CountSplits" >> beam.Map(_count) | "Partition" >> beam.Partition(
        lambda row, _: names.index(row[0]), len(names))
    for name, part in zip(names, parts):
        _ = (
            part
            | f"Examples[{name}]" >> beam.Map(lambda row: row[2])
            | f"Write[{name}]" >> write_examples(examples_uri, name)
        )


class _ReadAndParse(beam.DoFn):
    """Reads a file's rows; malformed ones go to the output `rejected` as JSON lines."""

    def __init__(self, spec: DatasetSpec):
        self._spec_json = spec.to_json()

    def setup(self):
        self._spec = DatasetSpec.from_json(self._spec_json)
        self._parser = RowParser(self._spec)
        counter = beam.metrics.Metrics.counter
        self._read = counter(_COUNTERS, "read")
        self._dropped = counter(_COUNTERS, "dropped")
        self._rejected = counter(_COUNTERS, "rejected")

    def process(self, file: str):
        for row in readers.read_rows(self._spec, file):
            self._read.inc()
            parsed = row if isinstance(row, readers.Rejected) else self._parser(row)
            if parsed is None:
                self._dropped.inc()
            elif isinstance(parsed, Parsed):
                yield (parsed.user, parsed.time, parsed.split_key, parsed.label, parsed.entries,
                       raw_example.encode(parsed.features))
            else:
                self._rejected.inc()
                yield beam.pvalue.TaggedOutput("rejected", json.dumps(
                    {"file": parsed.file, "line": parsed.line, "reason": parsed.reason, "raw": parsed.raw},
                    ensure_ascii=True))


def _read_past(pipeline, uris: Sequence[str]):
    """(user, past of a day) from the histories of earlier days."""
    return (
        [pipeline | f"ReadPast[{i}]" >> read_records(uri) for i, uri in enumerate(uris)]
        | "PastDays" >> beam.Flatten()
        | "DecodePast" >> beam.Map(past.decode)
    )


def _with_past(group: tuple[str, Iterable], spec: DatasetSpec, earlier: Iterable[past.Past] = ()) -> Iterable[tuple]:
    """One user's rows with their derived histories and, where asked, their splits."""
    earlier = list(earlier)
    # The serialized example breaks ties, so that a run is repeatable on every runner.
    rows = sorted(group[1], key=lambda row: (row[0], row[4]))
    times = [row[0] for row in rows]
    histories = [f for f in spec.features if f.derive]
    labels = [row[2] for row in rows]
    seen_by_history = [
        past.seen(
            [entry for day in earlier for entry in day[number]], times,
            splitting.history_entries(feature, labels, [row[3][number] for row in rows]), feature.max_length)
        for number, feature in enumerate(histories)
    ]
    by_user = spec.split.by == "user_time"
    splits = splitting.user_time_splits(len(rows), spec.split.fractions) if by_user else [None] * len(rows)
    for i, (time, split_key, label, _, example) in enumerate(rows):
        features = {}
        for feature, seen in zip(histories, seen_by_history):
            features[feature.name] = [entry for entry, _ in seen[i]]
            if feature.history_text:
                features[feature.history_text] = [word for _, word in seen[i]]
        # Serialized protocol buffers merge by concatenation: the base row is not decoded again.
        yield splits[i], time, split_key, label, example + raw_example.encode(features)


def _split_from(row: tuple, test_from: float, before: Mapping[str, float]) -> tuple:
    return ("test" if row[1] >= test_from else splitting.hash_split(row[2], before), *row[3:])


def _count(row: tuple) -> tuple:
    beam.metrics.Metrics.counter(_COUNTERS, f"rows/{row[0]}").inc()
    beam.metrics.Metrics.counter(_COUNTERS, f"positive/{row[0]}").inc(row[1])
    return row


def _summarise(result, spec: DatasetSpec) -> dict:
    counters = {
        c.key.metric.name: c.committed if c.committed is not None else c.attempted
        for c in result.metrics().query(beam.metrics.MetricsFilter().with_namespace(_COUNTERS))["counters"]
    }
    return {
        "dataset": spec.name,
        "split_by": spec.split.by,
        "read": counters.get("read", 0),
        "dropped": counters.get("dropped", 0),
        "rejected": counters.get("rejected", 0),
        "rows": {s: counters.get(f"rows/{s}", 0) for s in spec.split.written},
        "positive": {s: counters.get(f"positive/{s}", 0) for s in spec.split.written},
    }


def _check(summary: dict, max_rejected_share: float, report_uri: str, dead_letter_dir: str | None) -> None:
    source = os.path.join(report_uri, REJECTED)
    if summary["rejected"] > max_rejected_share * summary["read"]:
        with fileio.open(source) as f:
            first = [json.loads(line) for _, line in zip(range(5), f)]
        if dead_letter_dir:
            # TFX removes a failed execution's outputs; the dead letters must outlive it.
            fileio.makedirs(dead_letter_dir)
            kept = os.path.join(dead_letter_dir, REJECTED)
            fileio.copy(source, kept, overwrite=True)
            source = kept
        raise UserError("\n".join([
            f"{summary['rejected']:,} of {summary['read']:,} rows are malformed, more than the allowed share of "
            f"{max_rejected_share:.2%} (configuration key ingestion.max_rejected_share). The first:",
            *(f"  {r['file']}:{r['line']}: {r['reason']}" for r in first),
            f"All of them, with the reasons: {source}",
        ]))
    if not any(summary["rows"].values()):
        raise UserError(
            f"No row is left: {summary['read']:,} read, {summary['dropped']:,} dropped by the label rule, "
            f"{summary['rejected']:,} rejected. Check the keys source and label.")
    if summary["split_by"] == "day":
        # What a day's validation lacks, those of the other days of the window have.
        rows, positive = (sum(summary[key].values()) for key in ("rows", "positive"))
        if positive in (0, rows):
            raise UserError(
                f"The day has one class only ({positive:,} of {rows:,} rows are positive), so no AUC can be computed. "
                "Check the key label and the day's log, or leave the day out (rolling.exclude).")
        return
    for split, rows in summary["rows"].items():
        if rows == 0:
            raise UserError(
                f"The split '{split}' is empty: {summary['read']:,} rows read, {summary['dropped']:,} dropped by "
                f"the label rule, {summary['rejected']:,} rejected; split by {summary['split_by']}. "
                "Change split.fractions or split.by, or give more rows.")
        if summary["positive"][split] in (0, rows):
            raise UserError(
                f"The split '{split}' has one class only ({summary['positive'][split]:,} of {rows:,} rows are "
                "positive), so no AUC can be computed. Check the keys label and split.")
