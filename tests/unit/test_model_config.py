"""What is to be served: TF Serving's own configuration, read and written."""

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from models.spec.errors import UserError
from serving.model_config import ModelConfig, from_proto, read_models, to_proto
from serving.version_policy import VersionPolicy

TEXT = """
model_config_list {
  config {
    name: "ctr"
    base_path: "/models/ctr"
    model_platform: "tensorflow"
    model_version_policy { latest { num_versions: 2 } }
    version_labels { key: "stable" value: 3 }
    version_labels { key: "canary" value: 4 }
  }
  config { name: "wide" base_path: "/models/wide" model_version_policy { specific { versions: 7 versions: 9 } } }
  config { name: "old" base_path: "/models/old" model_version_policy { all {} } }
  config { name: "plain" base_path: "gs://models/plain" }
}
"""
MODELS = [
    ModelConfig("ctr", "/models/ctr", VersionPolicy(latest=2), {"stable": 3, "canary": 4}),
    ModelConfig("wide", "/models/wide", VersionPolicy(specific=(7, 9))),
    ModelConfig("old", "/models/old", VersionPolicy(latest=None)),
    ModelConfig("plain", "gs://models/plain", VersionPolicy(latest=1)),
]


def _parsed(text):
    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())


def test_a_file_is_read_and_written(tmp_path):
    (tmp_path / "models.config").write_text(TEXT, encoding="utf-8")
    models = read_models(tmp_path / "models.config")
    assert models == MODELS
    assert from_proto(to_proto(models)) == MODELS
    assert to_proto(models).model_config_list.config[0] == _parsed(TEXT).model_config_list.config[0]


@pytest.mark.parametrize(("text", "message"), [
    ("", "has no model_config_list"),
    ("model_config_list {}", "the model_config_list is empty"),
    ("model_config_list { config { base_path: '/m' } }", "needs a name and a base_path"),
    ("model_config_list { config { name: 'a' } }", "model 'a' needs a name and a base_path"),
    ("model_config_list { config { name: 'a' base_path: '/m' model_platform: 'torch' } }", "model_platform 'torch'"),
    ("model_config_list { config { name: 'a' base_path: '/m' } config { name: 'a' base_path: '/n' } }",
     "two models have the name 'a'"),
    ("model_config_list { config { nane: 'a' } }", "line 1:"),
])
def test_what_is_wrong_is_said_with_the_file(tmp_path, text, message):
    path = tmp_path / "models.config"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_models(path)
    assert str(caught.value).startswith(str(path)) and message in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="absent: cannot be read: No such file"):
        read_models(tmp_path / "absent")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="binary: cannot be read: 'utf-8'"):
        read_models(tmp_path / "binary")


@pytest.mark.parametrize(("text", "policy", "chosen"), [
    ("latest", VersionPolicy(), [9]),
    ("latest:2", VersionPolicy(latest=2), [9, 5]),
    ("latest:7", VersionPolicy(latest=7), [9, 5, 1]),
    ("all", VersionPolicy(latest=None), [9, 5, 1]),
    ("1", VersionPolicy(specific=(1,)), [1]),
    ("1,9,11", VersionPolicy(specific=(1, 9, 11)), [9, 1]),
])
def test_policies_choose(text, policy, chosen):
    assert VersionPolicy.parse(text) == policy
    assert policy.choose([5, 1, 9]) == chosen


@pytest.mark.parametrize("text", ["", "newest", "latest:", "latest:0", "latest:x", "all:2", "1,", "-1", "1 2"])
def test_no_policy(text):
    with pytest.raises(UserError, match="version policy"):
        VersionPolicy.parse(text)
