"""Which ML Metadata store a command reads and writes, from one URI."""

from __future__ import annotations

import pathlib
import urllib.parse
from typing import TYPE_CHECKING

from models.spec.errors import UserError
from pipeline import metadata_password, postgresql_client
from pipeline.layout import RunLayout

if TYPE_CHECKING:
    from ml_metadata.proto import metadata_store_pb2

_FORMS = "sqlite:///PATH, mysql://USER@HOST[:PORT]/DATABASE or postgresql://USER@HOST[:PORT]/DATABASE"

# The options after `?`, named as PyMySQL and libpq name them, and ML Metadata's fields for them.
_MYSQL_SSL = {"ssl_ca": "ca", "ssl_capath": "capath", "ssl_cert": "cert", "ssl_key": "key", "ssl_cipher": "cipher"}
_POSTGRESQL_SSL = ("sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert")


def connection_config(uri: str | None, layout: RunLayout) -> metadata_store_pb2.ConnectionConfig:
    """The connection configuration of an ML Metadata store.

    What stands between `/`, `:`, `@` and `?` is percent-encoded; an IPv6 address stands in
    brackets. A SQLite path is relative, or absolute with a fourth slash, as in SQLAlchemy. A
    password that the URI does not hold comes from `CTRL_METADATA_PASSWORD`, the file that
    `CTRL_METADATA_PASSWORD_FILE` names, or where the server's own programs look for one.

    Args:
        uri: `sqlite:///PATH`, `mysql://...` or `postgresql://...`. When None, the store that the runs
            below the layout are recorded in, at first the layout's SQLite file.
        layout: the folders of the pipeline.

    Returns:
        The configuration. Nothing has been connected to.

    Raises:
        UserError: the URI is malformed. The message holds no password.

    Example:

    ```python
    connection_config("mysql://ctrl@db.example.com/mlmd?ssl_ca=/etc/ssl/db.pem", layout).mysql.host  # "db.example.com"
    ```
    """
    from ml_metadata.proto import metadata_store_pb2

    if uri is None and layout.metadata_uri.exists():
        uri = layout.metadata_uri.read_text(encoding="utf-8").strip()
    if uri is None:
        return _sqlite(layout.metadata)
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme not in ("sqlite", "mysql", "postgresql", "postgres"):
        raise _error(f"{scheme}://" if separator else "the value", f"must be {_FORMS}")
    if scheme == "sqlite":
        return _sqlite(_sqlite_path(rest))
    parts = _Parts(uri)
    if scheme == "mysql":
        config = metadata_store_pb2.ConnectionConfig(mysql=_mysql(parts))
    else:
        config = metadata_store_pb2.ConnectionConfig(postgresql=_postgresql(parts))
    parts.check_all_read()
    return config


def describe(config: metadata_store_pb2.ConnectionConfig) -> str:
    """A store's URI as people are shown it, and as two are compared: without user, password and options.

    Args:
        config: what `connection_config` returned.
    """
    kind = config.WhichOneof("config")
    if kind == "sqlite":
        return f"sqlite:///{config.sqlite.filename_uri}"
    server = getattr(config, kind)
    database = urllib.parse.quote(server.database if kind == "mysql" else server.dbname)
    if kind == "mysql" and server.socket or server.host.startswith("/"):
        return f"{kind}:///{database} on {server.socket if kind == 'mysql' else server.host}"
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"{kind}://{host}:{server.port}/{database}"


def without_password(uri: str) -> str:
    """A server's URI without the password, if it holds one."""
    scheme, separator, rest = uri.partition("://")
    login, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{login.partition(':')[0]}{at}{place}"


