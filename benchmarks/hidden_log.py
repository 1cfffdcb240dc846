"""A copy of a log whose training rows know nothing of some of the items or users."""

from __future__ import annotations

import csv
import hashlib
import pathlib

from components.example_gen import readers
from components.example_gen.rejected import Rejected
from models.spec.dataset_spec import DatasetSpec
from models.spec.value_text import value_text


def is_hidden(value: str, share: float) -> bool:
    """Whether an item or user is among those that are hidden, by a hash of its id."""
    digest = hashlib.blake2b(value.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def write_hidden_log(
    spec: DatasetSpec, folder: pathlib.Path, key: str, share: float, rows: int | None = None,
    data_dir: str | None = None,
) -> DatasetSpec:
    """Writes a log in which some entries appear in the newest tenth only, the test split.

    Every row of theirs before that is left out; the rows of the other entries, and all
    test rows, stay. The rows before the test are divided into training and validation by
    hash, eight to one.

    Args:
        spec: the dataset, with a column of time in `split.time`.
        folder: where `log.csv` and `spec.yaml` are written.
        key: the feature that holds the entries' ids.
        share: share of the entries that are hidden.
        rows: only the oldest so many rows of the log are used.
        data_dir: folder of the log's files, when the specification does not say.

    Returns:
        The specification of that log.
    """
    time, column = spec.split.time, spec.feature(key).source_column
    separators = {f.source_column: f.separator for f in spec.features if f.is_list and f.source_column}
    log = []
    for file in readers.list_files(spec, data_dir, str(folder / "prepared")):
        log += [row.values for row in readers.read_rows(spec, file) if not isinstance(row, Rejected)]
    log = sorted(log, key=lambda values: float(values[time]))[:rows]
    start = float(log[len(log) * 9 // 10][time])
    log = [row for row in log if float(row[time]) >= start or not is_hidden(value_text(row[column]), share)]
    path = folder / "log.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, spec.columns)
        writer.writeheader()
        for row in log:
            writer.writerow({
                c: separators[c].join(map(value_text, value)) if isinstance(value, list) else value_text(value)
                for c, value in row.items()})
    hidden = DatasetSpec.model_validate({
        **spec.model_dump(),
        "source": {"format": "csv", "path": str(path), "decimal": spec.source.decimal},
        "split": {"by": "time", "time": time, "test_from": start},
        "slices": (),
    })
    # YAML is a superset of JSON.
    (folder / "spec.yaml").write_text(hidden.to_json(), encoding="utf-8")
    return hidden
