"""The conversation of `ctrl runs gc`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Sequence

from models.spec.errors import UserError
from pipeline.layout import RunLayout
from pipeline.run_lock import RunLock, held
from pipeline.runs.garbage import Garbage, Removable
from pipeline.runs.run_store import RunStore
from pipeline.runs.terminal import Column, show, show_json, table
from pipeline.runs.units import size

_COLUMNS = [
    Column("COMPONENT"), Column("FOLDERS", right=True), Column("SIZE", right=True), Column("OF RUNS", right=True)]


def collect(
    stores: Sequence[RunStore], keep: int, blessed: int | None, dry_run: bool, ask: bool, as_json: bool, wait: bool,
) -> int:
    """Says what nothing needs any more, asks, and removes it.

    Args:
        stores: of the runs.
        keep: see `Garbage.find`.
        blessed: likewise.
        dry_run: only say it.
        ask: whether the user is asked first.
        as_json: print JSON; it cannot ask.
        wait: for the end of runs that are in the way, rather than refuse.

    Returns:
        The exit status: 0, or 1 when something could not be removed.

    Raises:
        UserError: there is nobody to be asked, or a run is in the way.
    """
    # A pipe cannot answer, and must not be taken for a yes.
    if ask and not dry_run and (as_json or not sys.stdin.isatty()):
        raise UserError("gc: give --yes where nobody can be asked, or --dry-run to see what would be removed")
    found = [(store, Garbage.find(store, keep, blessed)) for store in stores]
    if not as_json:
        show(*(part for _, garbage in found for part in _notes(garbage)), *_plan([garbage for _, garbage in found]))
    removed, failed = [], []
    if not dry_run and any(garbage.removable for _, garbage in found):
        if ask and input("Remove them? [y/N] ").strip().lower() not in ("y", "yes"):
            show("nothing was removed")
            return 0
        with _locked((folder for _, garbage in found for folder in garbage.removable), wait):
            for store, garbage in found:
                # A run may have begun, and ended, while the question was read.
                current = garbage.only(Garbage.find(store, keep, blessed))
                for folder, error in current.remove(store):
                    (failed if error else removed).append((folder, error))
    if as_json:
        show_json(_values([garbage for _, garbage in found], dry_run, removed, failed))
    elif not dry_run and removed:
        show(f"removed {_count(len(removed), 'folder')}, {size(sum(folder.bytes for folder, _ in removed))}")
    for folder, error in failed:
        print(f"{folder.folder}: {error.strerror}", file=sys.stderr)
    return int(bool(failed))


@contextlib.contextmanager
def _locked(folders: Iterable[Removable], wait: bool):
    """Keeps runs from starting below the roots that folders are in; they would use again what is being removed."""
    # `<root>/artifacts/<node>/<name>/<execution>`, as `RunLayout` has it.
    roots = {f.folder.parents[3] for f in folders if f.folder.parents[2] == RunLayout(f.folder.parents[3]).artifacts}
    with contextlib.ExitStack() as locks:
        for root in sorted(roots):
            folder = RunLayout(root).locks
            folder.mkdir(exist_ok=True)
            lock = RunLock(folder / "run", exclusive=True, purpose="ctrl runs gc")
            locks.enter_context(held(lock, wait, lambda holder: show(f"waiting for the end of {holder} ...")))
        yield


def _plan(found: Sequence[Garbage]) -> list:
    folders = [folder for garbage in found for folder in garbage.removable]
    if not folders:
        return ["nothing is to be removed"]
    rows = []
    for node in dict.fromkeys(folder.node for folder in folders):
        own = [folder for folder in folders if folder.node == node]
        rows.append([node, f"{len(own):,}", size(sum(f.bytes for f in own)), f"{len({f.run for f in own}):,}"])
    return [table(_COLUMNS, rows), "", f"to be removed: {_count(len(folders), 'folder')} of "
            f"{_count(len({f.run for f in folders}), 'run')}, {size(sum(f.bytes for f in folders))}"]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _notes(garbage: Garbage) -> list[str]:
    notes = [f"run {run} goes on: nothing of its dataset is removed" for run in garbage.going_on]
    if garbage.elsewhere:
        notes.append(f"left alone, since not on this machine or not where TFX puts it: {garbage.elsewhere[0]}" + (
            f" and {len(garbage.elsewhere) - 1:,} more" if len(garbage.elsewhere) > 1 else ""))
    return notes


def _values(found: Sequence[Garbage], dry_run: bool, removed, failed) -> dict:
    return {
        "dry_run": dry_run,
        "going_on": [run for garbage in found for run in garbage.going_on],
        "elsewhere": [uri for garbage in found for uri in garbage.elsewhere],
        "removable": [
            {"folder": str(f.folder), "component": f.node, "run": f.run, "bytes": f.bytes, "artifact": f.artifact}
            for garbage in found for f in garbage.removable],
        "removed": [str(folder.folder) for folder, _ in removed],
        "failed": [{"folder": str(folder.folder), "error": error.strerror} for folder, error in failed],
    }
