"""TCP ports of this machine: taken, free, or bound here and handed on."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import ExitStack

from devstack.datadir import Refused


def reachable(host: str) -> str:
    """The address under which this machine reaches a server that listens on `host`."""
    try:
        if ipaddress.ip_address(host).is_unspecified:
            return "::1" if ":" in host else "127.0.0.1"
    except ValueError:
        pass
    return host


def url(host: str, port: int) -> str:
    host = reachable(host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises Refused, naming the setting, when it cannot be had."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise Refused(f"HEADRACE_HOST: {host}: {error.strerror or error}") from error
    # Asked first, since macOS lets a second server bind to a specific address beside one on all addresses.
    if port and _answers(host, port):
        raise Refused(_taken(host, port, setting))
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(2048)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise Refused(_taken(host, port, setting)) from error
        raise Refused(f"{setting}: {host}:{port}: {error.strerror or error}") from error
    sock.setblocking(False)
    return sock


def choose(port: int, setting: str, held: ExitStack) -> int:
    """A port on 127.0.0.1 for a server that binds it itself: `port`, or any free one for 0. Raises Refused when it is taken.

    It stays bound until `held` is closed, so that no two choices are the same.
    """
    return int(held.enter_context(listen("127.0.0.1", port, setting)).getsockname()[1])


def prefer(port: int, setting: str, held: ExitStack) -> int:
    """`port` when it is still free, else any free one."""
    try:
        return choose(port, setting, held)
    except Refused:
        return choose(0, setting, held)


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((reachable(host), port), timeout=1).close()
    except OSError:
        return False
    return True


def _taken(host: str, port: int, setting: str) -> str:
    return f"{setting}: port {port} on {host} is taken; name another, or 0 for any free one"
