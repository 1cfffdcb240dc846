"""Finds what is wrong with a metadata store before a run starts."""

from __future__ import annotations

import os
import pathlib
import random
import time
import urllib.parse
from typing import TYPE_CHECKING

from models.spec.errors import UserError
from pipeline.layout import RunLayout
from pipeline.metadata_uri import connection_config, describe, without_password

if TYPE_CHECKING:
    from ml_metadata.metadata_store import MetadataStore
    from ml_metadata.proto import metadata_store_pb2

# Seconds that a server has to accept a connection, and to answer.
_PATIENCE = 10
# Two that create the tables of an empty database at once get in each other's way: ML Metadata says to try again.
_ATTEMPTS = 10
# Artifacts of a pipeline that are looked at, to see where they are.
_LOOKED_AT = 20
_UPGRADE = "docs/metadata.md says how a store is upgraded"
_PASSWORD_FROM = "the password comes from the URI, CTRL_METADATA_PASSWORD or the file of CTRL_METADATA_PASSWORD_FILE"
# Its own message is empty then.
_NATIVE = "in MySQL 8 the user must be IDENTIFIED WITH mysql_native_password, the only method that its client knows"


def open_store(uri: str | None, layout: RunLayout) -> metadata_store_pb2.ConnectionConfig:
    """The connection configuration of the store of a layout's runs, which is there and can be written.

    The first time, ML Metadata creates its tables, and the layout remembers the store: the
    artifacts below it belong to that store, whose ids are in their paths.

    Args:
        uri: see `connection_config`.
        layout: of the runs. Its folder exists.

    Raises:
        UserError: the URI is malformed; its server is not reached, or refuses user and password;
            there is no such database; its tables are those of another version of ML Metadata;
            the artifacts below the layout belong to another store, or the store's artifacts of
            this pipeline are elsewhere.

    Example:

    ```python
    connection = open_store("postgresql://ctrl@db.example.com/mlmd", layout)
    ```
    """
    config = connection_config(uri, layout)
    _check_own(config, layout)
    checks = {"sqlite": _check_sqlite, "mysql": _check_mysql, "postgresql": _check_postgresql}
    checks[config.WhichOneof("config")](config)
    _check_pipeline(_create(config), config, layout)
    if uri is not None and config.sqlite.filename_uri != str(layout.metadata):
        # Another run may be reading it.
        draft = layout.metadata_uri.with_name(f".{layout.metadata_uri.name}.{os.getpid()}")
        draft.write_text(_absolute(uri, config) + "\n", encoding="utf-8")
        os.replace(draft, layout.metadata_uri)
    return config


def _absolute(uri: str, config) -> str:
    """A URI that means the same from every folder, and holds no password."""
    if config.HasField("sqlite"):
        return f"sqlite:///{urllib.parse.quote(config.sqlite.filename_uri)}"
    return without_password(uri)


def _check_own(config, layout: RunLayout) -> None:
    """The layout's artifacts are of this store."""
    own = describe(connection_config(None, layout))
    if describe(config) == own or not (layout.metadata_uri.exists() or layout.metadata.exists()):
        return
    remedy = (f"if that store was moved there, delete {layout.metadata_uri}" if layout.metadata_uri.exists() else
              f"if that file was copied there, move {layout.metadata} away")
    raise UserError(f"--metadata {describe(config)}: the runs in {layout.root} are recorded in {own}; leave --metadata "
                    f"out, or give another --root; {remedy}")


def _check_sqlite(config) -> None:
    path = pathlib.Path(config.sqlite.filename_uri)
    if not path.parent.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK) or path.is_dir():
        raise UserError(f"--metadata {describe(config)}: the file cannot be written; its folder must exist")
    if path.exists() and path.stat().st_size:
        with open(path, "rb") as stream:
            if stream.read(16) != b"SQLite format 3\0":
                raise UserError(f"--metadata {describe(config)}: is no SQLite database")


