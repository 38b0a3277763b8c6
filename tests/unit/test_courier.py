"""The courier over a store in memory and a receiver that does as it is told."""

import base64
import threading
from datetime import timedelta

import pytest
from standardwebhooks.webhooks import Webhook as Standard

from app.adapters.memory import MemoryObjectStore
from app.domain.errors import ProcessingFailed, Unavailable
from app.domain.layout import WEBHOOKS, WEBHOOKS_DEAD, result_key
from app.domain.profile import Webhook
from app.domain.webhook import callback_secret
from app.ports import Delivery
from app.protocol import outbox
from tests.unit.doubles import ADA, NOW, SECRET, SOURCE, a_record, a_success, announcer
from worker.courier import BeforeClient, Courier

SCANS = Webhook("http://10.0.0.1/ended", "whsec_" + base64.b64encode(b"s" * 32).decode())
EARLY = Webhook("http://10.0.0.1/early", SCANS.secret, before_client=True)


class Receiver:
    """Implements ports.WebhookSender."""

    def __init__(self):
        self.taken, self.refuses = [], 0

    def send(self, url, body, headers, *, guarded):
        if self.refuses:
            self.refuses -= 1
            raise ProcessingFailed("fetch_failed", "status 500")
        self.taken.append((url, body, headers, guarded))


class House:
    def __init__(self):
        self.now = NOW
        self.store = MemoryObjectStore()
        self.receiver = Receiver()
        self.webhooks = {"scans": SCANS, "early": EARLY}
        self.courier = Courier(self.store, announcer(), self.receiver, self.webhooks, [SECRET], lambda: self.now)

    def end(self, **said):
        record = a_record(**said)
        result = a_success(record)
        self.store.create(result_key(ADA, SOURCE, result.run), result.to_json())
        records = outbox.post(self.store, ADA, result, outbox.Targets(self.webhooks))
        for each in records:  # the clock of a record is the real one, ours is the test's
            self.store.put(WEBHOOKS + each.name, each.again(NOW).to_json())
        return result

    def waiting(self, *, dead=False):
        return [outbox.read(self.store, name, dead=dead) for name in outbox.names(self.store, dead=dead)]


@pytest.fixture
def house():
    return House()


def test_nobody_who_asked_is_nobody_to_tell(house):
    house.end()
    assert (house.waiting(), house.courier.turn()) == ([], 0)


def test_a_profile_and_a_callback_are_each_told_with_their_own_secret(house):
    result = house.end(profile="scans", callback_url="https://client.example/hook", organisation="acme")
    assert house.courier.turn() == 2
    told = {url: (body, headers, guarded) for url, body, headers, guarded in house.receiver.taken}
    event = announcer().ended(ADA, result).to_json()
    for url, secret, is_guarded in ((SCANS.url, SCANS.secret, False), ("https://client.example/hook", callback_secret(SECRET, "acme"), True)):
        body, headers, guarded = told[url]
        assert (body, guarded) == (event, is_guarded)
        headers = headers | {"webhook-timestamp": headers["webhook-timestamp"]}
        made = Standard(secret).sign(headers["webhook-id"], NOW, body.decode())
        assert headers["webhook-signature"] == made
    assert house.waiting() == []


def test_what_was_not_taken_is_told_later(house):
    house.end(profile="scans")
    house.receiver.refuses = 1
    assert house.courier.turn() == 0
    (left,) = house.waiting()
    assert (left.attempts, left.last) == (1, "fetch_failed: status 500")
    assert house.courier.turn() == 0, "not before its time"
    house.now = left.next_at
    assert house.courier.turn() == 1
    assert house.waiting() == []


def test_after_a_day_it_is_given_up_and_kept(house):
    house.end(profile="scans")
    house.receiver.refuses = 100
    for _ in range(60):
        house.courier.turn()
        house.now += timedelta(minutes=30)
    assert house.waiting() == []
    (dead,) = house.waiting(dead=True)
    house.receiver.refuses = 0
    outbox.redeliver(house.store, dead, house.now)
    assert house.courier.turn() == 1
    assert house.store.keys(WEBHOOKS_DEAD) == house.store.keys(WEBHOOKS) == []


def test_a_source_that_was_deleted_is_told_to_nobody(house):
    house.end(profile="scans")
    house.store.delete([result_key(ADA, SOURCE, 1)])
    house.courier.turn()
    assert (house.receiver.taken, house.waiting()) == ([], [])


def test_a_profile_without_a_webhook_by_now_is_forgotten(house):
    house.end(profile="scans")
    del house.webhooks["scans"]
    house.courier.turn()
    assert (house.receiver.taken, house.waiting()) == ([], [])


def test_posting_again_changes_nothing(house):
    result = house.end(profile="scans")
    house.receiver.refuses = 1
    house.courier.turn()
    outbox.post(house.store, ADA, result, outbox.Targets(house.webhooks))
    assert [record.attempts for record in house.waiting()] == [1]


def test_a_webhook_before_the_client_is_told_in_the_deliver_step(house):
    result = house.end(profile="early")
    BeforeClient(house.courier).deliver(Delivery(ADA, result))
    assert [url for url, *_ in house.receiver.taken] == [EARLY.url]
    assert house.waiting() == []
    BeforeClient(house.courier).deliver(Delivery(ADA, result))
    assert len(house.receiver.taken) == 1


def test_the_courier_leaves_alone_what_the_end_waits_for(house):
    record = a_record(profile="early")
    result = a_success(record)
    (posted,) = outbox.post(house.store, ADA, result, outbox.Targets(house.webhooks))
    assert posted.next_at - posted.created_at > timedelta(seconds=30)


def test_one_that_does_not_answer_in_the_deliver_step_is_told_by_the_courier(house):
    result = house.end(profile="early")
    house.receiver.refuses = 1
    BeforeClient(house.courier).deliver(Delivery(ADA, result))
    (left,) = house.waiting()
    house.now = left.next_at
    assert house.courier.turn() == 1


def test_a_callback_waits_for_nobody(house):
    result = house.end(callback_url="https://client.example/hook", organisation="acme")
    BeforeClient(house.courier).deliver(Delivery(ADA, result))
    assert house.receiver.taken == []


def test_the_loop_outlives_a_store_that_is_away(house, caplog):
    house.end(profile="scans")
    looks, stop = [], threading.Event()

    def leads():
        looks.append(1)
        if len(looks) == 1:
            raise Unavailable("storage_unavailable")
        if len(looks) == 2:
            raise ValueError("a fault of ours")
        if len(looks) == 4:
            stop.set()
        return len(looks) == 3

    house.courier.run(leads, stop, every_seconds=0.001)
    assert (len(looks), len(house.receiver.taken)) == (4, 1)
