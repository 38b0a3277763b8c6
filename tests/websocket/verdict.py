"""What an outcome is worth: the rules of the published suite, and one of our own (no bad frame)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tests.websocket.case import Case
from tests.websocket.conversation import PATIENCE_SECONDS, Address, Outcome, Ready, converse

_AT_ONCE = 50
"""Conversations. One uses two descriptors."""


@dataclass(frozen=True)
class Verdict:
    behaviour: str
    """OK, NON-STRICT, INFORMATIONAL or FAILED"""
    close: str
    """OK, INFORMATIONAL, or what was wrong"""

    @property
    def passed(self) -> bool:
        return self.behaviour in {"OK", "NON-STRICT", "INFORMATIONAL"} and self.close in {"OK", "INFORMATIONAL"}


def judge(case: Case, outcome: Outcome) -> Verdict:
    expected = case.expected
    if not outcome.opened:
        return Verdict("FAILED", "NEVER OPENED")
    if outcome.bad is not None:
        return Verdict("FAILED", f"BAD FRAME: {outcome.bad}")
    if expected.get("informational"):
        return Verdict("INFORMATIONAL", "INFORMATIONAL" if outcome.hung_up else "LEFT OPEN")
    close = _judge_close(expected, outcome)
    by_wrong_side = expected.get("closer-decides") and close == "WRONG SIDE"
    by_wrong_code = expected.get("code-decides") and close == "WRONG CODE"
    if by_wrong_side or by_wrong_code:
        return Verdict("FAILED", close)
    for name, key in (("OK", "ok"), ("NON-STRICT", "non-strict")):
        if key in expected and outcome.events == _events(expected[key]):
            return Verdict(name, close)
    return Verdict("FAILED", close)


def _judge_close(expected: dict[str, Any], outcome: Outcome) -> str:
    if (outcome.closed_by == "client") != (expected["closes"] == "client"):
        return "WRONG SIDE"
    if expected["clean"] and not outcome.clean:
        return "UNCLEAN"
    if outcome.code is not None and outcome.code not in expected["codes"]:
        return "WRONG CODE"
    return "OK" if outcome.hung_up else "LEFT OPEN"


def _events(listed: list[list[Any]]) -> list[tuple[str, bytes]]:
    return [(kind, what.encode() if kind == "pause" else bytes.fromhex(what) * (more[0] if more else 1)) for kind, what, *more in listed]


async def play(address: Address, cases: Iterable[Case], *, patience_seconds: float = PATIENCE_SECONDS, ready: Ready | None = None) -> dict[str, Verdict]:
    """The verdict on each case, many at once."""
    seats = asyncio.Semaphore(_AT_ONCE)

    async def one(case: Case) -> tuple[str, Verdict]:
        async with seats:
            return case.id, judge(case, await converse(address, case, patience_seconds, ready))

    return dict(await asyncio.gather(*map(one, cases)))


def failed(verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
    return {case: verdict for case, verdict in verdicts.items() if not verdict.passed}
