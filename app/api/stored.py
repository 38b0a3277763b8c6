"""An artifact as an answer: a redirect to the store, or the bytes themselves, in ranges."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from fastapi import Request, Response
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse

from app.api.deps import Services
from app.domain.errors import NotFound
from app.domain.filename import attachment
from app.domain.results import Artifact

_PRESIGNED_SECONDS = 300

# A stored document is a stranger's: never shown as a page of ours, never guessed at, never run.
SAFE: Final = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'", "Cache-Control": "private, no-store"}
_RANGE: Final = re.compile(r"bytes=(?:(\d+)-(\d*)|-(\d+))", re.ASCII)


async def answer(request: Request, services: Services, artifact: Artifact) -> Response:
    """Raises NotFound when the bytes are gone, Unavailable."""
    store, offload = services.store, services.offload
    if not services.proxy_downloads:
        url = await offload(store.link, artifact.key, filename=artifact.filename, media_type=artifact.media_type, seconds=_PRESIGNED_SECONDS)
        if url is not None:
            return RedirectResponse(url, status_code=302, headers={"Cache-Control": "private, no-store"})
    headers = SAFE | {"Content-Disposition": attachment(artifact.filename)}
    path = await offload(store.path, artifact.key)
    if path is not None:
        return FileResponse(path, media_type=artifact.media_type, headers=headers)
    stat = await offload(store.stat, artifact.key)
    if stat is None:
        raise NotFound(detail="the artifact is gone")
    headers |= {"Accept-Ranges": "bytes", "ETag": _etag(artifact)}
    wanted = _wanted(request, stat.size, headers["ETag"])
    if wanted is None:
        return StreamingResponse(store.read(artifact.key), media_type=artifact.media_type, headers=headers | {"Content-Length": str(stat.size)})
    start, stop = wanted
    if start >= stop:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{stat.size}"})
    headers |= {"Content-Range": f"bytes {start}-{stop - 1}/{stat.size}", "Content-Length": str(stop - start)}
    return StreamingResponse(store.read(artifact.key, start=start, stop=stop), status_code=206, media_type=artifact.media_type, headers=headers)


def _etag(artifact: Artifact) -> str:
    """What lies under a key is never changed."""
    return f'"{hashlib.sha256(artifact.key.encode()).hexdigest()[:32]}"'


def _wanted(request: Request, size: int, etag: str) -> tuple[int, int] | None:
    """The one range that is asked for, as [start, stop); empty when there is nothing in it. None: all of it (several ranges too)."""
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        return max(0, size - int(suffix)), size
    if last and int(last) < int(first):
        return None  # no range at all, as RFC 9110 has it
    return int(first), min(size, int(last) + 1) if last else size
