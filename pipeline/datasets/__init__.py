"""The data sets that come with the project, and how a specification is found by name."""

from __future__ import annotations

import difflib
import os
import pathlib

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError

_FOLDER = pathlib.Path(__file__).parent
_SAMPLE = "sample"


def names() -> list[str]:
    """Names of the built-in data sets, the generated sample first."""
    return sorted((path.stem for path in _FOLDER.glob("*.yaml")), key=lambda name: (name != _SAMPLE, name))


def load(name_or_path: str | os.PathLike) -> DatasetSpec:
    """Reads a data set's specification.

    Args:
        name_or_path: the name of a built-in data set, or the path of a YAML file.

    Raises:
        UserError: there is no such name or file, or the specification is wrong.

    Example:

    ```python
    spec = load("movielens-100k")
    [f.name for f in spec.side("user")]
    ```
    """
    text = os.fspath(name_or_path)
    if text in names():
        path = _FOLDER / f"{text}.yaml"
        # Not `DatasetSpec.load`: the sample's file is generated elsewhere, see `materialise`.
        return DatasetSpec.parse(path.read_text(encoding="utf-8"), where=str(path))
    if os.path.isfile(text) or text.endswith((".yaml", ".yml")):
        return DatasetSpec.load(text)
    close = difflib.get_close_matches(text, names(), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UserError(f"--dataset {text}: is neither a built-in data set ({', '.join(names())}) "
                    f"nor a YAML file that exists.{hint}")


def materialise(spec: DatasetSpec, folder: str | os.PathLike) -> DatasetSpec:
    """The specification with its files in place: the sample's are generated, once, into `folder`.

    Any other data set's specification is returned as it is.

    Args:
        spec: what `load` returned.
        folder: where the sample's CSV file is kept, the run's root.
    """
    if spec.name != _SAMPLE or spec.source.path != f"{_SAMPLE}.csv":
        return spec
    # NumPy is loaded only where a log is generated, not for `ctrl --help`.
    from pipeline.datasets.sample_log import write_sample

    path = pathlib.Path(folder).resolve() / spec.source.path
    write_sample(path)
    return spec.model_copy(update={"source": spec.source.model_copy(update={"path": str(path)})})