class _Parts:
    """The parts of a server's URI, decoded and checked; none of its messages holds the password."""

    def __init__(self, uri: str):
        try:
            split = urllib.parse.urlsplit(uri)
            self._port = split.port
            options = urllib.parse.parse_qsl(split.query, keep_blank_values=True, strict_parsing=bool(split.query))
            if split.fragment or "@" in split.path:
                raise ValueError("what stands behind is part of a password")
        except ValueError:
            # urllib's own messages quote parts of the URI, which may be of the password.
            raise _error(uri.partition("://")[0] + "://", "cannot be read: the port must be a number, an IPv6 address "
                         "stands in brackets, options are KEY=VALUE joined by &, and any of / : @ ? # [ ] % in a user "
                         "or password is percent-encoded, as %40 for @") from None
        self._options = dict(options)
        self.name = f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"
        self.host = urllib.parse.unquote(split.hostname or "")
        self.user = urllib.parse.unquote(split.username or "")
        password = split.password
        self.password = metadata_password.from_environment() if password is None else urllib.parse.unquote(password)
        self.database = urllib.parse.unquote(split.path[1:])
        if not self.database or "/" in self.database:
            raise _error(self.name, f"names no database; must be {_FORMS}")
        if not self.user:
            raise _error(self.name, f"names no user; must be {_FORMS}")

    def port(self, default: int) -> int:
        return default if self._port is None else self._port

    def option(self, name: str) -> str | None:
        return self._options.pop(name, None)

    def options(self, names) -> dict[str, str]:
        return {name: self._options.pop(name) for name in names if name in self._options}

    def check_all_read(self) -> None:
        if self._options:
            raise _error(self.name, f"unknown option {', '.join(sorted(self._options))}; docs/metadata.md lists them")


def _sqlite(path: pathlib.Path) -> metadata_store_pb2.ConnectionConfig:
    from ml_metadata.proto import metadata_store_pb2

    return metadata_store_pb2.ConnectionConfig(sqlite=metadata_store_pb2.SqliteMetadataSourceConfig(
        filename_uri=str(path), connection_mode=metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE))


def _sqlite_path(rest: str) -> pathlib.Path:
    path = urllib.parse.unquote(rest[1:])
    if not rest.startswith("/") or not path:
        raise _error(f"sqlite://{rest}", "names no file; must be sqlite:///relative/path or sqlite:////absolute/path")
    return pathlib.Path(path).resolve()


def _mysql(parts: _Parts) -> metadata_store_pb2.MySQLDatabaseConfig:
    from ml_metadata.proto import metadata_store_pb2

    socket = parts.option("unix_socket")
    if socket is not None and parts.host not in ("", "localhost"):
        raise _error(parts.name, "has both a host and a unix_socket; leave one out")
    if socket is None and not parts.host:
        raise _error(parts.name, f"names no host; must be {_FORMS}")
    options = parts.options(_MYSQL_SSL)
    for name, value in options.items():
        if name != "ssl_cipher" and not pathlib.Path(value).exists():
            raise _error(parts.name, f"{name}={value}: there is no such file")
    ssl = {_MYSQL_SSL[name]: value for name, value in options.items()}
    option_file, password = parts.option("read_default_file"), parts.password
    if password is None:
        password = metadata_password.from_mysql(option_file)
    config = metadata_store_pb2.MySQLDatabaseConfig(
        database=parts.database, user=parts.user, password=password or "",
        ssl_options=metadata_store_pb2.MySQLDatabaseConfig.SSLOptions(**ssl) if ssl else None)
    # ML Metadata aborts the process when it is given both.
    if socket is not None:
        config.socket = socket
    else:
        # MySQL's client takes "localhost" for its own idea of where the Unix socket is.
        config.host = "127.0.0.1" if parts.host == "localhost" else parts.host
        config.port = parts.port(3306)
    return config


def _postgresql(parts: _Parts) -> metadata_store_pb2.PostgreSQLDatabaseConfig:
    from ml_metadata.proto import metadata_store_pb2

    # libpq's form for a Unix socket: postgresql://user@/database?host=/folder/of/the/socket.
    host = parts.option("host") or parts.host
    if not host:
        raise _error(parts.name, f"names no host; must be {_FORMS}")
    if tls := parts.options(_POSTGRESQL_SSL):
        raise _error(parts.name, f"option {', '.join(tls)}: ML Metadata's wheel is built without TLS for PostgreSQL; "
                     "docs/metadata.md says how a tunnel encrypts the connection")
    port, passfile, password = str(parts.port(5432)), parts.option("passfile"), parts.password
    if password is None:
        password = metadata_password.from_postgresql(host, port, parts.database, parts.user, passfile)
    # Whoever connects has asked here first.
    postgresql_client.correct()
    # ML Metadata would connect to PostgreSQL's own database first to create this one, which few users may.
    return metadata_store_pb2.PostgreSQLDatabaseConfig(
        host=host, port=port, dbname=parts.database, user=parts.user, password=password or "", skip_db_creation=True)


def _error(where: str, what: str) -> UserError:
    return UserError(f"--metadata {where}: {what}")
