"""The model that the benchmark of serving asks, and rows to ask it about."""

from __future__ import annotations

import dataclasses
import glob
import os
import pathlib
import shutil
from collections.abc import Mapping

from benchmarks.speed_log import SpeedLog
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from pipeline.config import RunConfig
from pipeline.layout import RunLayout, find_serving, newest_version, served_spec

_TRANSFORM = "Transform"
_MOST_ROWS = 5_000
# Whose columns of a SpeedLog are the item's.
_OF_ITEM = ("item", "year", "genre")


@dataclasses.dataclass(frozen=True)
class ServingModel:
    """A copy of a version, laid out as `ctrl serve` finds it: nothing is written beside a model that was pushed.

    Args:
        root: as of `ctrl serve`; it holds this model alone.
        directory: of the version.
        spec: the dataset specification.
        rows: of the log: column to value.
        origin: where it comes from, for people.

    Example:

    ```python
    model = ServingModel.of_log(spec, config, layout, None, pathlib.Path("/tmp/served"))
    client.predict([to_example(model.spec, model.rows[0])])
    ```
    """

    root: pathlib.Path
    directory: pathlib.Path
    spec: DatasetSpec
    rows: list[dict]
    origin: str

    @property
    def name(self) -> str:
        """What the server calls it."""
        return self.directory.parent.name

    @property
    def version(self) -> int:
        """Its number."""
        return int(self.directory.name)

    @property
    def parameters(self) -> int:
        """Numbers in its variables."""
        import tensorflow as tf

        reader = tf.train.load_checkpoint(str(self.directory / "variables" / "variables"))
        shapes = [shape for name, shape in reader.get_variable_to_shape_map().items() if "student_weights" in name]
        return sum(int(tf.TensorShape(shape).num_elements()) for shape in shapes)

    def versions(self) -> list[int]:
        """Numbers of the versions that are there."""
        return [int(p.name) for p in self.directory.parent.iterdir() if p.name.isdecimal()]

    def push(self) -> int:
        """Copies the version under the next number, and returns that."""
        number = max(self.versions()) + 1
        # Renamed into place, as the Pusher does it.
        copy = self.directory.parent / f"copy-{number}"
        shutil.copytree(self.directory, copy)
        copy.rename(copy.with_name(str(number)))
        return number

    @classmethod
    def of_log(cls, spec: DatasetSpec, config: RunConfig, layout: RunLayout, data_dir: str | None,
               root: pathlib.Path) -> ServingModel:
        """The model that `ctrl run` pushed for a dataset, or one with its initial weights; and rows of the test split.

        Args:
            spec: the dataset.
            config: the run's configuration.
            layout: where the pipeline writes; what it has prepared there is used again.
            data_dir: folder of the log's files, when the specification does not say.
            root: where the copy is made.

        Raises:
            UserError: something in the data, the specification or the configuration is wrong.
        """
        graph, examples = _prepared(spec, config, layout, data_dir)
        directory = _version(root, spec.name, config.model_name)
        try:
            served = find_serving(layout.root.parent, layout.root.name, config.model_name)
        except UserError:
            _export(graph, spec, config, directory, _train_rows(examples))
            origin = (f"exported by this benchmark: {config.backbone} with its initial weights, since only time is "
                      "measured")
        else:
            shutil.copytree(newest_version(served), directory)
            spec = served_spec(served)
            origin = "pushed by `ctrl run`"
        return cls(root, directory, spec, [_row(spec, values) for values in _decoded(examples)], origin)

    @classmethod
    def of_ids(cls, log: SpeedLog, config: RunConfig, root: pathlib.Path) -> ServingModel:
        """A model with one categorical field for each column, with its initial weights, behind a transform graph.

        Args:
            log: its ids, as text, are the values.
            config: of the model.
            root: where it is written.
        """
        spec = DatasetSpec.model_validate({
            "name": "ids", "source": {"format": "csv", "path": "ids.csv"}, "label": {"column": "label"},
            "features": [{"name": name, "side": "item" if name in _OF_ITEM else "user", "kind": "categorical",
                          "min_count": 1, "text": False} for name in log.columns]})
        directory = _version(root, spec.name, config.model_name)
        columns = {name: ids[:_MOST_ROWS].tolist() for name, ids in log.columns.items()}
        rows = [dict(zip(columns, map(str, values))) for values in zip(*columns.values())]
        examples = [{name: [value.encode()] for name, value in row.items()} for row in rows]
        _export(_graph_of_ids(log, spec, root / "transform"), spec, config, directory, examples)
        return cls(root, directory, spec, rows, "exported by this benchmark")


