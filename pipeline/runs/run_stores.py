"""The stores of all datasets below a root, or the one that a URI names."""

from __future__ import annotations

import datetime
import pathlib

from models.spec.errors import UserError
from pipeline.layout import RunLayout
from pipeline.metadata_uri import connection_config, describe
from pipeline.runs.run import Run
from pipeline.runs.run_names import choose
from pipeline.runs.run_state import RunState
from pipeline.runs.run_store import RunStore


class RunStores:
    """The runs of several ML Metadata stores as if they were in one.

    Args:
        stores: each with the dataset whose runs are meant, or None for all of its runs.

    Attributes:
        stores: without these.

    Example:

    ```python
    stores = RunStores.open(pathlib.Path("ctrl_root"), None)
    [(run.id, run.state) for run in stores.list(limit=5)]
    ```
    """

    def __init__(self, stores: list[tuple[RunStore, str | None]]):
        self._datasets = stores
        self.stores = list({id(store): store for store, _ in stores}.values())

    @classmethod
    def open(cls, root: pathlib.Path, uri: str | None, dataset: str | None = None) -> RunStores:
        """The stores that `--metadata` or else `--root` mean.

        Args:
            root: each dataset below it has a SQLite store of its own, or remembers the one that its runs named.
            uri: of the one store; those of the datasets below the root when None.
            dataset: only its runs are meant; below a root, it is the name of the folder.

        Raises:
            UserError: there is none, or it cannot be opened.
        """
        if uri is not None:
            return cls([(RunStore(connection_config(uri, RunLayout(root))), dataset)])
        layouts = [RunLayout(folder) for folder in sorted(root.glob("*/"))]
        layouts = [layout for layout in layouts if layout.metadata.is_file() or layout.metadata_uri.is_file()]
        if not layouts:
            raise UserError(f"{root}: holds no run's ML Metadata; run `ctrl run` first, or give --root as it was given "
                            "there, or --metadata")
        named = [layout for layout in layouts if dataset in (None, layout.root.name)]
        if not named:
            raise UserError(f"{root}: holds no runs of {dataset}; there are runs of "
                            f"{', '.join(layout.root.name for layout in layouts)}")
        opened: dict[str, RunStore] = {}
        stores = []
        for layout in named:
            connection = connection_config(None, layout)
            name = describe(connection)
            store = opened[name] = opened.get(name) or RunStore(connection)
            # A store that was named may be shared, with other roots too.
            stores.append((store, layout.root.name if layout.metadata_uri.is_file() else None))
        return cls(stores)

    def list(
        self, state: RunState | None = None, verdict: str | None = None, since: datetime.datetime | None = None,
        limit: int | None = None,
    ) -> list[Run]:
        """Runs of all stores, newest first; see `RunStore.list`."""
        found = [run for store, dataset in self._datasets for run in store.list(dataset, state, verdict, since, limit)]
        return sorted(found, key=lambda run: run.started, reverse=True)[:limit]

    def find(self, run_id: str) -> tuple[RunStore, Run]:
        """One run, and the store that it is in.

        Args:
            run_id: its id, or the beginning of one that no other begins with.

        Raises:
            UserError: no run, or several, are meant.
        """
        if len(self.stores) == 1:
            return self.stores[0], self.stores[0].get(run_id)
        stores = {name: store for store in self.stores for name in store.names()}
        name = choose(run_id, sorted(stores, reverse=True))
        return stores[name], stores[name].get(name)
