"""RollingWindow: the textualised days of a window as one set of examples."""

from __future__ import annotations

from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from components.rolling_window import executor


class RollingWindowSpec(ComponentSpec):
    """Specification of `RollingWindow`."""

    PARAMETERS = {}
    INPUTS = {
        key: ChannelParameter(type=standard_artifacts.Examples, optional=True)
        for key in (*executor.EXAMPLES_KEYS, *executor.TEXTS_KEYS)
    }
    OUTPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "texts": ChannelParameter(type=standard_artifacts.Examples),
    }


class RollingWindow(base_beam_component.BaseBeamComponent):
    """Puts the days of a window together, so that what follows reads one artifact.

    Files of examples are copied as they are, and no row is read. Of texts that several
    days have, each is kept once. A component with one input a day stands here in place
    of a channel of many artifacts since Kubeflow Pipelines has none.

    Args:
        examples: the days' textualised examples, oldest first.
        texts: the days' distinct texts.

    Outputs `examples` and `texts`, with the splits of the inputs.

    Example:

    ```python
    window = RollingWindow(
        examples=[t.outputs["textualised_examples"] for t in textualisers],
        texts=[t.outputs["texts"] for t in textualisers])
    ```
    """

    SPEC_CLASS = RollingWindowSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(self, examples: Sequence[types.BaseChannel], texts: Sequence[types.BaseChannel]):
        super().__init__(
            RollingWindowSpec(
                **dict(zip(executor.EXAMPLES_KEYS, examples)),
                **dict(zip(executor.TEXTS_KEYS, texts)),
                examples=types.Channel(type=standard_artifacts.Examples),
                texts=types.Channel(type=standard_artifacts.Examples),
            )
        )
