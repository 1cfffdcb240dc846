"""The stores of all datasets below a root, or the one that a URI names."""

from __future__ import annotations

import datetime
import pathlib

from models.spec.errors import UserError
from pipeline.layout import RunLayout
from pipeline.metadata_uri import connection_config
from pipeline.runs.run import Run
from pipeline.runs.run_names import choose
from pipeline.runs.run_state import RunState
from pipeline.runs.run_store import RunStore


class RunStores:
    """The runs of several ML Metadata stores as if they were in one.

    Args:
        stores: at least one.
        dataset: only its runs are listed.

    Example:

    ```python
    stores = RunStores.open(pathlib.Path("ctrl_root"), None)
    [(run.id, run.state) for run in stores.list(limit=5)]
    ```
    """

    def __init__(self, stores: list[RunStore], dataset: str | None = None):
        self.stores, self._dataset = stores, dataset

    @classmethod
    def open(cls, root: pathlib.Path, uri: str | None, dataset: str | None = None) -> RunStores:
        """The stores that `--metadata` or else `--root` mean.

        Args:
            root: each dataset below it has a SQLite store of its own.
            uri: of the one store; those below the root when None.
            dataset: only its runs are listed; below a root, it is the name of the folder.

        Raises:
            UserError: there is none, or it cannot be opened.
        """
        if uri is not None:
            return cls([RunStore(connection_config(uri, RunLayout(root)))], dataset)
        files = sorted(root.glob("*/metadata.sqlite"))
        if not files:
            raise UserError(f"{root}: holds no run's ML Metadata; run `ctrl run` first, or give --root as it was given "
                            "there, or --metadata")
        named = [f for f in files if dataset in (None, f.parent.name)]
        if not named:
            raise UserError(f"{root}: holds no runs of {dataset}; there are runs of "
                            f"{', '.join(f.parent.name for f in files)}")
        return cls([RunStore(connection_config(None, RunLayout(f.parent))) for f in named])

    def list(
        self, state: RunState | None = None, verdict: str | None = None, since: datetime.datetime | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """Runs of all stores, newest first; see `RunStore.list`."""
        found = [run for store in self.stores for run in store.list(self._dataset, state, verdict, since, limit)]
        return sorted(found, key=lambda run: run.started, reverse=True)[:limit]

    def find(self, run_id: str) -> tuple[RunStore, Run]:
        """One run, and the store that it is in.

        Args:
            run_id: its id, or the beginning of one that no other begins with.

        Raises:
            UserError: no run, or several, are meant.
        """
        stores = {name: store for store in self.stores for name in store.names()}
        name = choose(run_id, sorted(stores, reverse=True))
        return stores[name], stores[name].get(name)
