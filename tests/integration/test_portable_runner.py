"""The pipeline through Beam's portable job API, with two workers, against the runner in memory."""

import collections
import glob
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.types import artifact_utils, standard_artifacts

from components.artifacts import IngestionReport
from components.example_gen import readers
from components.example_gen.executor import Executor
from models import raw_example
from models.text_table import TextTable
from pipeline import console, datasets
from pipeline.config import RunConfig
from pipeline.layout import RunLayout
from pipeline.local_runner import LocalRunner
from pipeline.run import execute, prepare
from pipeline.settings.beam import Beam
from tests.executor_case import artifact
from tests.integration.portable_runner import portable_runner

SPLITS = ("train", "validation", "test")
# No more training than a model needs to be pushed.
SHORT = {"language_model": "tiny-random", "plain_backbone": False, "distillation": {"weight": 0},
         "cold_start": {"enabled": False}}
DATA = {"ExampleGen", "StatisticsGen", "SchemaGen", "PreviousStatistics", "DataValidator", "Textualiser", "TextEncoder",
        "Transform"}


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    with portable_runner(tmp_path_factory.mktemp("servers")) as found:
        yield found


def rows(folder: str, splits=SPLITS) -> dict[str, collections.Counter]:
    """Rows by split, in no order, of an Examples artifact below a folder."""
    result = {}
    for split in splits:
        files = glob.glob(f"{folder}/**/Split-{split}/*", recursive=True)
        records = tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()
        result[split] = collections.Counter(_shown(raw_example.decode(r)) for r in records)
        assert result[split]
    return result


def _shown(row: dict) -> str:
    # Means and deviations are sums in single precision, and the last digits depend on the order of their parts.
    row = {name: [f"{v:.4f}" for v in values] if name.endswith("_value") else values for name, values in row.items()}
    return str(sorted(row.items()))


def ingest(folder, spec, flags: list[str]) -> dict:
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=flags, tmp_dir=str(folder / "tmp"), unique_id="1")
    examples = artifact(standard_artifacts.Examples, folder / "examples")
    report = artifact(IngestionReport, folder / "report")
    Executor(context).Do(
        {}, {"examples": [examples], "report": [report]},
        {"dataset_spec": spec.to_json(), "files": "\n".join(readers.list_files(spec)), "fingerprint": "",
         "max_rejected_share": 0.01, "dead_letter_dir": str(folder / "kept")})
    return json.loads((folder / "report" / "summary.json").read_text())


def test_ingestion_gives_the_same_files(tmp_path, options):
    """By time, with cuts that have to be found: rows, their order and what is counted."""
    spec = datasets.materialise(datasets.load("sample"), tmp_path)
    summaries, files = [], []
    processes = Beam(options={"direct_num_workers": 2, "direct_running_mode": "multi_processing"})
    portable = Beam(runner="PortableRunner", options=options)
    for name, beam in (("memory", Beam()), ("processes", processes), ("portable", portable)):
        summaries.append(ingest(tmp_path / name, spec, beam.flags()))
        examples = tmp_path / name / "examples"
        files.append({str(f.relative_to(examples)): list(tf.data.TFRecordDataset(str(f), "GZIP").as_numpy_iterator())
                      for f in examples.rglob("*.gz")})
    assert summaries[0] == summaries[1] == summaries[2] and summaries[0]["read"] == 20_000
    assert files[0] == files[1] == files[2] and len(files[0]) >= 16


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_the_whole_pipeline_gives_the_same_data_and_a_pushed_model(ctrl, tmp_path, options):
    config = tmp_path / "portable.yaml"
    config.write_text(json.dumps({**SHORT, "beam": {"runner": "PortableRunner", "options": options}}))
    done = ctrl(
        "run", "--dataset", "sample", "--root", tmp_path / "portable", "--smoke", "--config", config, timeout=1800)
    assert "verdict     PUSHED" in done.stdout and done.stderr == "", done.stdout + done.stderr
    portable = f"{tmp_path}/portable/sample-smoke/artifacts"
    memory = _data_in_memory(tmp_path / "memory")
    for examples in ("ExampleGen/examples", "Textualiser/textualised_examples", "Transform/transformed_examples"):
        assert rows(f"{memory}/{examples}") == rows(f"{portable}/{examples}")
    texts = [rows(f"{root}/Textualiser/texts", ("user", "item")) for root in (memory, portable)]
    assert texts[0] == texts[1]
    assert _vocabularies(memory) == _vocabularies(portable)
    assert _examples_counted(memory) == _examples_counted(portable) > 0
    vectors = [TextTable.load(glob.glob(f"{root}/TextEncoder/text_vectors/*")[0]) for root in (memory, portable)]
    for name, table in vectors[0].items():
        np.testing.assert_array_equal(table.keys, vectors[1][name].keys)
        np.testing.assert_allclose(table.vectors, vectors[1][name].vectors, atol=1e-5)


def _data_in_memory(root: pathlib.Path) -> str:
    """Runs what comes before the trainers with the runner in memory. Returns the folder of the artifacts."""
    layout = RunLayout.below(root, "sample")
    with console.quiet(layout.logs / "memory.log"):
        pipeline = prepare(datasets.load("sample"), RunConfig.model_validate(SHORT), layout)
        data = [node.id for node in pipeline.components if node.id in DATA]
        execute(pipeline, LocalRunner(only=data))
    return str(layout.artifacts)


def _vocabularies(root: str) -> dict[str, list[str]]:
    files = glob.glob(f"{root}/Transform/transform_graph/*/transform_fn/assets/*")
    assert files
    return {f.rpartition("/")[2]: open(f, encoding="utf-8").read().splitlines() for f in files}


def _examples_counted(root: str) -> int:
    statistics = standard_artifacts.ExampleStatistics()
    (statistics.uri,) = glob.glob(f"{root}/StatisticsGen/statistics/*")
    statistics.split_names = artifact_utils.encode_split_names(list(SPLITS))
    return stats_artifact_utils.load_statistics(statistics, "train").proto().datasets[0].num_examples
