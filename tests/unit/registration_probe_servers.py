# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Real TLS servers on loopback that behave well or badly, and certificates for them."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime as dt
import email.utils
import functools
import ipaddress
import json
import pathlib
import socket
import ssl
import tempfile
import threading
import time
import traceback
import typing as t

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe import (
    Endpoint,
    Identity,
    ProbeError,
    Right,
    probe,
)

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)

Handler = t.Callable[[socket.socket], None]


@dataclasses.dataclass
class Pair:
    """A certificate and its key, as PEM."""

    certificate: str
    key: str


class Authority:
    """Signs certificates; is in Argo CD's words the ca_data."""

    def __init__(self, name: str, begins: dt.datetime = NOW - DAY, ends: dt.datetime = NOW + DAY) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        built = _builder(self.name, self.name, self.key, begins, ends)
        built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.pem = _pem(built.sign(self.key, hashes.SHA256()))

    def issue(
        self,
        *names: str,
        common_name: str = "api",
        begins: dt.datetime = NOW - DAY,
        ends: dt.datetime = NOW + DAY,
    ) -> Pair:
        """A certificate for host names and addresses, for servers and clients."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        built = _builder(subject, self.name, key, begins, ends)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        built = built.add_extension(usage, critical=False)
        if names:
            built = built.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        return Pair(_pem(built.sign(self.key, hashes.SHA256())), _key_pem(key))


def self_signed(*names: str) -> Pair:
    """A certificate that nobody but itself signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alone")])
    built = _builder(subject, subject, key, NOW - DAY, NOW + DAY)
    built = built.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    return Pair(_pem(built.sign(key, hashes.SHA256())), _key_pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, begins: dt.datetime, ends: dt.datetime
) -> x509.CertificateBuilder:
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    return built.serial_number(x509.random_serial_number()).not_valid_before(begins).not_valid_after(ends)


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> str:
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def encrypted(key: str, passphrase: str) -> str:
    """The same key, behind a passphrase."""
    loaded = serialization.load_pem_private_key(key.encode(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    return _key_pem(loaded, passphrase.encode())


def jwt(**claims: t.Any) -> str:
    """A token as service accounts have it, with a signature of no worth."""

    def part(content: t.Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    moments = {name: value.timestamp() if isinstance(value, dt.datetime) else value for name, value in claims.items()}
    return f"{part({'alg': 'RS256'})}.{part(moments)}.Canary0Signature7d1f"


class Server:
    """Listens on loopback, and gives every connection to a handler in a thread of its own."""

    def __init__(self, handler: Handler, host: str = "127.0.0.1") -> None:
        self.connections = 0
        self._handler = handler
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family, backlog=16)
        self.port = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            # As every API server does.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self._open.append(sock)
            threading.Thread(target=self._handle, args=(sock,), daemon=True).start()

    def _handle(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), sock:
            self._handler(sock)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        assert not self._thread.is_alive()


@dataclasses.dataclass
class Request:
    """What a server was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> t.Any:
        """Its body."""
        return json.loads(self.body)


@dataclasses.dataclass
class Reply:
    """What a server answers."""

    status: int = 200
    body: bytes | str | dict[str, t.Any] = b""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    date: dt.datetime | None = NOW
    length: int | None = None
    """Where it lies about it."""

    @property
    def bytes(self) -> bytes:
        """As it goes over the wire."""
        body = self.body
        if isinstance(body, dict):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        headers = {"Content-Length": str(len(body) if self.length is None else self.length), **self.headers}
        if self.date:
            headers["Date"] = email.utils.format_datetime(self.date, usegmt=True)
        lines = [f"HTTP/1.1 {self.status} words of the server's own", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body


Script = t.Callable[[Request], Reply]


def read_request(file: t.BinaryIO) -> Request | None:
    """The next request of a connection, None at its end."""
    first = file.readline().decode().split()
    if len(first) != 3:
        return None
    headers = {}
    while line := file.readline().strip().decode():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Request(first[0], first[1], headers, file.read(int(headers.get("content-length", 0))))


def http(script: Script, requests: list[Request] | None = None) -> Handler:
    """A handler that answers requests until one answer says that it was the last."""

    def handle(sock: socket.socket) -> None:
        with sock.makefile("rb") as file:
            while request := read_request(file):
                if requests is not None:
                    requests.append(request)
                reply = script(request)
                sock.sendall(reply.bytes)
                if reply.headers.get("Connection") == "close" or reply.length is not None:
                    return

    return handle


@functools.lru_cache(maxsize=64)
def _server_context(certificate: str, key: str, clients: str, newest: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = newest
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "pair.pem")
        path.write_text(certificate + key)
        context.load_cert_chain(path)
    return context


def tls(
    pair: Pair,
    handler: Handler,
    clients: str = "",
    newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
    names: list[str | None] | None = None,
) -> Handler:
    """A handler behind TLS; with `clients` it wants certificates that this authority signed."""
    context = _server_context(pair.certificate, pair.key, clients, newest)
    if names is not None:
        context.sni_callback = lambda _sock, name, _context: names.append(name)

    def handle(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as secured:
            handler(secured)

    return handle


def hang(sock: socket.socket) -> None:
    """Read whatever comes, and say nothing."""
    while sock.recv(65536):
        pass


def drip(sock: socket.socket, text: bytes = b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000) -> None:
    """Say something, one byte at a time, often enough that no single read is late."""
    sock.recv(65536)
    for byte in text:
        sock.sendall(bytes([byte]))
        time.sleep(0.05)


def status_of(code: int, reason: str, message: str) -> dict[str, t.Any]:
    """A failure in Kubernetes' words."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message,
        "code": code,
    }


def review(allowed: bool) -> Reply:
    """The answer to a SelfSubjectAccessReview."""
    kind = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
    return Reply(201, {**kind, "status": {"allowed": allowed}})


def proxy(log: list[Request], answer: Reply | None = None) -> Handler:
    """A handler that passes a connection on, or answers instead."""

    def handle(sock: socket.socket) -> None:
        with sock.makefile("rb", 0) as file:
            request = read_request(t.cast("t.BinaryIO", file))
        assert request is not None
        log.append(request)
        if answer:
            sock.sendall(answer.bytes)
            return
        host, _, port = request.path.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port))) as other:
            sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_copy, args=(other, sock), daemon=True)
            back.start()
            _copy(sock, other)
            back.join(5)

    return handle


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


CANARY = "Canary0Bearer4f7c2a"
SECRETS = (CANARY, "Canary0Signature7d1f")


def failure(endpoint: Endpoint, identity: Identity, rights: t.Iterable[Right] = ()) -> ProbeError:
    """The error of a probe that must fail, which must not give away what it was given."""
    try:
        probe(endpoint, identity, rights)
    except ProbeError as error:
        shown = [*traceback.format_exception(error), str(error), repr(error), str(vars(error)), repr(identity)]
        links: list[BaseException | None] = [error.__cause__, error.__context__]
        shown += [repr(link) for link in links]
        secrets = {*SECRETS, identity.token, identity.password, *identity.key.splitlines()[1:-1]} - {""}
        if identity.password:
            secrets.add(base64.b64encode(f"{identity.username}:{identity.password}".encode()).decode())
        for secret in secrets:
            assert secret not in "\n".join(shown)
        return error
    raise AssertionError("the probe did not fail")


def said(error: ProbeError) -> tuple[str, str, str]:
    """What there is to assert of an error: the user's whole sentence, and what machines read."""
    return f"Cluster tokyo: {error}", error.field, error.kind
