"""The end of a pipeline: a model is evaluated, tried out and, where it passes, pushed."""

from __future__ import annotations

import os
from collections.abc import Sequence

import tensorflow_model_analysis as tfma
from tfx.components import InfraValidator
from tfx.dsl.components.base.base_node import BaseNode
from tfx.proto import infra_validator_pb2, pusher_pb2
from tfx.types import BaseChannel

from components.evaluator.component import Evaluator
from components.pusher.component import Pusher
from components.serving_config.component import ServingConfig
from pipeline.config import SERVING_IMAGE, SERVING_TAG

GATE = "Evaluator"


def gate(
    model: BaseChannel,
    baseline_model: BaseChannel,
    examples: BaseChannel,
    eval_config: tfma.EvalConfig,
    serving_dir: str,
    infra_validation: bool = False,
    deployment_dir: str | None = None,
    example_splits: Sequence[str] = ("test",),
) -> list[BaseNode]:
    """The components between a model and its being served.

    Args:
        model: the candidate.
        baseline_model: the model that must not be made worse.
        examples: raw examples.
        eval_config: metrics and thresholds.
        serving_dir: the Pusher writes `<serving_dir>/<version>`; its last part is the model's
            name.
        infra_validation: load the model in TensorFlow Serving before it is pushed; needs
            Docker.
        deployment_dir: what TensorFlow Serving is started with is written there, once a model
            was pushed; nothing is when absent.
        example_splits: the splits of `examples` that are evaluated on.

    Returns:
        Evaluator, InfraValidator (only if asked for), Pusher, and ServingConfig (likewise).

    Example:

    ```python
    nodes += gate(trainer.outputs["model"], baseline.outputs["model"], example_gen.outputs["examples"],
                  eval_config(spec, config.evaluation), "ctrl_root/sample/serving/ctr")
    ```
    """
    # AUC, logloss, calibration by slice; the gate.
    evaluator = Evaluator(
        examples=examples,
        model=model,
        baseline_model=baseline_model,
        eval_config=eval_config,
        example_splits=list(example_splits),
    ).with_id(GATE)
    nodes = [evaluator]

    # Whether stock TensorFlow Serving loads the model and answers.
    infra_blessing = None
    if infra_validation:
        infra_validator = InfraValidator(
            model=model,
            examples=examples,
            serving_spec=infra_validator_pb2.ServingSpec(
                tensorflow_serving=infra_validator_pb2.TensorFlowServing(tags=[SERVING_TAG]),
                local_docker=infra_validator_pb2.LocalDockerConfig()),
            request_spec=infra_validator_pb2.RequestSpec(
                tensorflow_serving=infra_validator_pb2.TensorFlowServingRequestSpec(
                    signature_names=["serving_default"]),
                split_name=example_splits[0], num_examples=10),
        )
        infra_blessing = infra_validator.outputs["blessing"]
        nodes.append(infra_validator)

    # Only what passed the gate is served.
    pusher = Pusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=infra_blessing,
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=serving_dir)),
    )
    nodes.append(pusher)

    # How it is served elsewhere than by `ctrl serve`.
    if deployment_dir:
        nodes.append(ServingConfig(
            pushed_model=pusher.outputs["pushed_model"],
            model_name=os.path.basename(serving_dir),
            image=SERVING_IMAGE,
            serving_dir=serving_dir,
            deployment_dir=deployment_dir,
        ))
    return nodes
