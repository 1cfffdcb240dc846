"""Where a run writes what."""

from __future__ import annotations

import dataclasses
import glob
import pathlib
import tempfile

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from serving.spec_file import SPEC_FILE

# Where the specification lies below a served version.
SERVED_SPEC = pathlib.Path(SPEC_FILE)


@dataclasses.dataclass(frozen=True)
class RunLayout:
    """The folders of one dataset's runs.

    Args:
        root: `<--root>/<dataset>`.
    """

    root: pathlib.Path

    @classmethod
    def below(cls, root: pathlib.Path, dataset: str) -> RunLayout:
        """The layout of a dataset below what `--root` says.

        Raises:
            UserError: the path has a character that Beam, which writes there, takes for a pattern.
        """
        root = root.resolve()
        if glob.has_magic(str(root)):
            raise UserError(f"--root {root}: has one of the characters * ? [, which mean patterns of files to Apache "
                            "Beam; give another folder")
        return cls(root / dataset)

    def check_writable(self) -> None:
        """Makes the folder, and a file in it for a moment.

        Raises:
            UserError: it cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise UserError(f"--root {self.root.parent}: cannot be written: {error.filename or self.root}: "
                            f"{error.strerror}") from error

    @property
    def metadata(self) -> pathlib.Path:
        """The ML Metadata store, SQLite, unless another was named."""
        return self.root / "metadata.sqlite"

    @property
    def metadata_uri(self) -> pathlib.Path:
        """The URI, without a password, of a store that was named."""
        return self.root / "metadata.uri"

    @property
    def locks(self) -> pathlib.Path:
        """Files that processes lock, see `RunLock`; `run` is the one of the whole root."""
        return self.root / "locks"

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
    def schemas(self) -> pathlib.Path:
        """Imported schemas, by their content."""
        return self.root / "schemas"

    @property
    def catalogues(self) -> pathlib.Path:
        """Files of catalogue entries, by their content."""
        return self.root / "catalogues"

    @property
    def dead_letters(self) -> pathlib.Path:
        """Malformed rows of a run that failed for them."""
        return self.root / "rejected"

    def report(self, run_id: str) -> pathlib.Path:
        """The page of a run."""
        return self.runs / run_id.replace(":", "") / "report.html"

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

    def deployment(self, model_name: str) -> pathlib.Path:
        """What stock TensorFlow Serving is started with. Not below `serving`, where every folder is a model."""
        return self.root / "deployment" / model_name


def find_serving(root: pathlib.Path, dataset: str | None = None, model: str | None = None) -> pathlib.Path:
    """The one served model below a root.

    Args:
        root: what `ctrl run` was given.
        dataset: whose model, when the root holds several.
        model: its name, when the dataset has several.

    Returns:
        `<root>/<dataset>/serving/<model>`, the folder of its versions.

    Raises:
        UserError: there is no pushed model, or more than one.

    Example:

    ```python
    find_serving(pathlib.Path("ctrl_root"), "sample").name  # "ctr"
    ```
    """
    pushed = [folder for folder in sorted(root.glob("*/serving/*")) if _versions(folder)]
    found = [f for f in pushed if dataset in (None, f.parents[1].name) and model in (None, f.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{f.parents[1].name}/{f.name}" for f in found or pushed)
    if found:
        raise UserError(f"{root}: holds several pushed models; choose one with --dataset and --model, the parts of "
                        f"these: {names}")
    wanted = "".join(f" {what} {name}" for what, name in (("of", dataset), ("named", model)) if name)
    there = f"; there is: {names}" if pushed else ""
    raise UserError(f"{root}: holds no pushed model{wanted}{there}; run `ctrl run` first, or give --root as it was "
                    "given there")


def served_spec(served: pathlib.Path) -> DatasetSpec:
    """The dataset specification that a served model was trained with, from its newest version.

    Args:
        served: what `find_serving` returned.

    Raises:
        UserError: it cannot be read.
    """
    path = newest_version(served) / SERVED_SPEC
    try:
        return DatasetSpec.from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: cannot be read as the specification of the served model: {reason}") from error


def newest_version(served: pathlib.Path) -> pathlib.Path:
    """The folder of a served model's newest version; see `find_serving`."""
    return served / str(max(_versions(served)))


def _versions(folder: pathlib.Path) -> list[int]:
    return [int(v.name) for v in folder.iterdir() if v.name.isdecimal()] if folder.is_dir() else []
