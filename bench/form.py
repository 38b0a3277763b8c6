"""The multipart form of an upload, as bytes around the file's."""

from __future__ import annotations

import uuid


def form(channel: str, source: str) -> tuple[str, bytes, bytes]:
    """Content type, what comes before the file's bytes, and what comes after."""
    boundary = "-" * 24 + uuid.uuid4().hex[:22]  # as curl makes it
    fields = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in (("ws-uuid", channel), ("source-uuid", source))
    )
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n'
    return f"multipart/form-data; boundary={boundary}", (fields + file).encode(), f"\r\n--{boundary}--\r\n".encode()
