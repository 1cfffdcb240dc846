"""Where the password of a metadata store comes from when its URI holds none."""

from __future__ import annotations

import os
import pathlib
import re

from models.spec.errors import UserError

# The password itself, or a file that holds it, as a mounted secret does.
PASSWORD = "CTRL_METADATA_PASSWORD"
PASSWORD_FILE = "CTRL_METADATA_PASSWORD_FILE"


def from_environment() -> str | None:
    """The password that `CTRL_METADATA_PASSWORD` is, or that stands in the file of `CTRL_METADATA_PASSWORD_FILE`.

    Raises:
        UserError: the file cannot be read.
    """
    if PASSWORD in os.environ:
        return os.environ[PASSWORD]
    path = os.environ.get(PASSWORD_FILE)
    return None if path is None else _read(path, PASSWORD_FILE).rstrip("\r\n")


def from_mysql(option_file: str | None) -> str | None:
    """The password of MySQL's own programs: `MYSQL_PWD`, or `password` below `[client]` of an option file.

    Args:
        option_file: in place of `~/.my.cnf`, which need not be there.

    Raises:
        UserError: the option file that is named cannot be read.
    """
    if "MYSQL_PWD" in os.environ and option_file is None:
        return os.environ["MYSQL_PWD"]
    path = pathlib.Path(option_file or "~/.my.cnf").expanduser()
    if option_file is None and not path.is_file():
        return None
    # MySQL's files have keys without values and quoted values, which configparser alone does not understand.
    from pymysql.optionfile import Parser

    options = Parser()
    options.read_string(_read(path, "read_default_file"), source=str(path))
    return options.get("client", "password") if options.has_option("client", "password") else None


def from_postgresql(host: str, port: str, database: str, user: str, passfile: str | None) -> str | None:
    """The password of PostgreSQL's own programs: `PGPASSWORD`, or the first line of a password file that matches.

    See https://www.postgresql.org/docs/15/libpq-pgpass.html.

    Args:
        host, port, database, user: what the line must match.
        passfile: in place of that of `PGPASSFILE` or `~/.pgpass`.

    Raises:
        UserError: others may read the file, or it cannot be read.
    """
    if "PGPASSWORD" in os.environ and passfile is None:
        return os.environ["PGPASSWORD"]
    path = pathlib.Path(passfile or os.environ.get("PGPASSFILE") or "~/.pgpass").expanduser()
    if not path.is_file():
        return None
    if path.stat().st_mode & 0o077:
        raise UserError(f"{path}: others may read it, so PostgreSQL's programs pass over it; chmod 600 {path}")
    wanted = ("localhost" if host.startswith("/") else host, port, database, user)
    for line in _read(path, "passfile").splitlines():
        if line.startswith("#"):
            continue
        # Colons and backslashes within a field stand behind a backslash.
        *fields, password = [re.sub(r"\\(.)", r"\1", f) for f in re.findall(r"(?:^|:)((?:\\.|[^:\\])*)", line)]
        if len(fields) == 4 and all(f in ("*", w) for f, w in zip(fields, wanted)):
            return password
    return None


def _read(path: str | os.PathLike, option: str) -> str:
    try:
        return pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{option}: {path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
