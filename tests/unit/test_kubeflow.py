import json
import pathlib

import pytest
import yaml
from google.protobuf import json_format
from kfp.client.client import _extract_pipeline_yaml
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.types import artifact

import components
from components import artifacts
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from pipeline import kubeflow
from pipeline.config import RunConfig
from pipeline.uri_layout import UriLayout
from tests.kubeflow_driver import KubeflowDriver, producers

IMAGE = "registry.example/ctrl:1"
LOG = "who,film,clicked\na,x,1\nb,y,0\n"
SPEC = """
name: Toy_log
source: {format: csv, path: toy-*.csv}
label: {column: clicked}
features:
- {name: who, side: user, kind: categorical}
- {name: film, side: item, kind: categorical}
"""
TRAINERS = {"AlignmentTrainer", "PlainTrainer", "DistillationTrainer", "ColdStart"}


def compiled(folder: pathlib.Path, *settings: str) -> list[dict]:
    folder.mkdir(exist_ok=True)
    (folder / "toy-1.csv").write_text(LOG)
    (folder / "toy.yaml").write_text(SPEC)
    spec = DatasetSpec.load(folder / "toy.yaml")
    config = RunConfig.load(spec.name, None, ["language_model=tiny-random", *settings])
    layout = UriLayout.below("minio://bucket/ctrl", spec.name, shared=str(folder))
    kubeflow.write_pipeline(spec, config, IMAGE, layout, folder / "pipeline.yaml")
    return list(yaml.safe_load_all((folder / "pipeline.yaml").read_text()))


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("toy")
    compiled(folder)
    return folder


@pytest.fixture(scope="module")
def spec(toy) -> dict:
    return yaml.safe_load((toy / "pipeline.yaml").read_text())


def executor(spec: dict, component: str) -> dict:
    return spec["deploymentSpec"]["executors"][spec["components"][component]["executorLabel"]]


def test_the_client_of_kubeflow_reads_the_file(toy):
    document = _extract_pipeline_yaml(str(toy / "pipeline.yaml"))
    assert document.pipeline_spec.pipeline_info.name == "toy-log"
    assert document.pipeline_spec.schema_version == "2.1.0"
    assert set(document.pipeline_spec.root.dag.tasks) >= TRAINERS | {"ExampleGen", "Evaluator", "Pusher"}


def test_every_producer_that_is_named_exists(toy):
    tasks = KubeflowDriver(toy / "pipeline.yaml", toy / "logs", toy / "storage").spec.root.dag.tasks
    assert {p for task in tasks.values() for p in producers(task)} <= set(tasks)


def test_no_step_needs_what_the_open_source_backend_lacks(spec):
    assert all(set(e) == {"container"} for e in spec["deploymentSpec"]["executors"].values())


def test_every_step_runs_the_image_with_our_entry_point(spec):
    for name in spec["root"]["dag"]["tasks"]:
        container = executor(spec, name)["container"]
        assert container["image"] == IMAGE
        assert container["command"] == ["python", "-m", "pipeline.kubeflow_entrypoint"]


def test_run_parameters_have_their_defaults(toy, spec):
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert {n: p["defaultValue"] for n, p in parameters.items() if n != "fingerprint"} == {
        "files": str(toy / "toy-*.csv"), "max_drift": 0.3, "max_rejected_share": 0.01}
    assert all(p["isOptional"] for p in parameters.values())
    inputs = spec["root"]["dag"]["tasks"]["ExampleGen"]["inputs"]["parameters"]
    assert inputs["files"] == {"componentInputParameter": "files"}


def test_artifacts_are_written_to_object_storage_and_models_to_what_is_shared(toy, spec):
    assert spec["defaultPipelineRoot"] == "minio://bucket/ctrl/Toy_log/artifacts"
    tasks = spec["root"]["dag"]["tasks"]
    pushed = json.loads(tasks["Pusher"]["inputs"]["parameters"]["push_destination"]["runtimeValue"]["constant"])
    assert pushed["filesystem"]["base_directory"] == str(toy / "Toy_log" / "serving" / "ctr")


def test_what_is_served_never_comes_from_a_cache(spec):
    tasks = spec["root"]["dag"]["tasks"]
    cached = {n for n, task in tasks.items() if task.get("cachingOptions", {}).get("enableCache")}
    assert set(tasks) - cached == {"ServedModel"}


