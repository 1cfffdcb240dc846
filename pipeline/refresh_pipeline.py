"""The pipeline of a refresh: rows for new catalogue entries, then the same gate."""

from __future__ import annotations

import json

import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.types import Channel, standard_artifacts

from components.artifacts import AdaptedLanguageModel, Vocabularies
from components.trainer.component import Trainer
from pipeline.gate import gate
from pipeline.pipeline import COLD_START, COLD_START_RUN_FN
from pipeline.resolvers import ArtifactsStrategy
from pipeline.served_lineage import ServedLineage

_TYPES = {
    "examples": standard_artifacts.Examples,
    "transform_graph": standard_artifacts.TransformGraph,
    "base_model": standard_artifacts.Model,
    "text_vectors": standard_artifacts.Examples,
    "adapted_language_model": AdaptedLanguageModel,
    "base_run": standard_artifacts.ModelRun,
    "plain_model": standard_artifacts.Model,
    "vocabularies": Vocabularies,
    "served": standard_artifacts.Model,
    "log": standard_artifacts.Examples,
}


def create_refresh_pipeline(
    pipeline_name: str,
    pipeline_root: str,
    lineage: ServedLineage,
    catalogue: str,
    side: str,
    serving_dir: str,
    metadata_connection_config: metadata_store_pb2.ConnectionConfig,
) -> tfx_pipeline.Pipeline:
    """Builds the pipeline.

    Args:
        pipeline_name: that of the runs, whose artifacts are read.
        pipeline_root: URI below which artifacts are written.
        lineage: the served version.
        catalogue: the file of entries; its path must change with its content.
        side: whose entries they are.
        serving_dir: the Pusher writes `<serving_dir>/<version>`.
        metadata_connection_config: the ML Metadata store.

    Returns:
        The TFX pipeline, for any TFX runner.
    """
    # Everything that the version being served was made of, and that version itself.
    ids = {**lineage.inputs, "base_run": lineage.model_run, "served": lineage.model, "log": lineage.examples}
    resolver = Resolver(
        strategy_class=ArtifactsStrategy, config={"ids": ids},
        **{key: Channel(type=_TYPES[key]) for key in ids},
    ).with_id("Served")
    config = lineage.custom_config
    settings = {**config["config"], "cold_start": {"enabled": True, "catalogue": catalogue, "side": side}}

    # The same stage as in a run, with its own maps in place of the log.
    trainer = Trainer(
        run_fn=COLD_START_RUN_FN,
        eval_splits=lineage.eval_splits,
        custom_config={**config, "config": settings},
        **{key: resolver.outputs[key] for key in ids if key not in ("served", "log")},
    ).with_id(COLD_START)

    # The thresholds of the run, against what is served now.
    nodes = gate(
        trainer.outputs["model"], resolver.outputs["served"], resolver.outputs["log"],
        json_format.Parse(json.dumps(lineage.eval_config), tfma.EvalConfig()), serving_dir, lineage.infra_validation,
        example_splits=lineage.example_splits)
    return tfx_pipeline.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=[resolver, trainer, *nodes],
        enable_cache=True,
        metadata_connection_config=metadata_connection_config,
    )
