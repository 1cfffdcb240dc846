"""The clients with TLS and mutual TLS, and what they say when it fails."""

import asyncio
import pathlib

import grpc
import pytest

from models.spec.errors import UserError
from serving.async_client import AsyncPredictClient
from serving.client import PredictClient
from serving.client_tls import ClientTls
from tests.unit.certificates import Authority
from tests.unit.stub_server import StubServer


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("theirs"), "theirs")


def _server(authority, host=None, mutual=False, days=1):
    certificate, key = map(_read, authority.issue("server", host, days))
    return StubServer(credentials=grpc.ssl_server_credentials(
        [(key, certificate)], _read(authority.certificate) if mutual else None, mutual))


def _read(path):
    return pathlib.Path(path).read_bytes()


def _ask(server, tls):
    # What fails here is tried again for two thirds of the timeout.
    with PredictClient(server.target, "books", timeout=2.0, tls=tls) as client:
        return client.predict([b"abc"]).tolist()


def test_tls(ours):
    with _server(ours) as server:
        assert _ask(server, ClientTls(ours.certificate)) == [3.0]

        async def ask():
            async with AsyncPredictClient(server.target, "books", tls=ClientTls(ours.certificate)) as client:
                return await client.predict([b"abc"])

        assert asyncio.run(ask()).tolist() == [3.0]


def test_mutual_tls(ours):
    with _server(ours, mutual=True) as server:
        assert _ask(server, ClientTls(ours.certificate, *ours.issue("client"))) == [3.0]


def test_a_server_name(ours):
    with _server(ours, "ctr.example.org") as server:
        assert _ask(server, ClientTls(ours.certificate, server_name="ctr.example.org")) == [3.0]
        with pytest.raises(UserError, match=f"{server.target}: the server's certificate is not for the name 127.0.0.1"):
            _ask(server, ClientTls(ours.certificate))
        with pytest.raises(UserError, match="is not for the name other.org"):
            _ask(server, ClientTls(ours.certificate, server_name="other.org"))


def test_a_server_of_another_authority(ours, theirs):
    with _server(ours) as server:
        with pytest.raises(UserError, match="certificate is not trusted .*theirs.pem must hold the certificate"):
            _ask(server, ClientTls(theirs.certificate))
        with pytest.raises(UserError, match="is not trusted .*; give the certificate of the authority that signed it"):
            _ask(server, ClientTls())


def test_an_expired_certificate(ours):
    with _server(ours, days=-1) as server, pytest.raises(UserError, match="not trusted .certificate has expired."):
        _ask(server, ClientTls(ours.certificate))


def test_mutual_tls_without_the_right_certificate(ours, theirs):
    with _server(ours, mutual=True) as server:
        with pytest.raises(UserError, match="client's certificate .mutual TLS., and none is given"):
            _ask(server, ClientTls(ours.certificate))
        with pytest.raises(UserError, match="may not trust the client's certificate .*stranger.pem"):
            _ask(server, ClientTls(ours.certificate, *theirs.issue("stranger")))


def test_only_one_of_the_two_speaks_tls(ours):
    with _server(ours) as server, pytest.raises(UserError, match="it may speak TLS only"):
        _ask(server, None)
    with StubServer() as server, pytest.raises(UserError, match="the server does not speak TLS"):
        _ask(server, ClientTls(ours.certificate))


def test_bad_files_are_told_before_a_call(ours, tmp_path):
    certificate, key = ours.issue("good")
    _, secret = ours.issue("secret", password=b"1234")
    text = tmp_path / "text.pem"
    text.write_text("no certificate\n", encoding="utf-8")
    for arguments, words in [
        ({"ca": tmp_path / "absent.pem"}, "absent.pem: cannot be read: No such file"),
        ({"ca": text}, "text.pem: must hold certificates in PEM"),
        ({"ca": key}, "good.key: must hold certificates in PEM"),
        ({"certificate": certificate}, "good.pem: is a client's certificate without its key"),
        ({"key": key}, "good.key: is a client's key without its certificate"),
        ({"certificate": certificate, "key": tmp_path / "absent.key"}, "absent.key: cannot be read"),
        ({"certificate": text, "key": key}, "text.pem, .*good.key: must be a certificate and its private key"),
        ({"certificate": certificate, "key": text}, "good.pem, .*text.pem: must be a certificate and its private key"),
        ({"certificate": certificate, "key": secret}, "without a password"),
        ({"certificate": ours.issue("other")[0], "key": key}, "good.key: is not the key of .*other.pem"),
    ]:
        with pytest.raises(UserError, match=words):
            ClientTls(**arguments)


def test_an_authority_s_file_may_hold_remarks(ours, tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes("# Autorité\n".encode() + _read(ours.certificate))
    with _server(ours) as server:
        assert _ask(server, ClientTls(bundle)) == [3.0]
