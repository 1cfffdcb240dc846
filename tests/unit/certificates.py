"""Certificates for the tests of encrypted servers and clients."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Authority:
    """Signs certificates; all are files in one folder.

    Args:
        folder: where they are written.
        name: of the authority; its own certificate is `<name>.pem`.
    """

    def __init__(self, folder, name="authority"):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = self._signed(self._name, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=0))
        self.certificate = self._write(f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name, host=None, days=1, password=None):
        """Files of a certificate and of its key.

        Args:
            name: of the files and of the subject.
            host: the domain that it is for; 127.0.0.1 and `localhost` when None.
            days: from now to its end.
            password: of the key.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName(
            [x509.DNSName(host)] if host else
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = self._signed(subject, key.public_key(), names, days)
        encryption = (
            serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption())
        return (
            self._write(f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM)),
            self._write(f"{name}.key", key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)))

    def _signed(self, subject, public_key, extension, days=1):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(public_key)
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=9))
            .not_valid_after(now + datetime.timedelta(days=days)).add_extension(extension, critical=False)
            .sign(self._key, hashes.SHA256()))

    def _write(self, name, data):
        path = self._folder / name
        path.write_bytes(data)
        return str(path)
