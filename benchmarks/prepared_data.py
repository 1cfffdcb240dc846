"""A dataset, ready to train on: what the pipeline makes before its first trainer."""

from __future__ import annotations

import copy
import os
import pathlib
from collections.abc import Mapping

from models.spec.dataset_spec import DatasetSpec
from models.spec.split_rule import SPLITS
from pipeline.config import RunConfig
from pipeline.layout import RunLayout
from pipeline.local_runner import LocalRunner
from pipeline.pipeline import ALIGNMENT
from pipeline.run import execute, prepare
from pipeline.run_fns.stage import Stage
from pipeline.run_inspection import RunInspection

_ENCODER = "TextEncoder"


class PreparedData:
    """Transformed examples and text vectors of a dataset, and training stages on them.

    The components before the first trainer are run as in `ctrl run`, in the same place:
    what either has made, the other reuses.

    Args:
        spec: the dataset.
        config: the run's configuration; its data, text and Beam settings count here.
        layout: where the pipeline writes.
        data_dir: folder of the log's files, when the specification does not say.

    Attributes:
        spec: the dataset.
        ingestion: ingestion's summary.
        textualised: URI of the examples with sentences.
        texts: URI of the distinct texts.
        graph: URI of the transform graph.

    Raises:
        UserError: something in the data, the specification or the configuration is wrong.

    Example:

    ```python
    data = PreparedData(datasets.load("sample"), config, RunLayout.below(root, "sample"))
    model = plain.train(data.stage("plain", config, pathlib.Path("/tmp/work")))
    ```
    """

    def __init__(self, spec: DatasetSpec, config: RunConfig, layout: RunLayout, data_dir: str | None = None):
        self.spec = spec
        self._layout = layout
        self._data_dir = data_dir
        inspection = self._run(config, ALIGNMENT, itself=False)
        self.ingestion = inspection.ingestion()
        self.textualised = inspection.uri("Textualiser", "textualised_examples")
        self.texts = inspection.uri("Textualiser", "texts")
        self.graph = inspection.uri("Transform", "transform_graph")
        self._examples = inspection.uri("Transform", "transformed_examples")
        self._vectors = inspection.uri(_ENCODER, "text_vectors")

    def with_text(self, config: RunConfig) -> PreparedData:
        """The same examples, in the same order, with text vectors of another configuration.

        What a row points to does not depend on the language model nor on the form of its
        text, so that only these are made anew.

        Args:
            config: with another `language_model`, `text_form` or `adaptation`, and `text_mode: frozen`.
        """
        other = copy.copy(self)
        other._vectors = self._run(config, _ENCODER).uri(_ENCODER, "text_vectors")
        return other

    def _run(self, config: RunConfig, last: str, itself: bool = True) -> RunInspection:
        """Runs all that a component needs, and itself."""
        pipeline = prepare(self.spec, config, self._layout, self._data_dir)
        (node,) = (c for c in pipeline.components if c.id == last)
        runner = LocalRunner(only=upstream(node) | ({last} if itself else set()))
        execute(pipeline, runner)
        return RunInspection(pipeline.metadata_connection_config, runner.components)

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each split."""
        return {split: self.ingestion["rows"][split] for split in SPLITS}

    def stage(self, name: str, config: RunConfig, work: pathlib.Path, text: bool = False,
              base_model: pathlib.Path | None = None, files: Mapping[str, list[str]] | None = None,
              kind: type[Stage] = Stage) -> Stage:
        """A training stage on this data.

        Args:
            name: for progress lines, and for the folder of its logs.
            config: of the stage.
            work: folder of its checkpoints and logs.
            text: whether it reads the text vectors.
            base_model: folder of the weights that it starts from.
            files: split to files, in place of some of the splits' own.
            kind: class of the stage.
        """
        own = {split: [os.path.join(self._examples, f"Split-{split}", "*")] for split in SPLITS}
        return kind(
            name,
            # With the source as it was given: where a log lies does not change what is trained.
            dataset_spec=self.spec.to_json(),
            config=config.model_dump(mode="json"),
            transform_output=self.graph,
            files={**own, **(files or {})},
            checkpoint_dir=str(work / "checkpoints"),
            log_dir=str(work / "logs" / f"{config.backbone}-seed{config.seed}" / name),
            text_vectors=self._vectors if text else None,
            base_model=str(base_model) if base_model else None)


def upstream(node) -> set[str]:
    """Ids of all nodes that a node needs, directly or through others."""
    found, left = set(), list(node.upstream_nodes)
    while left:
        current = left.pop()
        if current.id not in found:
            found.add(current.id)
            left += current.upstream_nodes
    return found
