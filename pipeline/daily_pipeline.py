"""The nodes of daily operation that stand before the training: each day once, and the window of them."""

from __future__ import annotations

from tfx.components import SchemaGen, StatisticsGen
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.proto import transform_pb2
from tfx.types import Channel, standard_artifacts

from components.daily_transform.component import DailyTransform
from components.data_validator.component import DataValidator
from components.example_gen.component import ExampleGen
from components.example_gen.daily_logs import DailyLog, Window
from components.example_gen.files import fingerprint
from components.rolling_window.component import RollingWindow
from components.text_encoder.component import TextEncoder
from components.textualiser.component import Textualiser
from components.user_histories.component import UserHistories
from components.value_counts.component import ValueCounts
from components.vocabulary_gen.component import VocabularyGen
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from pipeline.config import RunConfig
from pipeline.resolvers import EarlierDayModelStrategy, EarlierTextVectorsStrategy
from pipeline.training_data import TrainingData

TEXT_ENCODER = "TextEncoder"


def daily_data(
    spec: DatasetSpec, config: RunConfig, window: Window, dead_letter_dir: str | None = None,
    language_model_fingerprint: str = "",
) -> tuple[list[BaseNode], TrainingData]:
    """Builds the nodes that make training data of daily logs.

    Every day has nodes of its own, named after it, that depend on its own log (and, for
    derived histories, on what was kept of the days before): a later run, whose window
    has the day too, finds their results in ML Metadata.

    Args:
        spec: the dataset, `split.by: day`.
        config: the run's configuration.
        window: the days.
        dead_letter_dir: as for `create_pipeline`.
        language_model_fingerprint: likewise.

    Returns:
        The nodes, and what the training reads of them.

    Raises:
        UserError: the configuration adapts the language model in every run.
    """
    if config.adaptation.epochs:
        raise UserError(
            "adaptation.epochs: a language model that is adapted anew every day makes every vector another, and no "
            "text could be taken over from the day before. Adapt one in a run of a single log, and name its folder "
            "as language_model")
    frozen, days = config.text_mode == "frozen", _Days(spec, config, dead_letter_dir)

    # The newest day: what models are evaluated on.
    newest = days.ingested(window, window.newest)
    newest_statistics = days.statistics(window.newest, newest)

    # The days before it: what models are trained on. Each is described, textualised and counted once.
    examples = [days.ingested(window, log) for log in window.training]
    statistics = [days.statistics(log, e) for log, e in zip(window.training, examples)]
    schemas = days.schemas(window.training, statistics)
    textualisers = [days.textualiser(*day) for day in zip(window.training, examples, schemas)]
    counts = [days.counts(log, e) for log, e in zip(window.training, examples)]

    # Anomalies of the newest day, and its drift from the day before, stop the run here.
    data_validator = DataValidator(
        statistics=newest_statistics.outputs["statistics"],
        schema=schemas[-1].outputs["schema"],
        previous_statistics=statistics[-1].outputs["statistics"],
        max_unknown_share=config.data.max_unknown_share,
        max_missing_share=config.data.max_missing_share,
        max_drift=config.data.max_drift,
        inferred=config.data.schema_path is None,
    )

    # From here on the days are one set of rows.
    rolling_window = RollingWindow(
        examples=[t.outputs["textualised_examples"] for t in textualisers],
        texts=[t.outputs["texts"] for t in textualisers])
    rolling_window.add_upstream_node(data_validator)

    # The model that training, and the rows of IDs, go on from.
    earlier = Resolver(
        strategy_class=EarlierDayModelStrategy,
        config={"span": window.newest.span},
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
    ).with_id("EarlierDayModel")

    # An ID keeps its row; Transform learns the rest, as buckets, from the whole window.
    vocabulary_gen = VocabularyGen(
        counts=[c.outputs["counts"] for c in counts],
        dataset_spec=days.dataset_spec,
        span=window.newest.span,
        keep_departed=config.rolling.keep_departed,
        base_model=earlier.outputs["model"],
    )
    transform = DailyTransform(
        examples=rolling_window.outputs["examples"],
        schema=textualisers[-1].outputs["textualised_schema"],
        vocabularies=vocabulary_gen.outputs["vocabularies"],
        preprocessing_fn="models.preprocessing.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train", "validation"]),
        custom_config={"dataset_spec": days.dataset_spec, "text_mode": config.text_mode},
    )
    nodes = [*days.nodes, data_validator, rolling_window, earlier, vocabulary_gen, transform]

    # A text that an earlier day's run encoded is taken over.
    text_vectors = None
    if frozen:
        previous = Resolver(
            strategy_class=EarlierTextVectorsStrategy,
            config={"span": window.newest.span, "language_model_fingerprint": language_model_fingerprint,
                    "max_tokens": config.max_tokens},
            previous=Channel(type=standard_artifacts.Examples, producer_component_id=TEXT_ENCODER,
                             output_key="text_vectors"),
        ).with_id("EarlierTextVectors")
        text_encoder = TextEncoder(
            texts=rolling_window.outputs["texts"],
            language_model=config.language_model,
            max_tokens=config.max_tokens,
            language_model_fingerprint=language_model_fingerprint,
            span=window.newest.span,
            previous_vectors=previous.outputs["previous"],
        )
        text_vectors = text_encoder.outputs["text_vectors"]
        nodes += [previous, text_encoder]

    return nodes, TrainingData(
        raw_examples=examples[-1].outputs["examples"],
        evaluated=newest.outputs["examples"],
        evaluated_splits=spec.split.written,
        textualised_examples=rolling_window.outputs["examples"],
        transform=transform,
        text_vectors=text_vectors,
        cold_start_splits=("validation",),
        span=window.newest.span,
        earlier_model=earlier.outputs["model"] if config.rolling.warm_start else None,
        vocabularies=vocabulary_gen.outputs["vocabularies"],
    )