def _version(root: pathlib.Path, dataset: str, model: str) -> pathlib.Path:
    return root / dataset / "serving" / model / "1"


def _prepared(spec, config, layout, data_dir) -> tuple[str, str]:
    """URIs of the transform graph and of the examples, made by the pipeline's own components where they are not yet."""
    from benchmarks.prepared_data import upstream
    from pipeline.local_runner import LocalRunner
    from pipeline.run import execute, prepare
    from pipeline.run_inspection import RunInspection

    pipeline = prepare(spec, config, layout, data_dir)
    (node,) = (c for c in pipeline.components if c.id == _TRANSFORM)
    runner = LocalRunner(only=upstream(node) | {_TRANSFORM})
    execute(pipeline, runner)
    inspection = RunInspection(pipeline.metadata_connection_config, runner.components)
    return inspection.uri(_TRANSFORM, "transform_graph"), inspection.uri("ExampleGen", "examples")


def _export(graph: str, spec: DatasetSpec, config: RunConfig, directory: pathlib.Path, rows: list[dict]) -> None:
    """Writes a model as the pipeline does, with warm-up requests of the rows."""
    import keras
    import tensorflow_transform as tft

    from models.ctr_model import CTRModel
    from models.preprocessing import fields
    from serving.export import export_ctr_model

    keras.utils.set_random_seed(config.seed)
    tft_output = tft.TFTransformOutput(graph)
    model = CTRModel(fields(spec, tft_output), backbone=config.backbone, embedding_dim=config.embedding_dim,
                     backbone_options=config.backbone_options, history_pooling=config.history_pooling)
    export_ctr_model(model, tft_output, spec, str(directory), warmup_rows=rows, model_name=config.model_name)


def _train_rows(examples: str) -> list[dict[str, list]]:
    from pipeline.run_fns.warmup_rows import of_raw_examples

    return of_raw_examples(examples)


def _decoded(examples: str) -> list[dict[str, list]]:
    import tensorflow as tf

    from models import raw_example

    files = sorted(glob.glob(os.path.join(examples, "Split-test", "*")))
    records = tf.data.TFRecordDataset(files, "GZIP").take(_MOST_ROWS)
    return [raw_example.decode(record) for record in records.as_numpy_iterator()]


def _row(spec: DatasetSpec, values: Mapping[str, list]) -> dict:
    """A row as a client has it."""
    row = {}
    for feature in spec.model_features:
        found = [v.decode() if isinstance(v, bytes) else v for v in values.get(feature.name, [])]
        row[feature.row_column] = found if feature.is_list else (found or [None])[0]
    return row


def _graph_of_ids(log: SpeedLog, spec: DatasetSpec, folder: pathlib.Path) -> str:
    """A transform graph that knows every id: it is analysed on as few rows as hold them all."""
    import tensorflow as tf
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

    from models import raw_example
    from models.preprocessing import preprocessing_fn

    counts = {name: n - 1 for name, n in log.num_ids.items()}
    rows = [{"label": [i % 2], **{name: [b"%d" % (1 + i % n)] for name, n in counts.items()}}
            for i in range(max(counts.values()))]
    features = {**raw_example.feature_spec(spec), "label": tf.io.VarLenFeature(tf.int64)}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(features))
    custom = {"dataset_spec": spec.to_json(), "text_mode": "frozen"}
    with tft_beam.Context(temp_dir=str(folder / "temporary")):
        ((rows, metadata) | tft_beam.AnalyzeDataset(lambda x: preprocessing_fn(x, custom))
         | tft_beam.WriteTransformFn(str(folder)))
    return str(folder)
