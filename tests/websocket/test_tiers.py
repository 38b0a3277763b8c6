"""Autobahn's cases against an echo on each tier, on both loops, behind both HTTP parsers. Non-strict is allowed, nothing else."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

import pytest

from tests.integration.origin import certificate
from tests.websocket.case import PUBLISHED
from tests.websocket.cases import CASES
from tests.websocket.echo_lines import OURS, TIERS, EchoLines, echo_lines
from tests.websocket.serving import echo, serving
from tests.websocket.tls_front import tls_front
from tests.websocket.verdict import Verdict, failed, play

pytestmark = pytest.mark.anyio

KNOWN = {"plain on websockets": {"7.1.5"}}
"""What the server's own library gets wrong; nothing of ours is in between."""


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request):
    return ("asyncio", {"use_uvloop": request.param == "uvloop"})


@pytest.fixture(autouse=True)
def no_complaint(caplog):
    """Of the server, or of the loop, which logs what nobody caught."""
    caplog.set_level(logging.ERROR)
    yield
    assert not caplog.get_records("call")


def descriptors() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def check(verdicts: dict[str, Verdict], application: EchoLines) -> None:
    assert verdicts.keys() == PUBLISHED.keys()
    assert failed(verdicts).keys() <= KNOWN.get(application.tier, set()), failed(verdicts)
    assert set(application.gone) == {1}


@pytest.mark.parametrize("tier", TIERS)
async def test_no_case_fails_and_nothing_is_left(anyio_backend, tier, caplog):
    if tier == "plain on websockets":
        caplog.set_level(logging.CRITICAL)  # it logs a traceback for each text that is none
    async with echo_lines(tier) as (address, application):
        await play(address, CASES[:1], ready=application.ready)
        await application.emptied()
        before = descriptors()  # uvloop has opened one of its own by now
        verdicts = await play(address, CASES, ready=application.ready)
        async with asyncio.timeout(30):
            await application.emptied()
            while descriptors() > before:
                await asyncio.sleep(0.01)
    check(verdicts, application)
    assert len(application.gone) == len(CASES) + 1


async def test_no_case_fails_while_a_line_is_being_parked(anyio_backend):
    """The client speaks as soon as it may: what it says may reach the transport, the parked descriptor, or both."""
    async with echo_lines("parked") as (address, application):
        verdicts = await play(address, CASES)
        await asyncio.wait_for(application.emptied(), 30)
    check(verdicts, application)


async def test_no_case_fails_through_tls_which_cannot_be_parked(anyio_backend, tmp_path):
    certificate("localhost", tmp_path)
    context = ssl.create_default_context(cafile=tmp_path / "localhost.pem")
    context.check_hostname = False  # it is called by its address
    async with echo_lines("behind tls", ssl_certfile=tmp_path / "localhost.pem") as (behind, application), tls_front(behind, context) as (address, front):
        verdicts = await play(address, CASES, ready=lambda client: application.ready(front.beyond[client]))
        await asyncio.wait_for(application.emptied(), 30)
    check(verdicts, application)


async def test_no_case_fails_for_an_application_that_only_speaks_asgi(anyio_backend):
    async with serving(echo, ws=OURS) as address:
        assert failed(await play(address, CASES)) == {}
