"""Executor of ExampleGen."""

from __future__ import annotations

import json
import os

import apache_beam as beam
from absl import logging
from tfx.components.example_gen import utils as example_gen_utils
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from components import shard_writer
from components.example_gen import past, readers
from components.example_gen.ingest import ingest
from components.example_gen.ingest_fns import COUNTERS
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError

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
        # Patterns are looked up now: a recurring run is given the same ones and finds new files.
        files = [file for pattern in exec_properties["files"].split("\n") for file in readers.expand(pattern)]
        earlier = [artifact_utils.get_single_uri(input_dict[key]) for key in past.KEYS if input_dict.get(key)]
        ingest(pipeline, spec, files, examples.uri, os.path.join(report_uri, REJECTED), earlier)
        result = pipeline.run()
        result.wait_until_finish()
        shard_writer.finish(examples.uri, spec.split.written)

        summary = _summarise(result, spec)
        with fileio.open(os.path.join(report_uri, SUMMARY), "w") as f:
            json.dump(summary, f, indent=2)
        logging.info("Ingestion: %s", json.dumps(summary))
        _check(summary, exec_properties["max_rejected_share"], report_uri, exec_properties.get("dead_letter_dir"))


def _summarise(result, spec: DatasetSpec) -> dict:
    counters = {
        c.key.metric.name: c.committed if c.committed is not None else c.attempted
        for c in result.metrics().query(beam.metrics.MetricsFilter().with_namespace(COUNTERS))["counters"]
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
