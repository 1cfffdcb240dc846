"""The metadata store of a run and the locks that it holds, together."""

from __future__ import annotations

import contextlib
import logging
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.console import LOGGER
from pipeline.layout import RunLayout
from pipeline.metadata_check import open_store
from pipeline.metadata_uri import connection_config
from pipeline.run_lock import RunLock, held

if TYPE_CHECKING:
    from ml_metadata.proto import metadata_store_pb2

_log = logging.getLogger(LOGGER)


@contextlib.contextmanager
def recording(
    layout: RunLayout, uri: str | None = None, *, purpose: str, wait: bool = False,
) -> Iterator[tuple[metadata_store_pb2.ConnectionConfig, RunLock]]:
    """A context in which a process may write below a layout and into its metadata store.

    SQLite has one writer at a time, so a run with it is alone below its root, and with the
    file where several roots share it. On a server runs go side by side; the lock, then
    shared, tells others (and whoever removes files) that they are there.

    Args:
        layout: where the run writes.
        uri: see `connection_config`.
        purpose: what the process does, as `ctrl run`, for the messages of others.
        wait: for the end of those who are in the way.

    Yields:
        The connection configuration, and the lock of the root.

    Raises:
        UserError: others are in the way and `wait` is false, or something is wrong with the store.

    Example:

    ```python
    with recording(layout, "mysql://ctrl@db.example.com/mlmd", purpose="ctrl run") as (connection, lock):
        ...
    ```
    """
    config = connection_config(uri, layout)
    alone = config.WhichOneof("config") == "sqlite"
    paths = [layout.locks / "run"]
    if alone and config.sqlite.filename_uri != str(layout.metadata):
        paths.append(pathlib.Path(config.sqlite.filename_uri + ".lock"))
    layout.locks.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as locks:
        first, *_ = [
            locks.enter_context(held(
                RunLock(path, exclusive=alone, purpose=purpose), wait,
                lambda holder: _log.info("waiting for the end of %s ...", holder)))
            for path in paths]
        yield open_store(uri, layout), first
