# Copyright: hubspoke.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From this machine to the API server's port: names, TCP and the proxy, all under one deadline."""

from __future__ import annotations

import http
import http.client
import io
import socket
import ssl
import time
import typing as t

from ansible_collections.hubspoke.bootstrap.plugins.module_utils._registration_probe_types import (
    Address,
    Endpoint,
    ProbeError,
)

_SHORTEST_TRY = 2.0
"""Seconds for one of several addresses of a name, so that a dead one leaves time for the others."""


class Wire:
    """A socket as http.client wants one: nothing takes longer than was allowed, however slowly it drips.

    What is sent waits until an answer is read: headers and body then leave in one packet.
    """

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.sock = sock
        self.closed = False
        self._waiting = bytearray()
        self.allow(seconds)

    def allow(self, seconds: float) -> None:
        """Begin a new span."""
        self._deadline = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left.

        :raises TimeoutError: none.
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline")
        return left

    def sendall(self, data: bytes) -> None:
        """Keep it until `makefile`'s first read."""
        self._waiting += data

    def flush(self) -> None:
        """Send what waits."""
        if self._waiting:
            data, self._waiting = bytes(self._waiting), bytearray()
            self.sock.settimeout(self.left())
            self.sock.sendall(data)

    def makefile(self, mode: str) -> t.BinaryIO:
        """What http.client reads an answer from."""
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """The other side will end this connection; the answer is yet to be read, so it ends with `end`."""
        self.closed = True

    def end(self) -> None:
        """Close the socket."""
        self.closed = True
        self.sock.close()


class _Reader(io.RawIOBase):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        self._wire.flush()
        self._wire.sock.settimeout(self._wire.left())
        return self._wire.sock.recv_into(buffer)


def connect(endpoint: Endpoint) -> Wire:
    """A connection to the port, through the proxy where there is one; what is left of the time stays on it.

    :raises ProbeError: none could be made.
    """
    started, reached, proxy = time.monotonic(), endpoint.reached, endpoint.proxied
    try:
        sock = _dial(proxy or reached, endpoint.timeout)
    except (OSError, UnicodeError) as error:
        raise (_no_proxy if proxy else _no_connection)(endpoint, proxy or reached, error) from None
    wire = Wire(sock, endpoint.timeout - (time.monotonic() - started))
    if proxy:
        try:
            _tunnel(wire, endpoint, proxy, reached)
        except BaseException:
            wire.end()
            raise
    return wire


def _dial(address: Address, seconds: float) -> socket.socket:
    """Connect to the first address of a name that takes it. Names are as slow as the system's resolver."""
    deadline = time.monotonic() + seconds
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    errors: list[OSError] = []
    for index, (family, kind, protocol, _, target) in enumerate(found):
        left = deadline - time.monotonic()
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(max(min(left, max(left / (len(found) - index), _SHORTEST_TRY)), 0.001))
            sock.connect(target)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            if sock:
                sock.close()
            errors.append(error)
    # One that refuses tells more than one of a family for which there is no route here.
    raise next((e for e in errors if isinstance(e, ConnectionRefusedError | TimeoutError)), errors[0])


def _no_connection(endpoint: Endpoint, address: Address, error: Exception) -> ProbeError:
    shown = endpoint.shown
    if isinstance(error, socket.gaierror | UnicodeError):
        return ProbeError(
            f"the name {address.host} cannot be resolved on this machine ({_reason(error)}).",
            "Correct server, or make the name known here.",
            field="server",
            kind="dns",
        )
    if isinstance(error, ConnectionRefusedError):
        return ProbeError(
            f"nothing listens at {shown} (connection refused).",
            "Start the API server, or correct host and port of server.",
            field="server",
            kind="refused",
        )
    if isinstance(error, TimeoutError):
        return ProbeError(
            f"no connection to {shown} within {endpoint.timeout:g} s.",
            "Correct server, or let a firewall between here and there pass the connection.",
            field="server",
            kind="timeout",
        )
    return ProbeError(
        f"{shown} cannot be reached from this machine ({_reason(error)}).",
        "Correct server, or set up the route (VPN, peering) from here to there.",
        field="server",
        kind="unreachable",
    )


def _no_proxy(endpoint: Endpoint, proxy: Address, error: Exception) -> ProbeError:
    if isinstance(error, socket.gaierror | UnicodeError):
        found = "its name cannot be resolved on this machine"
    elif isinstance(error, ConnectionRefusedError):
        found = "nothing listens there (connection refused)"
    elif isinstance(error, TimeoutError):
        found = f"no connection within {endpoint.timeout:g} s"
    else:
        found = _reason(error)
    return ProbeError(
        f"the proxy http://{proxy.authority} cannot be used: {found}.",
        "Correct proxy_url, or remove it if the server needs none.",
        field="proxy_url",
        kind="proxy",
    )


def _tunnel(wire: Wire, endpoint: Endpoint, proxy: Address, target: Address) -> None:
    """Ask the proxy for a way through. It gets no credential, not even one of its own in proxy_url.

    As a plain request, because set_tunnel of Python 3.11 names IPv6 addresses wrongly and hides the status in a text.
    """
    connection = http.client.HTTPConnection(proxy.host, proxy.port)
    connection.auto_open = 0
    connection.sock = t.cast("socket.socket", wire)
    try:
        connection.request("CONNECT", target.authority, headers={"Host": target.authority})
        status = connection.getresponse().status
    except TimeoutError:
        found = f"it gave no answer within {endpoint.timeout:g} s"
    except (OSError, http.client.HTTPException):
        found = "it does not answer as an HTTP proxy"
    else:
        if status < 300:
            wire.closed = False
            return
        found = f"it answered {status}{_phrase(status)} to a connection to {target.authority}"
    remedy = "Correct proxy_url, or let the proxy pass connections to the server."
    if found.startswith("it answered 407"):
        found += ", and the probe never sends it a credential"
        remedy = "Use a proxy that knows this machine by its address, or switch off the probe from this machine."
    raise ProbeError(
        f"the proxy http://{proxy.authority} cannot be used: {found}.", remedy, field="proxy_url", kind="proxy"
    ) from None


def _phrase(status: int) -> str:
    """The standard's words for a status; those of the answer could be anything."""
    try:
        return f" {http.HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _reason(error: Exception) -> str:
    return str((isinstance(error, OSError) and error.strerror) or "it is no host name")


def speaks_http(endpoint: Endpoint) -> bool:
    """Whether the port answers plain HTTP. Nothing secret is asked."""
    wire = None
    try:
        wire = connect(endpoint)
        wire.allow(min(endpoint.timeout, 3))
        wire.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with wire.makefile("rb") as answer:
            return answer.read(5) == b"HTTP/"
    except (OSError, ssl.SSLError, ProbeError):
        return False
    finally:
        if wire:
            wire.end()
