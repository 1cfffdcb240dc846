"""An encrypted server, and one that wants its clients' certificates."""

import ssl
import urllib.request

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from models.spec.errors import UserError
from serving.server_tls import ServerTls
from tests.unit import served_model
from tests.unit.certificates import Authority


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Certificates of a server, a client and a stranger, by name."""
    folder = tmp_path_factory.mktemp("certificates")
    authority, other = Authority(folder), Authority(folder, "other")
    return {"ca": authority.certificate, "other ca": other.certificate, "server": authority.issue("server"),
            "client": authority.issue("client"), "stranger": other.issue("stranger")}


@pytest.fixture(scope="module")
def base_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("books")
    served_model.export(folder / "1", 0.0)
    return folder


@pytest.fixture(scope="module", params=["one way", "mutual"])
def server(request, files, base_path):
    mutual = request.param == "mutual"
    server = served_model.server(
        base_path, tls=ServerTls(*files["server"], client_ca=files["ca"] if mutual else None), rest_port=0)
    server.port, server.mutual = server.start(), mutual
    yield server
    server.stop()


def _read(path):
    with open(path, "rb") as stream:
        return stream.read()


def _grpc(server, authority, client=None):
    """The status that a health check ends with."""
    certificate, key = map(_read, client) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(_read(authority), key, certificate)
    with grpc.secure_channel(f"127.0.0.1:{server.port}", credentials) as channel:
        try:
            health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        except grpc.RpcError as error:
            return error.code().name
    return "OK"


def _rest(server, authority, client=None):
    """The status of the model over HTTPS, or the error's name."""
    context = ssl.create_default_context(cafile=authority)
    if client:
        context.load_cert_chain(*client)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(f"https://127.0.0.1:{server.rest_port}/v1/models/books", timeout=10) as answer:
            return answer.status
    except OSError as error:
        return type(error).__name__


def test_who_is_let_in(server, files):
    assert _grpc(server, files["ca"], files["client"]) == "OK"
    assert _rest(server, files["ca"], files["client"]) == 200
    # Without a certificate, or with another authority's, only where it is not mutual.
    for client in (None, files["stranger"]):
        assert _grpc(server, files["ca"], client) == ("UNAVAILABLE" if server.mutual else "OK")
        assert (_rest(server, files["ca"], client) == 200) is not server.mutual
    # The client checks the server.
    assert _grpc(server, files["other ca"], files["client"]) == "UNAVAILABLE"
    assert _rest(server, files["other ca"], files["client"]) == "URLError"


def test_without_encryption_nothing_is_answered(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel, pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
    assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def test_what_is_wrong_with_the_files_is_said_at_once(files, tmp_path):
    certificate, key = files["server"]
    absent = str(tmp_path / "absent.pem")
    with pytest.raises(UserError, match="absent.pem: cannot be read: No such file"):
        ServerTls(absent, key)
    with pytest.raises(UserError, match="absent.pem: cannot be read: No such file"):
        ServerTls(certificate, key, client_ca=absent)
    with pytest.raises(UserError, match="server.pem and .*client.key: are no PEM certificate and its unencrypted"):
        ServerTls(certificate, files["client"][1])
    (tmp_path / "rubbish").write_text("rubbish")
    with pytest.raises(UserError, match="rubbish: holds no PEM certificates"):
        ServerTls(certificate, key, client_ca=str(tmp_path / "rubbish"))
