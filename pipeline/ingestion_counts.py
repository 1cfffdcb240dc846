"""Counts of the rows that a run read, of one log or of daily ones."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

from tfx.dsl.io import fileio

from components.example_gen.executor import REJECTED, SUMMARY


def read_counts(uris: Sequence[str]) -> dict:
    """Sums the counts of `IngestionReport` artifacts; of daily logs, the newest day is the test as a whole.

    Args:
        uris: of each day, the newest last; one for a single log.

    Returns:
        The newest's summary (see `components.example_gen.executor`) with the sums of `read`, `dropped`
        and `rejected`, rows and clicked rows by split, and `dead_letters`, its file of rejected rows.

    Example:

    ```python
    read_counts(["root/sample/artifacts/ExampleGen/report/1"])["rows"]  # {"train": 1600, "validation": 200, ...}
    ```
    """
    reports = []
    for uri in uris:
        with fileio.open(os.path.join(uri, SUMMARY)) as stream:
            reports.append({**json.load(stream), "dead_letters": os.path.join(uri, REJECTED)})
    if len(reports) == 1:
        return reports[0]
    *before, newest = reports
    return {
        **newest,
        **{key: sum(r[key] for r in reports) for key in ("read", "dropped", "rejected")},
        **{key: {**{split: sum(r[key][split] for r in before) for split in newest[key]},
                 "test": sum(newest[key].values())} for key in ("rows", "positive")},
    }
