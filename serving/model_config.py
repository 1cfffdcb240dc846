"""A model that is to be served."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from models.spec.errors import UserError
from serving.version_policy import VersionPolicy

_PLATFORM = "tensorflow"


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Name, place, and which versions are served.

    Args:
        name: what requests call the model.
        base_path: the folder of the version folders; anything `tf.io.gfile` reads.
        policy: which of the versions are served.
        labels: label, as `stable`, to the version that it stands for.

    Example:

    ```python
    ModelConfig("ctr", "ctrl_root/sample/serving/ctr", VersionPolicy(latest=2), {"canary": 1718000000})
    ```
    """

    name: str
    base_path: str
    policy: VersionPolicy = VersionPolicy()
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)


def from_proto(config: model_server_config_pb2.ModelServerConfig) -> list[ModelConfig]:
    """The models of TF Serving's `ModelServerConfig`.

    Raises:
        UserError: it has no `model_config_list`, or a model lacks something.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise UserError("the model configuration has no model_config_list")
    found = {}
    for model in config.model_config_list.config:
        if not model.name or not model.base_path:
            raise UserError(f"model {model.name!r} needs a name and a base_path; its base_path is {model.base_path!r}")
        if model.model_platform not in ("", _PLATFORM):
            raise UserError(f"model {model.name!r} has the model_platform {model.model_platform!r}; only "
                            f"{_PLATFORM!r} is served")
        if model.name in found:
            raise UserError(f"two models have the name {model.name!r}")
        found[model.name] = ModelConfig(
            model.name, model.base_path, VersionPolicy.from_proto(model.model_version_policy),
            dict(model.version_labels))
    if not found:
        raise UserError("the model_config_list is empty")
    return list(found.values())


def to_proto(models: Sequence[ModelConfig]) -> model_server_config_pb2.ModelServerConfig:
    """The configuration of TF Serving's that `from_proto` reads."""
    config = model_server_config_pb2.ModelServerConfig()
    for model in models:
        added = config.model_config_list.config.add(
            name=model.name, base_path=model.base_path, model_platform=_PLATFORM, version_labels=model.labels)
        model.policy.to_proto(added.model_version_policy)
    return config


def read_models(path: str | pathlib.Path) -> list[ModelConfig]:
    """The models of a `models.config` file, as TF Serving's `--model_config_file` takes it.

    Raises:
        UserError: it cannot be read, or has an error.

    Example:

    ```python
    read_models("ctrl_root/sample/serving/deployment/ctr/models.config")
    ```
    """
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
        return from_proto(text_format.Parse(text, model_server_config_pb2.ModelServerConfig()))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}") from error
    except text_format.ParseError as error:
        raise UserError(f"{path}: is no model configuration of TF Serving: line {error}") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
