"""Signed links (`/d/…`): to a fresh presigned URL of the store, or the bytes themselves."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse

from app.api.deps import TheServices
from app.domain.errors import NotFound
from app.domain.filename import attachment
from app.domain.links import verify

_PRESIGNED_SECONDS = 300

# A stored document is a stranger's: never shown as a page of ours, never guessed at, never run.
_SAFE = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'", "Cache-Control": "private, no-store"}

router = APIRouter(tags=["downloads"])


@router.get("/d/{token}", response_class=Response)
async def download(token: str, services: TheServices) -> Response:
    """What a link in an event or answer leads to. 410 when it has expired: the problem names the source to ask for a new one."""
    target = verify(services.secrets, token, datetime.now(UTC))
    result = await services.sources.artifact(target.owner, target.source, target.run)
    artifact = result.artifacts.get(target.artifact)
    if artifact is None:
        raise NotFound(detail="no such artifact")
    if not services.proxy_downloads:
        url = await services.offload(services.store.link, artifact.key, filename=artifact.filename, media_type=artifact.media_type, seconds=_PRESIGNED_SECONDS)
        if url is not None:
            return RedirectResponse(url, status_code=302, headers={"Cache-Control": "private, no-store"})
    headers = _SAFE | {"Content-Disposition": attachment(artifact.filename)}
    path = await services.offload(services.store.path, artifact.key)
    if path is not None:
        return FileResponse(path, media_type=artifact.media_type, headers=headers)
    stat = await services.offload(services.store.stat, artifact.key)
    if stat is None:
        raise NotFound(detail="the artifact is gone")
    return StreamingResponse(services.store.read(artifact.key), media_type=artifact.media_type, headers=headers | {"Content-Length": str(stat.size)})
