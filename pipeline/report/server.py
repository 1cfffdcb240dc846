"""The pages of all runs, served on this machine only."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import pathlib
from collections.abc import Callable

from aiohttp import web

from models.spec.errors import UserError
from pipeline.layout import RunLayout
from pipeline.report import page
from pipeline.report.steps import STATES, Picture, state_of
from pipeline.runs.run import Run
from pipeline.runs.run_state import RunState
from pipeline.runs.run_store import RunStore
from pipeline.runs.run_stores import RunStores

_LISTED = 500
_LIVE = ("page.js", "live.js")
# Another site's name may be made to point here: only these are answered.
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_HEADERS = {
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'"}
_log = logging.getLogger("ctrl.ui")


class RunServer:
    """Serves an index of runs, each run's report, and the progress of those that go on.

    `/` lists runs; `/runs/<id>` is a run's progress or leads to its report, `/runs/<id>/report.html`;
    `/api/runs` and `/api/runs/<id>` say the same as JSON. A run is only looked up by its whole id in the
    stores, so that no path of a request becomes one of a file.

    Args:
        open_stores: opens the stores; called for every request, since datasets come and go.
        root: below which reports lie.

    Example:

    ```python
    server = RunServer(lambda: RunStores.open(root, None), root)
    port = await server.start(0)
    ```
    """

    def __init__(self, open_stores: Callable[[], RunStores], root: pathlib.Path):
        self._open_stores, self._root = open_stores, root
        self._runner: web.AppRunner | None = None
        # ML Metadata's store may be used by one thread at a time.
        self._lock = asyncio.Lock()

    async def start(self, port: int) -> int:
        """Listens on loopback; 0 takes a free port. Returns the port.

        Raises:
            OSError: the address is not free.
        """
        app = web.Application(middlewares=[_guarded])
        app.add_routes([
            web.get("/", self._index), web.get("/api/runs", self._runs), web.get("/runs/{id}", self._run),
            web.get("/runs/{id}/report.html", self._report), web.get("/api/runs/{id}", self._progress)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        return self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Takes no new connections and ends."""
        if self._runner:
            await self._runner.cleanup()

    async def _index(self, request: web.Request) -> web.Response:
        runs = await self._read(self._listed)
        return _html(page.render("index.html", scripts=_LIVE, runs=runs, root=self._root, listed=_LISTED))

    async def _runs(self, request: web.Request) -> web.Response:
        return web.json_response([
            {key: run[key] for key in ("id", "state", "word", "seconds", "current")}
            for run in await self._read(self._listed)])

    async def _run(self, request: web.Request) -> web.Response:
        found = await self._read(lambda: self._one(request.match_info["id"]))
        if found["has_report"] and found["run"].state != RunState.RUNNING:
            raise web.HTTPFound(request.path + "/report.html")
        return _html(page.render("progress.html", scripts=_LIVE, states=STATES, **found))

    async def _progress(self, request: web.Request) -> web.Response:
        found = await self._read(lambda: self._one(request.match_info["id"]))
        return web.json_response({
            "state": found["run"].state.value, "seconds": found["run"].seconds, "has_report": found["has_report"],
            "steps": [{"node": s.node, "state": s.state, "colour": STATES[s.state][0], "word": STATES[s.state][1],
                       "seconds": s.seconds} for s in found["picture"].steps]})

    async def _report(self, request: web.Request) -> web.StreamResponse:
        path = await self._read(lambda: self._path_of(*self._find(request.match_info["id"])))
        if not path.is_file():
            raise web.HTTPNotFound(text="This run has no report yet.")
        return web.FileResponse(path, headers={"Content-Type": "text/html; charset=utf-8"})

    async def _read(self, work: Callable):
        async with self._lock:
            return await asyncio.to_thread(work)

    def _listed(self) -> list[dict]:
        stores = self._open_stores()
        return [self._row(stores, run) for run in stores.list(limit=_LISTED)]

    def _row(self, stores: RunStores, run: Run) -> dict:
        current = None
        if run.state == RunState.RUNNING:
            store, _ = stores.find(run.id)
            current = next((c.node for c in store.components(run.id) if c.state == "running"), None)
        colour, word = state_of(run)
        return {"id": run.id, "run": run, "state": run.state.value, "colour": colour, "word": word,
                "seconds": run.seconds, "current": current}

    def _one(self, run_id: str) -> dict:
        store, run = self._find(run_id)
        colour, word = state_of(run)
        return {"run": run, "picture": Picture.of(run, store.components(run.id)), "colour": colour, "word": word,
                "has_report": self._path_of(store, run).is_file()}

    def _find(self, run_id: str) -> tuple[RunStore, Run]:
        """Raises HTTPNotFound where no run has exactly this id."""
        with contextlib.suppress(UserError):
            store, run = self._open_stores().find(run_id)
            if run.id == run_id:
                return store, run
        raise web.HTTPNotFound(text="There is no such run.")

    def _path_of(self, store: RunStore, run: Run) -> pathlib.Path:
        return report_path(store, run, self._root)


def report_path(store: RunStore, run: Run, root: pathlib.Path) -> pathlib.Path:
    """Where a run's report lies: in its dataset's folder below the root, wherever its store is."""
    beside = store.folder is not None and store.folder.resolve().parent == root.resolve()
    return RunLayout(store.folder if beside else root / run.dataset).report(run.id)


@web.middleware
async def _guarded(request: web.Request, handler) -> web.StreamResponse:
    """Answers only to this machine's own names, and says how a page may be used."""
    host = request.host.rpartition(":")[0] if request.host.rpartition(":")[2].isdecimal() else request.host
    if host not in _HOSTS:
        raise web.HTTPForbidden(text="This address is answered under the names of this machine only.")
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers.update(_HEADERS)
        raise
    except Exception:
        # ML Metadata's SQLite may be locked for a moment by the run that writes.
        _log.warning("%s", request.path, exc_info=True)
        raise web.HTTPServiceUnavailable(
            text="The runs could not be read just now; try again.", headers=_HEADERS) from None
    response.headers.update(_HEADERS)
    return response


def _html(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html", charset="utf-8")


async def serve(server: RunServer, port: int, said: Callable[[str], None]) -> None:
    """Serves until it is cancelled.

    Raises:
        UserError: the port is taken.
    """
    try:
        taken = await server.start(port)
    except OSError as error:
        raise UserError(f"--port {port}: cannot listen on 127.0.0.1:{port}: {error.strerror}; --port 0 takes a free "
                        "one") from error
    said(f"runs at http://127.0.0.1:{taken}/ (since {datetime.datetime.now():%H:%M}; Ctrl-C ends)")
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()
