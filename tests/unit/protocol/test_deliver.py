"""Whoever is to hear of an end first: at least once, in bounded time, and without holding up the end."""

from __future__ import annotations

import threading

import pytest

from app.protocol.deliver import Deliver
from tests.unit.doubles import ADA, SOURCE, a_record, a_success

RESULT = a_success(a_record())


class Backend:
    """Takes deliveries; refuses the first `refusals`, and hangs until `let_go` when it should."""

    name = "backend"

    def __init__(self, refusals: int = 0, *, hangs: bool = False) -> None:
        self.refusals, self.heard = refusals, []
        self.let_go = threading.Event()
        if not hangs:
            self.let_go.set()

    def deliver(self, delivery) -> None:
        self.heard.append(delivery.key)
        assert self.let_go.wait(60)
        if len(self.heard) <= self.refusals:
            raise ConnectionError("not now")


def test_each_deliverer_has_heard_when_it_returns():
    backends = [Backend(), Backend()]
    Deliver(backends, seconds=60)(ADA, RESULT)
    assert [backend.heard for backend in backends] == [[f"{ADA}/{SOURCE}/1"]] * 2


def test_the_key_is_that_of_the_run():
    backend = Backend()
    deliver = Deliver([backend], seconds=60)
    for result in (RESULT, RESULT, RESULT.model_copy(update={"run": 2})):
        deliver(ADA, result)
    assert backend.heard == [f"{ADA}/{SOURCE}/{run}" for run in (1, 1, 2)]


def test_one_that_refuses_is_tried_again():
    backend = Backend(refusals=2)
    Deliver([backend], seconds=60)(ADA, RESULT)
    assert len(backend.heard) == 3


@pytest.mark.parametrize("backend", [Backend(refusals=10**6), Backend(hangs=True)], ids=["refuses", "hangs"])
def test_one_that_never_takes_it_holds_up_nobody(backend, caplog):
    other = Backend()
    Deliver([backend, other], seconds=0.2)(ADA, RESULT)
    assert backend.heard
    assert other.heard == [f"{ADA}/{SOURCE}/1"]
    backend.let_go.set()
    for thread in threading.enumerate():
        if thread.name == "deliver-backend":
            thread.join(60)
    assert f"{ADA}/{SOURCE}/1" in caplog.text


def test_where_there_is_none_no_thread_is_made(monkeypatch):
    monkeypatch.setattr(threading, "Thread", None)
    Deliver()(ADA, RESULT)
