"""A store of many runs, made of one by SQL: through ML Metadata it would take minutes."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3

# Tables with their columns that are shifted, by the table whose ids they hold.
_TABLES = {
    "Artifact": {"id": "Artifact"},
    "ArtifactProperty": {"artifact_id": "Artifact"},
    "Execution": {"id": "Execution"},
    "ExecutionProperty": {"execution_id": "Execution"},
    "Event": {"id": "Event", "artifact_id": "Artifact", "execution_id": "Execution"},
    "EventPath": {"event_id": "Event"},
    "Context": {"id": "Context"},
    "ContextProperty": {"context_id": "Context"},
    "Association": {"id": "Association", "context_id": "Context", "execution_id": "Execution"},
    "Attribution": {"id": "Attribution", "context_id": "Context", "artifact_id": "Artifact"},
}
_OF_RUNS = "SELECT Context.id FROM Context JOIN Type ON Type.id = type_id WHERE Type.name = 'pipeline_run'"


def multiply(path: pathlib.Path, times: int) -> None:
    """Adds copies of everything in a store, each with runs, executions and artifacts of its own.

    The copies share the contexts of pipeline and nodes with the original, as runs do. A copy's run has
    `-<number>` at the end of its name.

    Args:
        path: a SQLite file that ML Metadata has made.
        times: copies.
    """
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        size = {table: database.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {table}").fetchone()[0]
                for table in ("Artifact", "Execution", "Event", "Context", "Association", "Attribution")}
        database.execute("CREATE TEMP TABLE copy AS WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n "
                         f"WHERE n < {times}) SELECT n FROM n")
        database.execute(f"CREATE TEMP TABLE of_runs AS {_OF_RUNS}")
        for table, shifted in _TABLES.items():
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            values = [_value(table, column, shifted, size) for column in columns]
            own = next((c for c in ("id", "context_id") if shifted.get(c) == "Context"), None)
            only = f" WHERE {own} IN (SELECT id FROM of_runs)" if table in ("Context", "ContextProperty") else ""
            database.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM "
                f"(SELECT * FROM {table}{only}), copy")


def _value(table: str, column: str, shifted: dict[str, str], size: dict[str, int]) -> str:
    if column in shifted:
        moved = f"{column} + n * {size[shifted[column]]}"
        if shifted[column] == "Context" and table not in ("Context", "ContextProperty"):
            return f"CASE WHEN {column} IN (SELECT id FROM of_runs) THEN {moved} ELSE {column} END"
        return moved
    return f"{column} || '-' || n" if column == "name" and table in ("Context", "Execution") else column