def _check_mysql(config) -> None:
    import pymysql

    server = config.mysql
    place = {"unix_socket": server.socket} if server.socket else {"host": server.host, "port": server.port}
    # ML Metadata's client does not check the certificate, and fails where it is told to.
    ssl = {field.name: value for field, value in server.ssl_options.ListFields()}
    try:
        pymysql.connect(
            **place, user=server.user, password=server.password, database=server.database,
            connect_timeout=_PATIENCE, read_timeout=_PATIENCE, write_timeout=_PATIENCE,
            ssl={**ssl, "check_hostname": False} if ssl else None, ssl_disabled=not ssl).close()
    except (pymysql.err.MySQLError, OSError, RuntimeError) as error:
        code, reason = error.args if len(error.args) == 2 else (None, error)
        # An unknown database, or one that this user may not see.
        if code in (1049, 1044):
            _raise(config, reason, f"the administrator creates it, in `mysql`: CREATE DATABASE `{server.database}`; "
                   f"GRANT ALL ON `{server.database}`.* TO '{server.user}'@'%';")
        if code == 1045:
            _raise(config, reason, f"{_PASSWORD_FROM}; a user who is let in with TLS only needs ?ssl_ca=FILE")
        _raise(config, reason, "is a MySQL or MariaDB server there, and may this machine reach it?")


def _check_postgresql(config) -> None:
    import pg8000.dbapi

    server = config.postgresql
    port = int(server.port)
    place = {"unix_sock": f"{server.host}/.s.PGSQL.{port}"} if server.host.startswith("/") else {
        "host": server.host, "port": port}
    try:
        pg8000.dbapi.connect(
            server.user, **place, password=server.password, database=server.dbname, timeout=_PATIENCE).close()
    except pg8000.dbapi.DatabaseError as error:
        answer = error.args[0] if isinstance(error.args[0], dict) else {"M": error}
        if answer.get("C") == "3D000":
            _raise(config, answer["M"], f"create it: createdb -h {server.host} -p {port} -U postgres -O {server.user} "
                   f"{server.dbname}")
        _raise(config, answer["M"], _PASSWORD_FROM if str(answer.get("C", "")).startswith("28") else "")
    # What pg8000 does with the answer of a server of another kind, too.
    except (pg8000.dbapi.Error, OSError, LookupError, ValueError) as error:
        reason = error.__cause__ or (f"unexpected answer {error}" if isinstance(error, LookupError) else error)
        _raise(config, reason, "is a PostgreSQL server there, and may this machine reach it?")


def _create(config) -> MetadataStore:
    """The store, with its tables."""
    import ml_metadata

    for attempt in range(_ATTEMPTS):
        try:
            return ml_metadata.MetadataStore(config)
        except RuntimeError as error:
            reason = str(error)
            if "is older than library version" in reason or "is greater than library version" in reason:
                _raise(config, reason.partition(".")[0], _UPGRADE)
            if attempt == _ATTEMPTS - 1:
                remedy = _NATIVE if config.HasField("mysql") else ""
                _raise(config, f"ML Metadata cannot use it: {reason.strip()}", remedy)
            time.sleep(random.random())


def _check_pipeline(store: MetadataStore, config, layout: RunLayout) -> None:
    """The artifacts of this pipeline that the store knows are below the layout."""
    from ml_metadata import ListOptions

    context = store.get_context_by_type_and_name("pipeline", layout.root.name)
    if context is None:
        return
    uris = [a.uri for a in store.get_artifacts_by_context(context.id, list_options=ListOptions(limit=_LOOKED_AT))]
    # Some may be imported from elsewhere.
    if uris and not any(uri.startswith(f"{layout.artifacts}{os.sep}") for uri in uris):
        raise UserError(
            f"--metadata {describe(config)}: knows runs of a pipeline {layout.root.name} whose artifacts are not in "
            f"{layout.artifacts}, as {uris[0]}; runs of one pipeline need the same --root, on a file system that they "
            "share; give another database, or the dataset another name; a root that was moved must be moved back")


def _raise(config, reason, remedy: str) -> None:
    # Nothing of the drivers' own exceptions goes on: their frames hold the password.
    raise UserError(f"--metadata {describe(config)}: {str(reason).strip()}{'; ' if remedy else ''}{remedy}") from None
