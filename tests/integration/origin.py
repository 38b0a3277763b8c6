"""What the tests of URL import talk to: hostile web servers, a nameserver that lies, and a record of every connection made."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import socketserver
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

# ------------------------------------------------------------------------------------------------ the record

_wires: list[list[tuple[str, int]]] = []


def _audit(event: str, args: tuple) -> None:
    if event != "socket.connect" or not _wires:
        return
    sock, address = args
    if sock.family not in {socket.AF_INET, socket.AF_INET6} or sock.type != socket.SOCK_STREAM:
        return
    for wire in _wires:
        wire.append(address[:2])
    if not ipaddress.ip_address(address[0].partition("%")[0]).is_loopback:
        raise PermissionError(f"a test tried to reach {address}")


sys.addaudithook(_audit)  # for good: the interpreter cannot take one back


@contextmanager
def wire() -> Iterator[list[tuple[str, int]]]:
    """Every TCP destination (address, port) that this process tries to reach; none but loopback ones are let through."""
    record: list[tuple[str, int]] = []
    _wires.append(record)
    try:
        yield record
    finally:
        _wires.remove(record)


# ------------------------------------------------------------------------------------------------ web server

Send = Callable[[bytes], None]


def answer(body: bytes = b"", *headers: str, status: str = "200 OK", length: int | None = -1) -> bytes:
    """A response. `length` is what Content-Length says: None leaves it out, -1 tells the truth."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length < 0 else length}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


class Origin(socketserver.ThreadingTCPServer):
    """Answers each path with the bytes in `routes`, or by calling what is there with (send, stop). `heads` keeps what clients sent."""

    def __init__(self, host: str, *, context: ssl.SSLContext | None = None) -> None:
        super().__init__((host, 0), _Handler)
        self.port: int = self.server_address[1]
        self.base = f"http://{host}:{self.port}"
        self.context = context
        self.routes: dict[str, bytes | Callable[[Send, threading.Event], None]] = {}
        self.heads: list[bytes] = []
        self.gone = threading.Event()
        """Set when a client hung up on an answer."""
        self._stop = threading.Event()
        self._connections: set[socket.socket] = set()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self._stop.set()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def converse(self, connection: socket.socket) -> None:
        self._connections.add(connection)
        try:
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
                self._connections.add(connection)
            head = b""
            while b"\r\n\r\n" not in head:
                received = connection.recv(65536)
                if not received:
                    return
                head += received
            self.heads.append(head)
            reply = self.routes.get(head.split(b" ", 2)[1].decode().partition("?")[0], answer(status="404 Not Found"))
            if callable(reply):
                reply(connection.sendall, self._stop)
            else:
                connection.sendall(reply)
        except OSError:
            self.gone.set()
        finally:
            connection.close()


class _Handler(socketserver.BaseRequestHandler):
    server: Origin

    def handle(self) -> None:
        self.server.converse(self.request)


def drip(first: bytes, then: bytes, *, every: float = 0.02) -> Callable[[Send, threading.Event], None]:
    """`first`, then `then` again and again with a pause between, until the client hangs up."""

    def reply(send: Send, stop: threading.Event) -> None:
        send(first)
        while not stop.wait(every):
            send(then)

    return reply


def flood(first: bytes, then: bytes) -> Callable[[Send, threading.Event], None]:
    """`first`, then `then` without a pause, until the client hangs up."""
    return drip(first, then, every=0)


# ------------------------------------------------------------------------------------------------ nameserver


class Nameserver(socketserver.ThreadingUDPServer):
    """Answers A and AAAA from `names`: each lookup takes the next list of addresses, the last one for ever. `mute` says nothing."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Question)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        self.names: dict[str, list[list[str]]] = {}
        self.mute = False

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def reply(self, query: bytes) -> bytes:
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
        question = query[12 : at + 5]
        answers = self.names.get(".".join(labels).lower())
        if answers is None:
            return query[:2] + struct.pack("!HHHHH", 0x8183, 1, 0, 0, 0) + question
        version = {1: 4, 28: 6}.get(kind, 0)
        found = [ipaddress.ip_address(text).packed for text in answers[0] if ipaddress.ip_address(text).version == version]
        if kind == 1 and len(answers) > 1:  # A is asked after AAAA: the lookup is over
            answers.pop(0)
        rows = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(packed)) + packed for packed in found)
        return query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(found), 0, 0) + question + rows


class _Question(socketserver.BaseRequestHandler):
    server: Nameserver

    def handle(self) -> None:
        query, sock = self.request
        if not self.server.mute:
            sock.sendto(self.server.reply(query), self.client_address)


# ------------------------------------------------------------------------------------------------ TLS


def certificate(name: str, folder: Path) -> ssl.SSLContext:
    """A server's TLS context with a self-signed certificate for `name`, which is left in folder/name.pem."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / f"{name}.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
