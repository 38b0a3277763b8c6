"""The proof that a store keeps the promise on which the whole protocol stands: of all who create a key, one."""

from __future__ import annotations

import contextlib
import secrets

from app.domain.errors import HeadraceError, ObjectNotFound, StoreUnfit, Unavailable
from app.domain.layout import PROBE
from app.ports import ObjectStore


def prove(store: ObjectStore) -> None:
    """Create one random key twice, read, list and delete it. Raises StoreUnfit, which says what did not hold."""
    name = secrets.token_hex(12)
    key = f"{PROBE}{name}"
    mine, other = secrets.token_bytes(16), secrets.token_bytes(16)
    try:
        # A False for a key that nobody else knows is our own write, whose answer was lost; the bytes below tell.
        store.create(key, mine)
        if store.create(key, other) or store.get(key) != mine:
            raise StoreUnfit(detail="the store has no create-only write: it let a second writer replace an object (If-None-Match: * was ignored)")
        if store.names(PROBE, after=name[:-1], limit=1) != [name]:
            raise StoreUnfit(detail="the store does not list what was just written")
        store.delete([key])
        if store.stat(key) is not None:
            raise StoreUnfit(detail="the store does not delete")
    except (Unavailable, ObjectNotFound) as error:
        raise StoreUnfit(detail=f"the store cannot be used: {error}") from error
    finally:
        with contextlib.suppress(HeadraceError):
            store.delete([key])
