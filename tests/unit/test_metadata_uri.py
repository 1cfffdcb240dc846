"""Which store a URI names, and where its password comes from."""

import pathlib

import pytest
from ml_metadata.proto import metadata_store_pb2

from models.spec.errors import UserError
from pipeline.layout import RunLayout
from pipeline.metadata_uri import connection_config, describe, without_password


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
    for name in ("CTRL_METADATA_PASSWORD", "CTRL_METADATA_PASSWORD_FILE", "PGPASSWORD", "PGPASSFILE", "MYSQL_PWD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def layout(tmp_path):
    return RunLayout(tmp_path / "root" / "sample")


def test_without_a_uri_it_is_the_file_below_the_root(layout):
    config = connection_config(None, layout)
    assert config.sqlite.filename_uri == str(layout.root / "metadata.sqlite")
    assert config.sqlite.connection_mode == metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE


@pytest.mark.parametrize(("uri", "path"), [
    ("sqlite:///runs.db", "{cwd}/runs.db"),
    ("sqlite:////var/lib/ctrl/runs.db", "/var/lib/ctrl/runs.db"),
    ("sqlite:////var/lib/my%20runs%3F.db", "/var/lib/my runs?.db"),
])
def test_a_sqlite_path_is_relative_or_has_a_fourth_slash(uri, path, layout):
    assert connection_config(uri, layout).sqlite.filename_uri == path.format(cwd=pathlib.Path.cwd())


def test_a_mysql_uri(layout):
    mysql = connection_config("mysql://us%40er:p%2Fa%3As%25s@db.example.com/ml%2Dmd", layout).mysql
    assert (mysql.host, mysql.port, mysql.user, mysql.password, mysql.database) == (
        "db.example.com", 3306, "us@er", "p/a:s%s", "ml-md")
    assert not mysql.HasField("ssl_options") and not mysql.socket


def test_mysql_over_a_socket_has_no_host(layout):
    # ML Metadata aborts the process when it gets both.
    mysql = connection_config("mysql://ctrl@localhost/mlmd?unix_socket=/run/mysqld/mysqld.sock", layout).mysql
    assert mysql.socket == "/run/mysqld/mysqld.sock"
    assert not mysql.HasField("host") and not mysql.HasField("port")


def test_localhost_is_reached_over_tcp(layout):
    assert connection_config("mysql://ctrl@localhost:3307/mlmd", layout).mysql.host == "127.0.0.1"


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_an_ipv6_host(scheme, layout):
    server = getattr(connection_config(f"{scheme}://ctrl@[2001:db8::1]:7000/mlmd", layout), scheme)
    assert (server.host, int(server.port)) == ("2001:db8::1", 7000)


def test_tls_of_mysql(layout, tmp_path):
    (tmp_path / "ca.pem").touch()
    config = connection_config(
        f"mysql://ctrl@db/mlmd?ssl_ca={tmp_path}/ca.pem&ssl_cipher=AES256-SHA", layout)
    assert (config.mysql.ssl_options.ca, config.mysql.ssl_options.cipher) == (f"{tmp_path}/ca.pem", "AES256-SHA")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_postgresql_uri(scheme, layout):
    server = connection_config(f"{scheme}://ctrl:secret@db/mlmd", layout).postgresql
    assert (server.host, server.port, server.user, server.password, server.dbname, server.skip_db_creation) == (
        "db", "5432", "ctrl", "secret", "mlmd", True)


def test_postgresql_over_a_socket(layout):
    server = connection_config("postgresql://ctrl@:5433/mlmd?host=/run/postgresql", layout).postgresql
    assert (server.host, server.port) == ("/run/postgresql", "5433")


@pytest.mark.parametrize(("uri", "message"), [
    ("nonsense", "must be sqlite:///PATH"),
    ("redis://host/1", "redis://: must be sqlite:///PATH"),
    ("sqlite://", "names no file"),
    ("sqlite://runs.db", "names no file; must be sqlite:///relative/path"),
    ("mysql://ctrl:secret@db", "mysql://db: names no database"),
    ("mysql://ctrl:secret@db/", "mysql://db/: names no database"),
    ("mysql://db/mlmd", "names no user"),
    ("mysql://ctrl:secret@/mlmd", "names no host"),
    ("postgresql://ctrl:secret@/mlmd", "names no host"),
    ("mysql://ctrl:secret@db:port/mlmd", "the port must be a number"),
    ("mysql://ctrl:secret@db:70000/mlmd", "the port must be a number"),
    ("mysql://ctrl:secret@[::1/mlmd", "stands in brackets"),
    ("mysql://ctrl:secret#@db/mlmd", "percent-encoded"),
    ("mysql://ctrl:1/secret@db/mlmd", "percent-encoded"),
    ("mysql://ctrl:1?secret@db/mlmd", "percent-encoded"),
    ("mysql://ctrl:secret@db/mlmd?ssl_ca=/no/such.pem", "ssl_ca=/no/such.pem: there is no such file"),
    ("mysql://ctrl:secret@db/mlmd?charset=utf8", "unknown option charset"),
    ("mysql://ctrl:secret@db/mlmd?unix_socket=/run/my.sock", "both a host and a unix_socket"),
    ("postgresql://ctrl:secret@db/mlmd?sslmode=require", "without TLS for PostgreSQL"),
])
def test_a_malformed_uri_is_told_without_the_password(uri, message, layout):
    with pytest.raises(UserError) as error:
        connection_config(uri, layout)
    assert str(error.value).startswith("--metadata ") and message in str(error.value)
    assert "secret" not in str(error.value) and error.value.__cause__ is None


def test_the_password_of_the_uri_comes_first(layout, monkeypatch):
    monkeypatch.setenv("CTRL_METADATA_PASSWORD", "other")
    assert connection_config("mysql://ctrl:own@db/mlmd", layout).mysql.password == "own"
    assert connection_config("mysql://ctrl@db/mlmd", layout).mysql.password == "other"
    assert connection_config("postgresql://ctrl@db/mlmd", layout).postgresql.password == "other"


def test_the_password_of_a_mounted_secret(layout, monkeypatch, tmp_path):
    monkeypatch.setenv("CTRL_METADATA_PASSWORD_FILE", str(tmp_path / "secret"))
    with pytest.raises(UserError, match="CTRL_METADATA_PASSWORD_FILE: .*secret: cannot be read: No such file"):
        connection_config("mysql://ctrl@db/mlmd", layout)
    (tmp_path / "secret").write_text(" sp ace \n")
    assert connection_config("mysql://ctrl@db/mlmd", layout).mysql.password == " sp ace "


def test_the_password_of_mysqls_option_file(layout, tmp_path):
    (tmp_path / ".my.cnf").write_text("[mysqldump]\nquick\npassword=no\n[client]\nuser=x\npassword='y e s%'\n")
    assert connection_config("mysql://ctrl@db/mlmd", layout).mysql.password == "y e s%"
    (tmp_path / "other.cnf").write_text("[client]\npassword=other\n")
    uri = f"mysql://ctrl@db/mlmd?read_default_file={tmp_path}/other.cnf"
    assert connection_config(uri, layout).mysql.password == "other"


def test_the_password_of_postgresqls_password_file(layout, tmp_path):
    file = tmp_path / ".pgpass"
    file.write_text("# host:port:database:user:password\ndb:5433:*:ctrl:port\n"
                    "db:*:ml\\:md:ctrl:a\\:b\\\\c\n*:*:*:*:any\n")
    file.chmod(0o600)
    for uri, password in (
        ("postgresql://ctrl@db:5433/mlmd", "port"), ("postgresql://ctrl@db/ml%3Amd", r"a:b\c"),
        ("postgresql://ctrl@elsewhere/mlmd", "any")):
        assert connection_config(uri, layout).postgresql.password == password
    file.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        connection_config("postgresql://ctrl@db/mlmd", layout)


@pytest.mark.parametrize(("uri", "shown"), [
    ("mysql://ctrl:secret@db/mlmd", "mysql://db:3306/mlmd"),
    ("mysql://ctrl:secret@localhost:3307/mlmd", "mysql://127.0.0.1:3307/mlmd"),
    ("postgres://ctrl:secret@[::1]/mlmd", "postgresql://[::1]:5432/mlmd"),
    ("postgresql://ctrl:secret@/mlmd?host=/run/pg", "postgresql:///mlmd on /run/pg"),
    ("mysql://ctrl:secret@/mlmd?unix_socket=/run/my.sock", "mysql:///mlmd on /run/my.sock"),
    ("sqlite:////var/runs.db", "sqlite:////var/runs.db"),
])
def test_a_store_is_shown_without_user_and_password(uri, shown, layout):
    assert describe(connection_config(uri, layout)) == shown


def test_a_named_store_is_remembered(layout):
    layout.root.mkdir(parents=True)
    layout.metadata_uri.write_text("mysql://ctrl@db/mlmd\n")
    assert connection_config(None, layout).mysql.host == "db"


@pytest.mark.parametrize("uri", ["mysql://ctrl:s:ecret@db/mlmd?ssl_ca=/ca", "mysql://ctrl:secret@[::1]:33/mlmd"])
def test_a_uri_without_its_password(uri):
    assert without_password(uri) == uri.replace(":s:ecret", "").replace(":secret", "")
