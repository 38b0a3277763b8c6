"""The client is right: it finds nothing in a library that is known to be good, what is known of another one, and each fault that was put in."""

from __future__ import annotations

import logging

import pytest

from tests.websocket.careless import careless
from tests.websocket.case import PUBLISHED
from tests.websocket.cases import CASES
from tests.websocket.serving import echo, serving
from tests.websocket.verdict import failed, play

pytestmark = pytest.mark.anyio


async def test_wsproto_passes(anyio_backend):
    async with serving(echo, ws="wsproto") as address:
        assert failed(await play(address, CASES)) == {}


async def test_websockets_fails_one_at_most(anyio_backend, caplog):
    """Its answer to a close in the middle of a message says 1002. It reads whole frames, so it is not strict about 6.4.x."""
    caplog.set_level(logging.CRITICAL)  # it logs a traceback for each text that is none
    async with serving(echo, ws="websockets-sansio") as address:
        assert set(failed(await play(address, CASES))) <= {"7.1.5"}


def wants(*kinds: str) -> set[str]:
    return {name for name, facts in PUBLISHED.items() if any(kind in kinds for kind, *_ in facts["ok"])}


CLEAN = {name for name, facts in PUBLISHED.items() if facts["clean"] and not facts.get("informational")}
REFUSED = {name for name, facts in PUBLISHED.items() if facts["closes"] == "server" or 1000 not in facts["codes"]} - {"3.7"}
"""What a server must not put up with. Of a close frame with reserved bits (3.7) the rules let it think what it likes."""
FULL = {name for name in wants("text", "binary") if not any(hexed == "" for _, hexed, *_ in PUBLISHED[name]["ok"])} - {"7.1.6"}
ALL = set(PUBLISHED)


@pytest.mark.parametrize(("fault", "found_by"), [
    ("believes", REFUSED),
    ("hangs up", CLEAN),
    ("stays", CLEAN),
    ("no pong", wants("pong")),
    ("another pong", wants("pong")),
    ("pongs late", {"2.1", "2.11", "5.6", "5.8", "5.19", "5.20"}),
    ("text as bytes", wants("text") - {"7.1.6"}),
    ("loses a byte", FULL),
    ("masks", ALL - REFUSED),
    ("twice", FULL),
    ("echoes fragments", {"5.3", "5.8", "5.19", "6.1.2", "6.2.3", "10.1.1"}),
    ("closes with 1001", CLEAN - {"7.7.2"}),
    ("talks after close", CLEAN),
    ("no upgrade", ALL),
])  # fmt: skip
async def test_a_fault_is_found(anyio_backend, fault, found_by):
    assert found_by
    async with careless(fault) as address:
        verdicts = await play(address, [case for case in CASES if case.id in found_by], patience_seconds=0.5)
    assert set(failed(verdicts)) == found_by
