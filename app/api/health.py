"""Is the process up, and what is away."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response

from app.api.deps import TheServices

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "the process stops"}})
async def readyz(services: TheServices, response: Response) -> dict[str, Any]:
    """Ready to accept. `degraded`, with reasons, while Redis or the store is away: with Redis away uploads are accepted all the same.

    503 while the process stops: send it nothing new. One that starts does not listen yet.
    """
    if services.lines.is_draining:
        response.status_code = 503
        return {"status": "stopping", "away": [], "reasons": []}
    found = await services.health.away()
    return {"status": "degraded" if found else "ok", "away": [each.part for each in found], "reasons": [asdict(each) for each in found]}
