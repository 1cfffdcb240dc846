"""MariaDB and PostgreSQL as Debian packages them, started for a test in a folder of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest

from tests.unit.certificates import Authority

USER, PASSWORD = "ctrl", "s3cr:et/@#%"
# A MySQL user who is let in with TLS only.
TLS_USER = "ctrl_tls"
# Debian's own programs first: another `postgres` on the PATH may be a wrapper.
_PATH = os.pathsep.join(
    [*sorted(glob.glob("/usr/lib/postgresql/*/bin"))[::-1], "/usr/sbin", os.environ.get("PATH", "")])
_PATIENCE = 60


@dataclasses.dataclass(frozen=True)
class DatabaseServer:
    """A running server.

    Attributes:
        scheme: `mysql` or `postgresql`.
        port: on 127.0.0.1.
        socket: its Unix socket, as the URI of its scheme wants it.
        client: command and arguments that run SQL as the administrator; the statements come last.
        certificate: file of the authority that signed the server's certificate, where it has one.
    """

    scheme: str
    port: int
    socket: str
    client: tuple[str, ...]
    certificate: str | None = None

    def uri(self, database: str, user: str = USER, host: str = "127.0.0.1") -> str:
        """A URI without a password."""
        return f"{self.scheme}://{user}@{host}:{self.port}/{database}"

    def sql(self, statements: str) -> str:
        """Runs statements as the administrator; returns what was printed."""
        return subprocess.run([*self.client, statements], check=True, capture_output=True, text=True).stdout

    def create_database(self, name: str) -> None:
        """Creates an empty database of `USER`'s."""
        if self.scheme == "mysql":
            self.sql(f"CREATE DATABASE {name}; GRANT ALL ON {name}.* TO {USER}@'%', {TLS_USER}@'%'")
        else:
            self.sql(f"CREATE DATABASE {name} OWNER {USER}")


def start(scheme: str):
    """A context with the server of a scheme; skips the test where its package is absent."""
    return _maria_db() if scheme == "mysql" else _postgresql()


@contextlib.contextmanager
def _maria_db() -> Iterator[DatabaseServer]:
    install, server, client = _programs("mariadb-server", "mariadb-install-db", "mariadbd", "mariadb")
    with _folder("mysql") as (folder, user):
        data, address, port = folder / "data", folder / "mariadb.sock", _free_port()
        setup = folder / "setup.sql"
        setup.write_text(f"CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}';\n"
                         f"CREATE USER {TLS_USER}@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL;\n", encoding="utf-8")
        authority = Authority(folder)
        certificate, key = authority.issue("server")
        for file in (setup, key, certificate):
            os.chmod(file, 0o644)
        subprocess.run([install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
                        "--skip-test-db", *([f"--user={user}"] if user else [])], check=True, capture_output=True)
        command = [server, "--no-defaults", f"--datadir={data}", f"--socket={address}", f"--port={port}",
                   "--bind-address=127.0.0.1", f"--pid-file={folder / 'pid'}", f"--init-file={setup}",
                   f"--ssl-cert={certificate}", f"--ssl-key={key}",
                   # What a test writes need not outlive the machine.
                   "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M"]
        found = DatabaseServer("mysql", port, str(address), (
            client, "--no-defaults", f"--socket={address}", "--user=root", "--skip-column-names", "--execute"),
            authority.certificate)
        with _running(command, user, folder, found, "SELECT user FROM mysql.user WHERE user = 'ctrl'"):
            yield found


@contextlib.contextmanager
def _postgresql() -> Iterator[DatabaseServer]:
    initialise, server, client = _programs("postgresql", "initdb", "postgres", "psql")
    with _folder("postgres") as (folder, user):
        data, port = folder / "data", _free_port()
        # Passwords over TCP as in production; the administrator comes in by the Unix socket.
        subprocess.run([initialise, "-D", data, "-U", "postgres", "--auth-local=trust", "--auth-host=scram-sha-256",
                        "--no-sync", "--encoding=UTF8"], check=True, capture_output=True, user=user, cwd=folder)
        command = [server, "-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1", "-F"]
        found = DatabaseServer("postgresql", port, str(folder), (
            client, "-h", str(folder), "-p", str(port), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-Atc"))
        with _running(command, user, folder, found, "SELECT 1"):
            found.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
            yield found


def _programs(package: str, *names: str) -> list[str]:
    """Paths of programs."""
    found = [shutil.which(name, path=_PATH) for name in names]
    if None in found:
        pytest.skip(f"wants Debian's package {package}: {names[found.index(None)]} is not there")
    return found


@contextlib.contextmanager
def _folder(account: str) -> Iterator[tuple[pathlib.Path, str | None]]:
    """A folder, and the account that a server must run as, since neither runs as root."""
    # Not below pytest's, which only the account of the tests may enter; and a socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="ctrl-") as name:
        user = None
        if os.geteuid() == 0:
            try:
                user = pwd.getpwnam(account).pw_name
            except KeyError:
                pytest.skip(f"wants the account {account}, since the server does not run as root")
            shutil.chown(name, user)
        yield pathlib.Path(name), user


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@contextlib.contextmanager
def _running(command, user: str | None, folder: pathlib.Path, server: DatabaseServer, ready: str) -> Iterator[None]:
    """Starts a server and waits until a query has an answer; ends it with the context."""
    log = folder / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, user=user, cwd=folder)
    try:
        until = time.monotonic() + _PATIENCE
        while not _answers(server, ready):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} did not start: {log.read_text(errors='replace')}")
            time.sleep(0.1)
        yield
    finally:
        # SIGINT: PostgreSQL's fast shutdown. MariaDB ends by SIGTERM.
        (process.terminate if server.scheme == "mysql" else lambda: process.send_signal(2))()
        process.wait(timeout=_PATIENCE)


def _answers(server: DatabaseServer, query: str) -> bool:
    try:
        return bool(server.sql(query).strip())
    except subprocess.CalledProcessError:
        return False
