"""Tickets, sentence by sentence of ports.Channels, over memory and Redis."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.adapters.memory_channels import AsyncMemoryLedger
from app.adapters.memory_ledger import MemoryState
from app.domain.ids import ChannelId
from app.domain.tokens import TICKET_SECONDS
from tests.ledgers import OWNER, STRANGER, WS

HASH = "a" * 64


def put(ledger, ticket=HASH, owner=OWNER, channel=WS, seconds=TICKET_SECONDS):
    ledger.put_ticket(ticket, owner, channel, seconds=seconds)


def test_a_ticket_tells_whose_channel_it_opens_and_tells_it_once(ledger):
    channel = ChannelId("a.b_c-D9")
    put(ledger, channel=channel)
    put(ledger, "b" * 64, STRANGER)
    assert ledger.take_ticket(HASH) == (OWNER, channel)
    assert ledger.take_ticket(HASH) is None
    assert ledger.take_ticket("b" * 64) == (STRANGER, WS)


def test_a_ticket_that_was_never_given_opens_nothing(ledger):
    assert ledger.take_ticket(HASH) is None


def test_sixteen_that_ask_at_once_are_one_winner_and_fifteen_losers(ledger):
    for number in range(8):
        put(ledger, ticket := f"{number:064}")
        answers = ledger.at_once("take_ticket", ticket, times=16)
        assert sorted(answers, key=bool) == [None] * 15 + [(OWNER, WS)]


def test_sixteen_threads_are_one_winner_too():
    state = MemoryState()

    def take(_):
        return asyncio.run(AsyncMemoryLedger(state).take_ticket(HASH))

    with ThreadPoolExecutor(16) as threads:
        for _ in range(8):
            asyncio.run(AsyncMemoryLedger(state).put_ticket(HASH, OWNER, WS, seconds=60))
            assert sorted(threads.map(take, range(16)), key=bool) == [None] * 15 + [(OWNER, WS)]


def test_a_repeated_put_changes_nothing(ledger):
    put(ledger)
    put(ledger, owner=STRANGER)
    assert ledger.take_ticket(HASH) == (OWNER, WS)
    assert ledger.take_ticket(HASH) is None


def test_tickets_go_with_a_wipe(ledger):
    put(ledger)
    ledger.wipe()
    assert ledger.take_ticket(HASH) is None


@pytest.mark.parametrize("kind", ["memory", "memory-async"])
def test_a_ticket_lives_for_a_minute(open_ledger, kind):
    ledger = open_ledger(kind)
    put(ledger)
    put(ledger, "b" * 64)
    ledger.pass_time(TICKET_SECONDS - 5)
    assert ledger.take_ticket(HASH) == (OWNER, WS)
    ledger.pass_time(5)
    assert ledger.take_ticket("b" * 64) is None


@pytest.mark.parametrize("kind", ["redis", "redis-async"])
def test_redis_lets_a_ticket_expire_after_a_minute(open_ledger, kind):
    ledger = open_ledger(kind)
    put(ledger)
    key = ledger.keys.ticket(HASH)
    assert TICKET_SECONDS - 30 < ledger.raw.ttl(key) <= TICKET_SECONDS
    assert ledger.raw.get(key) == f"{OWNER}~{WS}"
    ledger.raw.pexpire(key, 0)
    assert ledger.take_ticket(HASH) is None
