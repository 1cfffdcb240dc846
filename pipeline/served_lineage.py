"""How a served version came about, out of ML Metadata."""

from __future__ import annotations

import json
import pathlib

from ml_metadata import proto as mlmd_proto
from tfx.orchestration import metadata
from tfx.utils import json_utils

from models.spec.errors import UserError
from pipeline.pipeline import COLD_START_RUN_FN

_OUTPUTS = (mlmd_proto.Event.OUTPUT, mlmd_proto.Event.DECLARED_OUTPUT)
_INPUTS = (mlmd_proto.Event.INPUT, mlmd_proto.Event.DECLARED_INPUT)


class ServedLineage:
    """The artifacts and settings that a pushed version was made of.

    Args:
        connection: the ML Metadata store's connection configuration.
        version: the version's folder, `<serving>/<model>/<number>`.

    Attributes:
        model: id of the model's artifact.
        inputs: ids of the artifacts that its cold-start stage read, by input.
        model_run: id of what that stage left.
        uris: URI by id of all of these.
        custom_config: that stage's settings.
        language_model_fingerprint: of the language model behind its text vectors.
        eval_splits: the splits that its cold-start stage read beside the training split.
        examples: id of the raw examples that the gate evaluated it on.
        example_splits: the splits of these.
        eval_config: the gate's metrics and thresholds, JSON of TFMA's `EvalConfig`.
        infra_validation: whether it was tried out in TensorFlow Serving.

    Raises:
        UserError: the store does not know the version, or it was made without cold start.

    Example:

    ```python
    lineage = ServedLineage(connection, pathlib.Path("ctrl_root/sample/serving/ctr/1718000000"))
    lineage.uris[lineage.model_run]
    ```
    """

    def __init__(self, connection: mlmd_proto.ConnectionConfig, version: pathlib.Path):
        with metadata.Metadata(connection) as handle:
            self._store = handle.store
            pushed = [a.id for a in self._store.get_artifacts_by_type("PushedModel") if _is(a, version)]
            if not pushed:
                raise UserError(f"{version}: the metadata below this root know nothing of it; only a version that "
                                "`ctrl run` or `ctrl refresh` pushed there, and that was not moved, can be refreshed")
            pusher = self._events(self._producer(pushed[-1]).id, _INPUTS)
            self.model, self.infra_validation = pusher["model"], "infra_blessing" in pusher
            stage = self._producer(self.model)
            if stage.custom_properties["run_fn"].string_value != COLD_START_RUN_FN:
                raise UserError(f"{version}: was made without a map from texts to embeddings; run `ctrl run` with "
                                "text_mode: frozen and cold_start.enabled: true first")
            self.custom_config = json_utils.loads(stage.custom_properties["custom_config"].string_value)
            self.eval_splits = json.loads(stage.custom_properties["eval_args"].string_value)["splits"]
            self.inputs = self._events(stage.id, _INPUTS)
            self.model_run = self._events(stage.id, _OUTPUTS)["model_run"]
            encoder = self._producer(self.inputs["text_vectors"])
            self.language_model_fingerprint = encoder.custom_properties["language_model_fingerprint"].string_value
            # The gate that let it pass: a later one of the same model may have had other thresholds.
            evaluator = self._producer(pusher["model_blessing"])
            self.examples = self._events(evaluator.id, _INPUTS)["examples"]
            self.example_splits = json_utils.loads(evaluator.custom_properties["example_splits"].string_value)
            self.eval_config = json.loads(evaluator.custom_properties["eval_config"].string_value)
            ids = [self.model, self.model_run, self.examples, *self.inputs.values()]
            self.uris = {a.id: a.uri for a in self._store.get_artifacts_by_id(ids)}

    def _producer(self, artifact: int) -> mlmd_proto.Execution:
        """The execution that made an artifact, or the last one that used it again."""
        events = self._store.get_events_by_artifact_ids([artifact])
        makers = self._store.get_executions_by_id([e.execution_id for e in events if e.type in _OUTPUTS])
        # A Resolver hands artifacts of others on.
        return max((e for e in makers if not e.type.endswith(".Resolver")), key=lambda e: e.id)

    def _events(self, execution: int, types) -> dict[str, int]:
        events = self._store.get_events_by_execution_ids([execution])
        return {e.path.steps[0].key: e.artifact_id for e in events if e.type in types}


def _is(pushed: mlmd_proto.Artifact, version: pathlib.Path) -> bool:
    return pathlib.Path(pushed.custom_properties["pushed_destination"].string_value) == version
