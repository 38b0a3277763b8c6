"""The nginx site that we ship: what it does to requests, before a server that shows it."""

from __future__ import annotations

import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests import nginx
from tests.nginx import SITE, Nginx
from tests.ports import free_port
from tests.servers import eventually

pytestmark = pytest.mark.skipif(nginx.binary() is None, reason="nginx is not installed")


class Behind:
    """An API process as far as a proxy sees one. `bytes_in` is what came of a body so far; `go` lets an answer go on."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.bytes_in = 0
        self.go = threading.Event()
        behind = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                behind.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                if self.path.startswith("/ws"):
                    self.send_response(101)
                    self.send_header("Upgrade", "websocket")
                    self.send_header("Connection", "Upgrade")
                    self.end_headers()
                    self.wfile.write(b"hello")
                    self.close_connection = True
                    return
                self.send_response(503 if self.path == "/stopping" else 200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"1\r\na\r\n")
                if self.path == "/slow":
                    behind.go.wait(20)
                self.wfile.write(b"1\r\nb\r\n0\r\n\r\n")

            def do_POST(self) -> None:
                while behind.bytes_in < int(self.headers["Content-Length"]):
                    behind.bytes_in += len(self.rfile.read1(65536))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Behind:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def behind():
    with Behind() as one:
        yield one


@pytest.fixture
def front(behind):
    with Nginx([behind.port]) as made:
        yield made


@pytest.fixture
def client(front):
    with httpx.Client(base_url=front.url, trust_env=False, timeout=20) as made:
        yield made


def test_nginx_understands_it_as_it_is_shipped():
    said = Nginx([8811, 8812]).check()
    assert "test is successful" in said
    assert not re.findall(r"\[(?:warn|emerg|alert|error)\]", said)
    assert re.findall(r"server 127\.0\.0\.1:(\d+)", SITE.read_text()) == ["8811", "8812"]


def test_requests_go_to_each_process_in_turn_and_to_the_other_when_one_is_away(behind):
    with Behind() as second, Nginx([behind.port, second.port]) as front, httpx.Client(base_url=front.url, trust_env=False, timeout=20) as client:
        for _ in range(6):
            client.get("/")
        assert (len(behind.requests), len(second.requests)) == (3, 3)
    with Nginx([free_port(), behind.port]) as front, httpx.Client(base_url=front.url, trust_env=False, timeout=20) as client:
        assert [client.get("/").status_code for _ in range(6)] == [200] * 6


def test_a_process_that_answers_503_is_not_taken_for_dead(client, behind):
    assert [client.get("/stopping").status_code for _ in range(3)] == [503] * 3
    assert client.get("/").status_code == 200


def test_what_a_client_says_of_itself_is_replaced(client, behind, front):
    client.get("/x", headers={"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil", "X-Forwarded-Proto": "gopher", "X-API-Key": "k"})
    (_, headers), own = behind.requests[0], f"127.0.0.1:{front.port}"
    assert [headers[name] for name in ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "host", "x-api-key")] == [
        "127.0.0.1", own, "http", own, "k",
    ]  # fmt: skip
    assert "connection" not in headers


def test_an_event_stream_comes_as_it_is_written(client, behind):
    with client.stream("GET", "/slow") as answer:
        parts = answer.iter_raw()
        assert next(parts) == b"a"
        assert not behind.go.is_set()
        behind.go.set()
        assert b"".join(parts) == b"b"


def test_a_body_goes_through_as_it_comes_however_long_it_is(front, behind):
    size = 8 * 1024 * 1024
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as upload:
        upload.sendall(f"POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode())
        upload.sendall(bytes(size // 2))
        eventually(lambda: behind.bytes_in == size // 2)
        upload.sendall(bytes(size - size // 2))
        assert upload.recv(100).startswith(b"HTTP/1.1 200")
    assert list((front.folder / "body").iterdir()) == []


def test_a_socket_is_upgraded_and_its_token_is_in_no_log(front, behind):
    with socket.create_connection(("127.0.0.1", front.port), timeout=20) as opened:
        opened.sendall(b"GET /ws/x?token=secret HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        answer = b""
        while more := opened.recv(1000):
            answer += more
    assert answer.startswith(b"HTTP/1.1 101")
    assert answer.endswith(b"hello")
    path, headers = behind.requests[0]
    assert (path, headers["upgrade"], headers["connection"]) == ("/ws/x?token=secret", "websocket", "upgrade")
    logged = eventually(front.log.read_text)
    assert '"GET /ws/x" 101' in logged
    assert "secret" not in logged
