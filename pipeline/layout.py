"""Where a run writes what."""

from __future__ import annotations

import dataclasses
import pathlib

from models.spec.errors import UserError


@dataclasses.dataclass(frozen=True)
class RunLayout:
    """The folders of one dataset's runs.

    Args:
        root: `<--root>/<dataset>`.
    """

    root: pathlib.Path

    @property
    def metadata(self) -> pathlib.Path:
        """The ML Metadata store, SQLite."""
        return self.root / "metadata.sqlite"

    @property
    def artifacts(self) -> pathlib.Path:
        """What components write."""
        return self.root / "artifacts"

    @property
    def checkpoints(self) -> pathlib.Path:
        """Where killed training goes on from."""
        return self.root / "checkpoints"

    @property
    def data(self) -> pathlib.Path:
        """Generated logs and prepared tensorflow-datasets."""
        return self.root / "data"

    @property
    def dead_letters(self) -> pathlib.Path:
        """Malformed rows of a run that failed for them."""
        return self.root / "rejected"

    @property
    def logs(self) -> pathlib.Path:
        """One log a run."""
        return self.root / "logs"

    @property
    def runs(self) -> pathlib.Path:
        """One summary a run."""
        return self.root / "runs"

    def serving(self, model_name: str) -> pathlib.Path:
        """Versions of the pushed model."""
        return self.root / "serving" / model_name


def find_serving(root: pathlib.Path, dataset: str | None = None) -> pathlib.Path:
    """The one served model below a root.

    Args:
        root: what `ctrl run` was given.
        dataset: whose model, when the root holds several.

    Raises:
        UserError: there is no pushed model, or more than one.
    """
    found = sorted(p for p in root.glob(f"{dataset or '*'}/serving/*") if any(v.name.isdigit() for v in p.iterdir()))
    if not found:
        raise UserError(f"{root}: holds no pushed model" + (f" of {dataset}" if dataset else "")
                        + "; run `ctrl run` first, or give --root as it was given there")
    if len(found) > 1:
        raise UserError(f"{root}: holds several pushed models; choose one with --dataset: "
                        + ", ".join(p.parents[1].name for p in found))
    return found[0]
