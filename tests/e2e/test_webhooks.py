"""A webhook of a profile and a callback of an upload, over the running stack: told once more after a refusal, signed, and seen by the user meanwhile."""

from __future__ import annotations

import base64
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks.webhooks import Webhook

from tests.stack import Stack

SECRET = "whsec_" + base64.b64encode(b"e" * 32).decode()


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent; refuses the first message of each kind."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Hook)
        self.messages, self.seen = [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.refused = set()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        refuses = self.path not in self.server.refused
        self.server.refused.add(self.path)
        if not refuses:
            self.server.messages.append((self.path, dict(self.headers), body))
            if len({path for path, *_ in self.server.messages}) == 2:
                self.server.seen.set()
        self.send_response(500 if refuses else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made


@pytest.fixture
def stack(receiver, tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[profiles.scans]\nwebhook = {{ url = "{receiver.url}/profile", secret = "{SECRET}" }}\n')
    port = str(receiver.server_address[1])
    running = Stack(tmp_path / "data", policy_file=str(policy), webhook_seconds="0.2", import_allow_nets="127.0.0.0/8", import_ports=port, workers="1")
    yield running.start()
    running.stop()


def test_both_are_told_of_an_end_with_their_own_signature_once_they_take_it(stack: Stack, receiver: Receiver) -> None:
    with stack.client() as client:
        secret = client.http.get("/public/webhooks/secret").json()["secret"]
        source = str(uuid.uuid4())
        form = {"ws-uuid": str(uuid.uuid4()), "source-uuid": source, "profile": "scans", "callback-url": f"{receiver.url}/callback"}
        assert client.http.post("/public/sources/upload-source", data=form, files={"file": ("a.txt", b"hello")}).status_code == 200
        assert receiver.seen.wait(60), client.http.get("/public/webhooks").text
        told = {path: (headers, body) for path, headers, body in receiver.messages}
        for path, signed_by in (("/profile", SECRET), ("/callback", secret)):
            headers, body = told[path]
            event = Webhook(signed_by).verify(body, {name.lower(): value for name, value in headers.items()})
            assert (event["source-uuid"], event["status"], event["result"]["source-id"]) == (source, "success", source)
        deadline = time.monotonic() + 20
        while (left := client.http.get("/public/webhooks").json()) != {"webhooks": []}:
            assert time.monotonic() < deadline, left
            time.sleep(0.05)
