"""What came of a source, as bytes: by signed links (`/d/…`), and by name for its owner (`…/sources/<id>/text`)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from app.api import stored
from app.api.deps import Reader, Services, TheServices
from app.api.openapi import ARTIFACT, problems
from app.domain.errors import NotFound
from app.domain.events import Outcome
from app.domain.ids import source_id
from app.domain.links import verify
from app.domain.results import RunResult
from app.domain.source import State

NAMES: Final = {
    "original": "The bytes as they came.",
    "text": "Its text, UTF-8; a form feed between pages.",
    "markdown": "Its text as Markdown, where its structure is known.",
    "pages": "Its text by page, as JSON lines.",
    "chunks": "Its text cut into chunks for retrieval, as JSON lines, where that is wanted.",
    "embeddings": "A vector for each chunk, as JSON lines, where there is an embedder.",
    "thumbnail": "A picture of it, as WebP.",
}

router = APIRouter(tags=["downloads"])
of_source = APIRouter(tags=["sources"], responses=problems(400, 401, 403, 404, 421, 429, 503))
"""To be served below each prefix of the sources."""


@router.get("/d/{token}", response_class=Response, responses=ARTIFACT | problems(400, 404, 410, 421, 503))
async def download(token: str, request: Request, services: TheServices) -> Response:
    """What a link in an event or answer leads to. 410 when it has expired: the problem names the source to ask for a new one."""
    target = verify(services.secrets, token, datetime.now(UTC))
    return await _artifact(request, services, await services.sources.artifact(target.owner, target.source, target.run), target.artifact)


@of_source.get("/{source}/result", response_model=Outcome)
async def result(source: str, reader: Reader, services: TheServices) -> Response:
    """What the latest run that ended came to, with all of its outline; 404 when it failed. The links in it are new."""
    found = await services.sources.latest(reader.owner, source_id(source, "id"))
    if found.state is not State.SUCCEEDED:
        raise NotFound(detail="the run ended without a result")
    outcome = services.sources.announcer.outcome(reader.owner, found, outline_lines=None)
    return Response(outcome.to_json(), media_type="application/json", headers={"Cache-Control": "private, no-store"})


def _by_name(name: str) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def of(source: str, request: Request, reader: Reader, services: TheServices) -> Response:
        return await _artifact(request, services, await services.sources.latest(reader.owner, source_id(source, "id")), name)

    return of


for _name, _what in NAMES.items():
    of_source.add_api_route(
        f"/{{source}}/{_name}", _by_name(_name), name=_name, response_class=Response, responses=ARTIFACT,
        description=f"{_what} Of the latest run that ended: a redirect, or the bytes, also in ranges, never to be shown as a page. 404 when there is none.",
    )  # fmt: skip


async def _artifact(request: Request, services: Services, found: RunResult, name: str) -> Response:
    artifact = found.artifacts.get(name)
    if artifact is None:
        raise NotFound(detail="no such artifact")
    return await stored.answer(request, services, artifact)
