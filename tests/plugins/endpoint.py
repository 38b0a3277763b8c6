"""A processor as an HTTP endpoint, on a free port of 127.0.0.1: `asked` is what came, `status` and `reply` what goes back."""

from __future__ import annotations

import email
import json
from email.message import Message
from typing import Any

from tests.site import Site


class Endpoint(Site):
    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.reply: Any = {"extracted": {}}
        self.asked: dict[str, bytes] = {}
        self.let_go.set()
        self.address = self.url("/read?from=headrace")

    def answer(self, path: str, headers: Message, sent: bytes) -> tuple[int, bytes]:
        form = email.message_from_bytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + sent)
        self.asked = {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in form.get_payload()}
        self.let_go.wait(30)
        return self.status, self.reply if isinstance(self.reply, bytes) else json.dumps(self.reply).encode()
