"""Is the process up, and what is away."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from app.api.deps import TheServices
from app.domain.errors import Unavailable
from app.domain.layout import DEPLOYMENT

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(services: TheServices, response: Response) -> dict[str, Any]:
    """Ready to accept. `degraded` with reasons while Redis or the store is away: with Redis away uploads are accepted all the same.

    503 while the process stops: send it nothing new.
    """
    if services.lines.is_draining:
        response.status_code = 503
        return {"status": "stopping", "away": []}
    reasons = []
    try:
        await services.ledger.ping()
    except Unavailable:
        reasons.append("redis")
    try:
        await services.offload(services.store.stat, DEPLOYMENT)
    except Unavailable:
        reasons.append("storage")
    return {"status": "degraded" if reasons else "ok", "away": reasons}