def test_components_ask_for_what_the_configuration_says(tmp_path):
    spec, platform = compiled(
        tmp_path, "resources.default={cpu: 2, memory: 8}", "resources.training={accelerator: nvidia.com/gpu}",
        "resources.components={Transform: {memory: 32, kubernetes: {nodeSelector: {labels: {disk: ssd}}}}}")
    found = {n: executor(spec, n)["container"]["resources"] for n in spec["root"]["dag"]["tasks"]}
    assert found["ExampleGen"] == {"cpuLimit": 2.0, "memoryLimit": 8.0}
    assert found["Transform"] == {"cpuLimit": 2.0, "memoryLimit": 32.0}
    gpu = {n for n, r in found.items() if r.get("accelerator") == {"type": "nvidia.com/gpu", "count": "1"}}
    assert gpu == TRAINERS | {"TextEncoder"}
    assert platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"] == {
        "Transform_executor": {"nodeSelector": {"labels": {"disk": "ssd"}}}}
    json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())


@pytest.mark.parametrize(("settings", "message"), [
    (["infra_validation='on'"], "infra_validation is on: a step on a cluster has no Docker"),
    (["resources.components={Trainer: {cpu: 1}}"], "has no component Trainer; there are: AlignmentTrainer, "),
    (["backbone=nosuch"], "nosuch"),
])
def test_what_cannot_run_is_refused(tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        compiled(tmp_path, *settings)
    assert not (tmp_path / "pipeline.yaml").exists()


def test_daily_logs_are_refused(tmp_path):
    (tmp_path / "toy.yaml").write_text(SPEC.replace("toy-*.csv", '"toy-{SPAN}.csv"') + "split: {by: day}\n")
    spec = DatasetSpec.load(tmp_path / "toy.yaml")
    layout = UriLayout.below("minio://bucket/ctrl", spec.name, shared=str(tmp_path))
    with pytest.raises(UserError, match="Toy_log: source.path is one log a day, which `ctrl run` alone reads"):
        kubeflow.write_pipeline(spec, RunConfig(), IMAGE, layout, tmp_path / "pipeline.yaml")
    assert not (tmp_path / "pipeline.yaml").exists()


@pytest.mark.parametrize(("setting", "message"), [
    ("resources.default.cpu=0", "resources.default.cpu: 0: Input should be greater than 0"),
    ("resources.components={Pusher: {cpus: 1}}", "resources.components.Pusher.cpus is no known key; did you mean cpu?"),
])
def test_a_wrong_request_is_named(setting, message):
    with pytest.raises(UserError) as raised:
        RunConfig.load("toy", None, [setting])
    assert message in str(raised.value)


def test_a_log_on_this_machine_is_no_log_of_a_cluster(tmp_path):
    (tmp_path / "toy-1.csv").write_text(LOG)
    (tmp_path / "toy.yaml").write_text(SPEC)
    spec = DatasetSpec.load(tmp_path / "toy.yaml")
    with pytest.raises(UserError, match=r"toy-1.csv: is on this machine.*as gs://b/Toy_log/log, and name it there"):
        kubeflow._files_in_reach(spec, UriLayout.below("gs://b", spec.name), None)


@pytest.mark.parametrize(("root", "shared", "message"), [
    ("/mnt/ctrl", None, "--pipeline-root /mnt/ctrl: must be a folder in object storage"),
    ("gs://", None, "--pipeline-root gs://: must be a folder in object storage"),
    ("ftp://host/folder", None, "--pipeline-root ftp://host/folder: must be a folder in object storage"),
    ("s3://bucket", None, "--pipeline-root s3://bucket: .* give --shared"),
    ("s3://bucket", "s3://bucket", "--shared s3://bucket: must be the absolute path of a volume"),
    ("s3://bucket", "ctrl", "--shared ctrl: must be the absolute path of a volume"),
])
def test_a_folder_that_no_step_can_reach_is_refused(root, shared, message):
    with pytest.raises(UserError, match=message):
        UriLayout.below(root, "toy", shared)


def test_our_artifact_types_are_found_by_their_names():
    own = [c for c in vars(artifacts).values() if isinstance(c, type) and issubclass(c, artifact.Artifact)]
    assert len(own) == 7
    for cls in own:
        package, _, name = cls.TYPE_NAME.partition(".")
        assert package == components.__name__ and getattr(components, name) is cls
    with pytest.raises(AttributeError):
        _ = components.NoSuchArtifact


def test_a_copy_is_named_by_its_content(tmp_path):
    for text in ("one", "two"):
        (tmp_path / "items.csv").write_text(text)
        copy = kubeflow.publish(tmp_path / "items.csv", str(tmp_path / "catalogues"))
        assert pathlib.Path(copy).read_text() == text and copy.endswith("/items.csv")
    assert len(list((tmp_path / "catalogues").iterdir())) == 2
