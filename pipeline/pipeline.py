"""The pipeline: a tabular click log in, a pushed pure-ID model out."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ml_metadata.proto import metadata_store_pb2
from tfx.components import Evaluator
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration import data_types
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.types import Channel, standard_artifacts

from components.example_gen.daily_logs import Window
from components.scorer.component import Scorer
from components.served_model.component import ServedModel
from components.trainer.component import Trainer
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from pipeline.config import RunConfig
from pipeline.daily_pipeline import daily_data
from pipeline.evaluation import eval_config
from pipeline.gate import gate
from pipeline.log_pipeline import log_data
from pipeline.resolvers import PreviousBlessedModelStrategy
from pipeline.training_data import TrainingData
from serving.spec_file import SPEC_FILE

STUDENT, PLAIN, ALIGNMENT = "DistillationTrainer", "PlainTrainer", "AlignmentTrainer"
COLD_START, COLD_START_RUN_FN = "ColdStart", "pipeline.run_fns.cold_start.run_fn"
PLAIN_EVALUATOR, SCORER = "PlainEvaluator", "Scorer"
SERVED_MODEL = "ServedModel"


def create_pipeline(
    pipeline_name: str,
    pipeline_root: str,
    spec: DatasetSpec,
    config: RunConfig,
    files: list[str],
    fingerprint: str,
    serving_dir: str,
    checkpoint_dir: str,
    dead_letter_dir: str | None = None,
    deployment_dir: str | None = None,
    language_model_fingerprint: str = "",
    metadata_connection_config: metadata_store_pb2.ConnectionConfig | None = None,
    enable_cache: bool = True,
    infra_validation: bool = False,
    accepted_dir: str | None = None,
    run_parameters: Mapping[str, data_types.RuntimeParameter] | None = None,
    window: Window | None = None,
) -> tfx_pipeline.Pipeline:
    """Builds the pipeline.

    Args:
        pipeline_name: name in ML Metadata.
        pipeline_root: URI below which artifacts are written.
        spec: the dataset.
        config: everything else about the run.
        files: the log's files.
        fingerprint: changes when they change.
        serving_dir: the Pusher writes `<serving_dir>/<version>`; its last part is the model's name.
        checkpoint_dir: training that was killed goes on from here.
        dead_letter_dir: where malformed rows are kept when a run fails for them.
        deployment_dir: where what TensorFlow Serving is started with is written; nothing is when absent.
        language_model_fingerprint: changes when the language model's weights change.
        metadata_connection_config: the ML Metadata store.
        enable_cache: reuse results whose inputs have not changed.
        infra_validation: load the student in TensorFlow Serving before it is pushed;
            needs Docker.
        accepted_dir: given for an orchestrator that cannot look for earlier runs in ML Metadata
            (Kubeflow Pipelines): accepted statistics are kept there, to measure drift against,
            and the baseline of the gate is the version in `serving_dir`.
        run_parameters: what each run is given anew instead of when the pipeline is made, by name:
            `files` and `fingerprint`, `max_rejected_share`, `max_drift`.
        window: the daily logs, in place of `files` and `fingerprint`, where the specification
            stands for one log a day.

    Returns:
        The TFX pipeline, for any TFX runner.

    Raises:
        UserError: the specification stands for one log a day, and there is no window of them.
    """
    if spec.source.daily and window is None:
        raise UserError(f"dataset {spec.name}: source.path is one log a day, which `ctrl run` reads: it names the days "
                        "of its window; see docs/daily.md")
    if window:
        nodes, data = daily_data(spec, config, window, dead_letter_dir, language_model_fingerprint)
    else:
        nodes, data = log_data(
            spec, config, files, fingerprint, checkpoint_dir, dead_letter_dir, language_model_fingerprint, accepted_dir,
            run_parameters)
    nodes += _model_nodes(spec, config, data, serving_dir, checkpoint_dir, deployment_dir, language_model_fingerprint,
                          infra_validation, served_as_baseline=accepted_dir is not None)
    return tfx_pipeline.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=nodes,
        enable_cache=enable_cache,
        metadata_connection_config=metadata_connection_config,
        beam_pipeline_args=config.beam.flags(),
    )


def _model_nodes(
    spec: DatasetSpec, config: RunConfig, data: TrainingData, serving_dir: str, checkpoint_dir: str,
    deployment_dir: str | None, language_model_fingerprint: str, infra_validation: bool, served_as_baseline: bool,
) -> list[BaseNode]:
    """The nodes that train models, evaluate and push; see `create_pipeline`."""
    dataset_spec = spec.to_json()
    frozen = config.text_mode == "frozen"
    transform, text_vectors, adapted = data.transform, data.text_vectors, data.adapted
    nodes = []

    # What a trainer that reads text is given: vectors, or the language model to be trained further.
    text_inputs = {"text_vectors": text_vectors} if frozen else {"adapted_language_model": adapted}

    def trainer(name: str, run_fn: str, groups: tuple[str, ...], **inputs) -> Trainer:
        # A trainer is given only the settings that it reads, so that changing another's
        # leaves its result reusable.
        settings = config.model_dump(include=set(groups), mode="json")
        custom_config = {
            "dataset_spec": dataset_spec,
            "checkpoint_dir": os.path.join(checkpoint_dir, name),
            "config": settings,
        }
        if "language_model" in groups and not frozen:
            # Other weights under the same name are trained anew; for vectors, TextEncoder sees to that.
            custom_config["language_model_fingerprint"] = language_model_fingerprint
        if data.span is not None:
            custom_config["span"] = data.span
        return Trainer(
            run_fn=run_fn,
            transform_graph=transform.outputs["transform_graph"],
            **{"examples": transform.outputs["transformed_examples"], **inputs},
            custom_config=custom_config,
        ).with_id(name)

    structure_keys = ("backbone", "backbone_options", "embedding_dim", "history_pooling")
    model_keys = structure_keys + ("mixed_precision", "seed", "training", "distribution")
    language_keys = ("language_model", "text_mode", "max_tokens")
    text_keys = language_keys + ("alignment",)

    # What the last trainer hands on to the next day.
    last_inputs = {"vocabularies": data.vocabularies}

    # The same backbone without any text: what alignment and distillation are measured against.
    if config.plain_backbone:
        plain_trainer = trainer(PLAIN, "pipeline.run_fns.plain.run_fn", model_keys, earlier_model=data.earlier_model)
        last_inputs["plain_model"] = plain_trainer.outputs["model"] if data.vocabularies else None
        plain_evaluator = Evaluator(
            examples=data.evaluated,
            model=plain_trainer.outputs["model"],
            eval_config=eval_config(spec, gate=None),
            example_splits=list(data.evaluated_splits),
        ).with_id(PLAIN_EVALUATOR)
        nodes += [plain_trainer, plain_evaluator]

    # Stage 1: the ID model and the language model agree on a common space.
    alignment_trainer = trainer(
        ALIGNMENT, "pipeline.run_fns.alignment.run_fn", model_keys + text_keys, earlier_model=data.earlier_model,
        **text_inputs)

    has_cold_start = frozen and config.cold_start.enabled

    # Stage 2: clicks, and the teacher's soft labels, on the aligned ID model.
    distillation_trainer = trainer(
        STUDENT, "pipeline.run_fns.distillation.run_fn", model_keys + text_keys + ("distillation",),
        base_model=alignment_trainer.outputs["model"], raw_examples=data.raw_examples, earlier_model=data.earlier_model,
        **text_inputs, **({} if has_cold_start else last_inputs))

    # Items and users without clicks get rows made from their texts; nothing is trained for them.
    model, cold_start = distillation_trainer.outputs["model"], []
    if has_cold_start:
        cold_start.append(trainer(
            COLD_START, COLD_START_RUN_FN, structure_keys + language_keys + ("text_form", "cold_start", "model_name"),
            examples=data.textualised_examples, eval_splits=list(data.cold_start_splits),
            base_model=model, text_vectors=text_vectors, adapted_language_model=adapted, **last_inputs))
        model = cold_start[0].outputs["model"]

    # The model that must not be made worse.
    if served_as_baseline:
        baseline = ServedModel(serving_dir=serving_dir, dataset_spec=dataset_spec, spec_file=SPEC_FILE).with_id(
            SERVED_MODEL)
        # Looked for once the candidate is trained: another run may have pushed meanwhile.
        baseline.add_upstream_node(cold_start[0] if cold_start else distillation_trainer)
    else:
        baseline = Resolver(
            strategy_class=PreviousBlessedModelStrategy,
            model=Channel(type=standard_artifacts.Model),
            model_blessing=Channel(type=standard_artifacts.ModelBlessing),
            candidate=model,
        ).with_id("LastBlessedModel")

    nodes += [
        alignment_trainer, distillation_trainer, *cold_start, baseline,
        *gate(model, baseline.outputs["model"], data.evaluated, eval_config(spec, config.evaluation),
              serving_dir, infra_validation, deployment_dir, data.evaluated_splits),
    ]

    # What each model says of the same test rows, for the run's report. It keeps no model from being pushed.
    if config.report.enabled:
        scorer = Scorer(
            examples=data.evaluated,
            model=model,
            plain_model=plain_trainer.outputs["model"] if config.plain_backbone else None,
            baseline_model=baseline.outputs["model"],
            dataset_spec=dataset_spec,
            train_examples=data.textualised_examples,
            example_splits=data.evaluated_splits,
            max_rows=config.report.max_rows,
        ).with_id(SCORER)
        scorer.add_upstream_node(nodes[-1])
        nodes.append(scorer)
    return nodes
