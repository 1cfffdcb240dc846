"""The nodes that stand before the training, where the data are one log."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tfx.components import SchemaGen, StatisticsGen, Transform
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration import data_types
from tfx.proto import transform_pb2
from tfx.types import Channel, standard_artifacts

from components.data_validator.component import DataValidator
from components.example_gen.component import ExampleGen
from components.language_adapter.component import LanguageAdapter
from components.text_encoder.component import TextEncoder
from components.textualiser.component import Textualiser
from models.spec.dataset_spec import DatasetSpec
from pipeline.config import RunConfig
from pipeline.resolvers import PreviousStatisticsStrategy
from pipeline.training_data import TrainingData

ADAPTER = "LanguageAdapter"


def log_data(
    spec: DatasetSpec, config: RunConfig, files: list[str], fingerprint: str, checkpoint_dir: str,
    dead_letter_dir: str | None, language_model_fingerprint: str, accepted_dir: str | None,
    run_parameters: Mapping[str, data_types.RuntimeParameter] | None,
) -> tuple[list[BaseNode], TrainingData]:
    """Builds the nodes that make training data of one log; for the arguments see `create_pipeline`.

    Returns:
        The nodes, and what the training reads of them.
    """
    dataset_spec = spec.to_json()
    frozen = config.text_mode == "frozen"
    values = {
        "files": "\n".join(files), "fingerprint": fingerprint, "max_drift": config.data.max_drift,
        "max_rejected_share": config.ingestion.max_rejected_share, **(run_parameters or {})}

    # Reads the log, splits it, builds histories, keeps malformed rows aside.
    example_gen = ExampleGen(
        dataset_spec=dataset_spec,
        files=values["files"],
        fingerprint=values["fingerprint"],
        max_rejected_share=values["max_rejected_share"],
        dead_letter_dir=dead_letter_dir,
    )

    # Statistics of every split: for validation, for drift against the run before.
    statistics_gen = StatisticsGen(examples=example_gen.outputs["examples"])

    # Types and domains, from the training split only: the others must agree with it.
    if config.data.schema_path:
        schema_gen = ImportSchemaGen(schema_file=config.data.schema_path)
    else:
        schema_gen = SchemaGen(
            statistics=statistics_gen.outputs["statistics"],
            # Any value may be missing, in the log and in a request.
            infer_feature_shape=False,
            exclude_splits=["validation", "test"],
        )

    # The statistics that drift is measured against.
    previous_statistics = [] if accepted_dir else [Resolver(
        strategy_class=PreviousStatisticsStrategy,
        previous=Channel(type=standard_artifacts.ExampleStatistics),
        anomalies=Channel(type=standard_artifacts.ExampleAnomalies),
        current=statistics_gen.outputs["statistics"],
    ).with_id("PreviousStatistics")]

    # Anomalies and drift stop the run here, before anything expensive.
    data_validator = DataValidator(
        statistics=statistics_gen.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
        previous_statistics=previous_statistics[0].outputs["previous"] if previous_statistics else None,
        max_unknown_share=config.data.max_unknown_share,
        max_missing_share=config.data.max_missing_share,
        max_drift=values["max_drift"],
        inferred=config.data.schema_path is None,
        accepted_dir=accepted_dir,
    )

    # Every row becomes a sentence.
    textualiser = Textualiser(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        dataset_spec=dataset_spec,
        text_mode=config.text_mode,
        gather_texts=config.adaptation.epochs > 0,
        text_form=config.text_form,
    )
    textualiser.add_upstream_node(data_validator)

    # Vocabularies, buckets, padding: the graph that is trained is the graph that is served.
    transform = Transform(
        examples=textualiser.outputs["textualised_examples"],
        schema=textualiser.outputs["textualised_schema"],
        preprocessing_fn="models.preprocessing.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "validation", "test"]),
        custom_config={"dataset_spec": dataset_spec, "text_mode": config.text_mode},
        # StatisticsGen has described the data; statistics of ids would only cost time.
        disable_statistics=True,
    )

    nodes = [example_gen, statistics_gen, schema_gen, *previous_statistics, data_validator, textualiser, transform]

    # The language model may read the domain's texts first.
    adapted = None
    if config.adaptation.epochs:
        language_adapter = LanguageAdapter(
            texts=textualiser.outputs["texts"],
            language_model=config.language_model,
            language_model_fingerprint=language_model_fingerprint,
            max_tokens=config.max_tokens,
            seed=config.seed,
            checkpoint_dir=os.path.join(checkpoint_dir, ADAPTER),
            **config.adaptation.model_dump(),
        )
        adapted = language_adapter.outputs["adapted_language_model"]
        nodes.append(language_adapter)

    # A frozen language model encodes each distinct text once.
    text_vectors = None
    if frozen:
        text_encoder = TextEncoder(
            texts=textualiser.outputs["texts"],
            language_model=config.language_model,
            max_tokens=config.max_tokens,
            language_model_fingerprint=language_model_fingerprint,
            adapted_language_model=adapted,
        )
        text_vectors = text_encoder.outputs["text_vectors"]
        nodes.append(text_encoder)

    examples = example_gen.outputs["examples"]
    return nodes, TrainingData(
        raw_examples=examples, evaluated=examples, evaluated_splits=("test",),
        textualised_examples=textualiser.outputs["textualised_examples"],
        transform=transform, text_vectors=text_vectors, adapted=adapted)
