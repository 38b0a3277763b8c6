"""The web server that is imported from: every address has a text of its own, but for those below /404/; below /held/ it comes when `let_go` is set."""

from __future__ import annotations

from email.message import Message

from tests.chaos.submission import page
from tests.site import Site


class Web(Site):
    content_type = "text/plain"

    def __init__(self) -> None:
        super().__init__()
        self.held: set[str] = set()

    def answer(self, path: str, headers: Message, sent: bytes) -> tuple[int, bytes]:
        if path.startswith("/held/"):
            self.held.add(path)
            self.let_go.wait(120)
        return (404, b"") if path.startswith("/404/") else (200, page(path))