class _Days:
    """The nodes of single days, in the order in which they are made."""

    def __init__(self, spec: DatasetSpec, config: RunConfig, dead_letter_dir: str | None):
        self.dataset_spec = spec.to_json()
        self.nodes: list[BaseNode] = []
        self._spec, self._config, self._dead_letter_dir = spec, config, dead_letter_dir
        self._histories: dict[int, UserHistories] = {}

    def ingested(self, window: Window, log: DailyLog) -> ExampleGen:
        past = []
        if self._spec.derivation:
            begins = log.span - self._config.rolling.history_days
            past = [self._user_histories(d) for d in (*window.earlier, *window.training)
                    if begins <= d.span < log.span]
        return self._add(log, ExampleGen(
            dataset_spec=self.dataset_spec,
            files="\n".join(log.files),
            fingerprint=fingerprint(log.files),
            max_rejected_share=self._config.ingestion.max_rejected_share,
            dead_letter_dir=self._dead_letter_dir,
            span=log.span,
            past_days=[p.outputs["histories"] for p in past],
        ))

    def _user_histories(self, log: DailyLog) -> UserHistories:
        if log.span not in self._histories:
            self._histories[log.span] = self._add(log, UserHistories(
                dataset_spec=self.dataset_spec, files="\n".join(log.files), fingerprint=fingerprint(log.files)))
        return self._histories[log.span]

    def statistics(self, log: DailyLog, examples: ExampleGen) -> StatisticsGen:
        return self._add(log, StatisticsGen(examples=examples.outputs["examples"]))

    def schemas(self, logs, statistics) -> list[BaseNode]:
        if self._config.data.schema_path:
            imported = ImportSchemaGen(schema_file=self._config.data.schema_path)
            self.nodes.append(imported)
            return [imported] * len(logs)
        return [
            self._add(log, SchemaGen(
                statistics=s.outputs["statistics"], infer_feature_shape=False, exclude_splits=["validation"]))
            for log, s in zip(logs, statistics)]

    def textualiser(self, log: DailyLog, examples: ExampleGen, schema: BaseNode) -> Textualiser:
        return self._add(log, Textualiser(
            examples=examples.outputs["examples"],
            schema=schema.outputs["schema"],
            dataset_spec=self.dataset_spec,
            text_mode=self._config.text_mode,
            text_form=self._config.text_form,
        ))

    def counts(self, log: DailyLog, examples: ExampleGen) -> ValueCounts:
        return self._add(log, ValueCounts(examples=examples.outputs["examples"], dataset_spec=self.dataset_spec))

    def _add(self, log: DailyLog, node):
        self.nodes.append(node.with_id(f"{type(node).__name__}-{log.name}"))
        return node
