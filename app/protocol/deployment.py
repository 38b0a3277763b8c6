"""Whose store is this? headrace.json says it, so that two deployments never work on the same objects by mistake."""

from __future__ import annotations

import json

from app.domain.errors import ObjectNotFound, StoreUnfit
from app.domain.layout import DEPLOYMENT, LAYOUT_VERSION
from app.ports import ObjectStore


def claim_store(store: ObjectStore, deployment: str) -> None:
    """Make the store ours, or find that it is. Raises StoreUnfit: another deployment's, or of a layout that we do not know."""
    ours = {"layout": LAYOUT_VERSION, "deployment": deployment}
    if store.create(DEPLOYMENT, json.dumps(ours).encode()):
        return
    try:
        found = json.loads(store.get(DEPLOYMENT))
    except (ObjectNotFound, ValueError) as error:
        raise StoreUnfit(detail=f"{DEPLOYMENT} in the store cannot be read") from error
    if not isinstance(found, dict):
        raise StoreUnfit(detail=f"{DEPLOYMENT} in the store cannot be read")
    if found.get("deployment") != deployment:
        raise StoreUnfit(detail=f"the store belongs to deployment {found.get('deployment')!r}, not to {deployment!r} (HEADRACE_DEPLOYMENT)")
    if found.get("layout") != LAYOUT_VERSION:
        raise StoreUnfit(detail=f"the store has layout {found.get('layout')!r}; this version knows {LAYOUT_VERSION}")
