import asyncio

import pytest
import uvloop

from app.services.agenda import Agenda
from tests.unit.services.channel import until
from tests.unit.services.lines import a_reader

pytestmark = pytest.mark.anyio


async def test_each_is_rung_once_in_the_order_of_its_time_by_one_timer():
    rung = []
    agenda = Agenda(rung.append)
    late, soon, sooner = readers = [a_reader() for _ in range(3)]
    for reader, seconds in zip(readers, (0.03, 0.02, 0.01), strict=True):
        agenda.put(reader, seconds)
    timers = [handle for handle in asyncio.get_running_loop()._scheduled if not handle.cancelled() and handle._callback == agenda._look]
    assert len(timers) == 1
    await until(lambda: len(rung) == 3)
    assert rung == [sooner, soon, late]
    assert (agenda._due, agenda._heap, agenda._timer) == ({}, [], None)


async def test_who_is_put_off_or_dropped_is_not_rung_before():
    rung = []
    agenda = Agenda(rung.append)
    put_off, dropped, put_forward = a_reader(), a_reader(), a_reader()
    agenda.put(put_off, 0.001)
    agenda.put(put_off, 60)
    agenda.put(dropped, 0.001)
    agenda.drop(dropped)
    agenda.drop(dropped)
    agenda.put(put_forward, 60)
    agenda.put(put_forward, 0.005)
    await until(lambda: rung)
    assert rung == [put_forward]
    assert put_off in agenda
    assert dropped not in agenda
    agenda.clear()
    assert agenda._timer is None


async def test_who_is_rung_may_be_put_again():
    rung = []
    agenda = Agenda(lambda reader: (rung.append(reader), len(rung) < 3 and agenda.put(reader, 0.001)))
    agenda.put(reader := a_reader(), 0.001)
    await until(lambda: len(rung) == 3)
    assert rung == [reader] * 3
    assert reader not in agenda


async def test_after_one_that_breaks_the_others_are_rung():
    rung, errors = [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))

    def ring(reader):
        rung.append(reader)
        if len(rung) == 1:
            raise RuntimeError("broken")

    agenda = Agenda(ring)
    readers = [a_reader() for _ in range(3)]
    for reader in readers:
        agenda.put(reader, 0.001)
    await until(lambda: len(rung) == 3)
    assert rung == readers
    assert list(map(str, errors)) == ["broken"]


def test_a_time_that_has_come_already_is_like_any_other_on_the_loop_of_the_api():
    """uvloop answers `call_at` with a handle that does not know its time when that is less than half a millisecond away."""
    rung = []

    async def put():
        agenda = Agenda(rung.append)
        for reader in (readers := [a_reader() for _ in range(3)]):
            agenda.put(reader, 0)
        await until(lambda: len(rung) == 3)
        return readers

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert rung == runner.run(put())
