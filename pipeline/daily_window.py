"""The daily logs that a run reads."""

from __future__ import annotations

import logging

from components.example_gen.daily_logs import Window, daily_logs, window
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from pipeline.config import RunConfig
from pipeline.console import LOGGER

_log = logging.getLogger(LOGGER)


def daily_window(spec: DatasetSpec, config: RunConfig, data_dir: str | None, span: str | None) -> Window | None:
    """The daily logs that a run reads, or None where the specification is of one log.

    Args:
        spec: the dataset.
        config: its group `rolling` says how many days, and which are left out.
        data_dir: as for `readers.list_files`.
        span: the newest day that is read; None for the newest there is.

    Raises:
        UserError: there are not enough of them, or a day is asked for where there are none.
    """
    if not spec.source.daily:
        if span is not None:
            raise UserError(f"--span {span}: dataset {spec.name} is one log; daily ones have {{YYYY}}, {{MM}} and "
                            "{DD}, or {SPAN}, in source.path")
        return None
    found = window(daily_logs(spec, data_dir), config.rolling.days, span, config.rolling.exclude,
                   config.rolling.history_days if spec.derivation else 0)
    _log.info("trained on %s, evaluated on %s",
              " to ".join(dict.fromkeys((found.training[0].name, found.training[-1].name))), found.newest.name)
    if found.missing:
        _log.info("WARNING: no log of %s", ", ".join(found.missing))
    return found
