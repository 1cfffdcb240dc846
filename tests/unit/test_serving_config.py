"""The files for stock TensorFlow Serving: they parse, and agree with each other."""

import pathlib
import re

import pytest
import yaml
from google.protobuf import descriptor_pb2, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2
from tfx.types import standard_artifacts

from components.artifacts import DeploymentFiles
from components.serving_config.deployment_files import CONFIGS, deployment_files
from components.serving_config.executor import Executor
from pipeline.config import SERVING_IMAGE
from tests.executor_case import artifact

_FIELD = descriptor_pb2.FieldDescriptorProto


@pytest.fixture(scope="module")
def files():
    return deployment_files("shop_1", SERVING_IMAGE, "../../serving/shop_1")


@pytest.fixture(scope="module")
def compose(files):
    return yaml.safe_load(files["docker-compose.yaml"])["services"]["serving"]


@pytest.fixture(scope="module")
def objects(files):
    return {found["kind"]: found for found in yaml.safe_load_all(files["kubernetes.yaml"])}


@pytest.fixture(scope="module")
def pod(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]


def parsed(text, messages, root):
    """Text as a message of TensorFlow Serving's that the API's package lacks: message to (number, name, type)."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{root}.proto", syntax="proto3")
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for number, field, kind in fields:
            label = _FIELD.LABEL_REPEATED if kind.endswith("*") else _FIELD.LABEL_OPTIONAL
            scalar = {"bool": _FIELD.TYPE_BOOL, "string": _FIELD.TYPE_STRING, "int64": _FIELD.TYPE_INT64}.get(
                kind.rstrip("*"))
            message.field.add(
                number=number, name=field, label=label, type=scalar or _FIELD.TYPE_MESSAGE,
                type_name=None if scalar else f".{kind}")
    return text_format.Parse(text, message_factory.GetMessages([file])[root]())


def the_model(text):
    (model,) = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    return model


def test_the_model_is_served_with_the_version_before(files):
    model = the_model(files["models.config"])
    assert (model.name, model.base_path, model.model_platform) == ("shop_1", "/models/shop_1", "tensorflow")
    assert model.model_version_policy.latest.num_versions == 2 and not model.version_labels


def test_labels_only_need_their_comments_taken_away(files):
    text = files["models.config"].replace("    model_version_policy { latest { num_versions: 2 } }\n", "")
    model = the_model(re.sub(r"# (model_version_policy|version_labels)", r"\1", text))
    assert set(model.version_labels) == {"stable", "canary"}
    assert set(model.version_labels.values()) == set(model.model_version_policy.specific.versions)


def test_batching_parameters(files):
    wrapped = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    found = parsed(files["batching_parameters.txt"], {
        "Int64Value": [(1, "value", "int64")],
        "BatchingParameters": [
            *((number, name, "Int64Value") for number, name in enumerate(wrapped, start=1)),
            (6, "allowed_batch_sizes", "int64*")]}, "BatchingParameters")
    assert all(found.HasField(name) for name in wrapped)
    sizes = list(found.allowed_batch_sizes)
    # TensorFlow Serving refuses anything else.
    assert sizes == sorted(set(sizes)) and sizes[-1] == found.max_batch_size.value


def test_metrics_are_where_prometheus_is_told_to_look(files, objects):
    found = parsed(files["monitoring.config"], {
        "PrometheusConfig": [(1, "enable", "bool"), (2, "path", "string")],
        "MonitoringConfig": [(1, "prometheus_config", "PrometheusConfig")]}, "MonitoringConfig").prometheus_config
    assert found.enable and found.path == "/monitoring/prometheus/metrics"
    annotations = objects["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations == {
        "prometheus.io/scrape": "true", "prometheus.io/port": "8501", "prometheus.io/path": found.path}


def test_compose_mounts_what_the_server_is_told_to_read(files, compose):
    assert compose["image"] == SERVING_IMAGE
    mounts = {volume["target"]: volume for volume in compose["volumes"]}
    assert all(volume["type"] == "bind" and volume["read_only"] is True for volume in mounts.values())
    assert mounts[the_model(files["models.config"]).base_path]["source"] == "../../serving/shop_1"
    # The files lie beside the Compose file itself.
    assert mounts["/config"]["source"] == "."
    read = [flag.split("=")[1] for flag in compose["command"] if "_file=" in flag]
    assert read == ["/config/models.config", "/config/monitoring.config"]
    assert compose["ports"] == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    assert "GET /v1/models/shop_1 " in compose["healthcheck"]["test"][-1]


def test_kubernetes_starts_the_same_server(files, compose, objects, pod):
    (container,) = pod["containers"]
    assert (container["image"], container["args"]) == (compose["image"], compose["command"])
    data = objects["ConfigMap"]["data"]
    assert {name: text.rstrip() for name, text in data.items()} == {name: files[name].rstrip() for name in CONFIGS}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["config"]["configMap"]["name"] == objects["ConfigMap"]["metadata"]["name"]
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == "replace-with-your-claim"
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert set(mounts) == {"/models", "/config", "/tmp"} and {m["name"] for m in mounts.values()} == set(volumes)
    assert all(mounts[path]["readOnly"] is True for path in ("/models", "/config"))


def test_kubernetes_objects_find_each_other(objects, pod):
    assert list(objects) == ["ConfigMap", "Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"]
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert objects[kind]["spec"]["selector"]["matchLabels"] == labels
    assert objects["Service"]["spec"]["selector"] == labels
    target = objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", objects["Deployment"]["metadata"]["name"])
    ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {port["targetPort"]: port["port"] for port in objects["Service"]["spec"]["ports"]} == ports


def test_a_pod_is_asked_for_its_model_and_may_write_nothing(pod):
    (container,) = pod["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/v1/models/shop_1", "port": "rest"}
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    assert pod["terminationGracePeriodSeconds"] > int(container["lifecycle"]["preStop"]["exec"]["command"][1])


@pytest.mark.parametrize("name", ["docker-compose.yaml", "kubernetes.yaml"])
def test_batching_only_needs_its_comments_taken_away(files, name):
    found = list(yaml.safe_load_all(files[name].replace("# - --", "- --")))
    if name == "docker-compose.yaml":
        flags = found[0]["services"]["serving"]["command"]
    else:
        flags = found[1]["spec"]["template"]["spec"]["containers"][0]["args"]
    # The server refuses parameters without batching; and, with it, a model that is warmed up with rank.
    assert flags[-3:] == [
        "--enable_batching=true", "--batching_parameters_file=/config/batching_parameters.txt",
        "--enable_model_warmup=false"]


@pytest.mark.parametrize(("model_name", "expected"), [
    ("ctr", "tf-serving-ctr"), ("My_Model--2_", "tf-serving-my-model-2"), ("_", "tf-serving"),
    ("a" * 99, "tf-serving-" + "a" * 52)])
def test_names_are_ones_that_kubernetes_takes(model_name, expected):
    found = yaml.safe_load_all(deployment_files(model_name, SERVING_IMAGE, "x")["kubernetes.yaml"])
    assert {each["metadata"]["name"] for each in found} == {expected}


@pytest.mark.parametrize(("model_dir", "source"), [
    ('/a "b" $c/ctr', '/a "b" $$c/ctr'), ("gs://bucket/ctr", "${MODEL_DIR:?a copy of gs://bucket/ctr}")])
def test_any_folder_can_be_written_down(model_dir, source):
    text = deployment_files("ctr", SERVING_IMAGE, model_dir)["docker-compose.yaml"]
    assert yaml.safe_load(text)["services"]["serving"]["volumes"][0]["source"] == source


def run(folder, pushed=1, image=SERVING_IMAGE) -> tuple[dict[str, str], pathlib.Path]:
    """What the executor wrote as its artifact, and the folder that it copies to."""
    model = artifact(standard_artifacts.PushedModel, folder / "pushed_model")
    model.set_int_custom_property("pushed", pushed)
    made = artifact(DeploymentFiles, folder / "made")
    deployment = folder / "root" / "deployment" / "ctr"
    Executor().Do({"pushed_model": [model]}, {"deployment_files": [made]}, {
        "model_name": "ctr", "image": image, "serving_dir": str(folder / "root" / "serving" / "ctr"),
        "deployment_dir": str(deployment)})
    return {path.name: path.read_text() for path in pathlib.Path(made.uri).iterdir()}, deployment


def test_the_files_of_a_pushed_model_are_copied(tmp_path):
    made, deployment = run(tmp_path)
    assert made == deployment_files("ctr", SERVING_IMAGE, "../../serving/ctr")
    assert {path.name: path.read_text() for path in deployment.iterdir()} == made


def test_of_a_refused_model_nothing_is_copied(tmp_path):
    made, deployment = run(tmp_path, pushed=0)
    assert len(made) == 5 and not deployment.exists()


def test_settings_of_whoever_serves_it_stay(tmp_path, caplog):
    _, deployment = run(tmp_path)
    (deployment / "models.config").write_text("mine")
    (deployment / "monitoring.config").unlink()
    with caplog.at_level("INFO", "ctrl.serving_config"):
        made, _ = run(tmp_path)
    assert (deployment / "models.config").read_text() == "mine"
    assert (deployment / "monitoring.config").read_text() == made["monitoring.config"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{deployment / 'models.config'}: stays as it is; this run would write {tmp_path / 'made' / 'models.config'}"]
