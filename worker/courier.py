"""The courier: tells those outside who are to hear of an end. It lives in the reconciler that leads, on threads of its own.

Redis is not asked: what is to be told stands in the store (protocol/outbox.py), and a listing every few seconds costs what waits, not what was told.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from app.domain.errors import HeadraceError, Unavailable
from app.domain.profile import Webhook
from app.domain.webhook import CALLBACK, OutboxRecord, callback_secret, sign
from app.ports import Clock, Delivery, ObjectStore, WebhookSender
from app.protocol import outbox
from app.protocol.announce import Announcer
from app.protocol.outcome import result as result_of

log = logging.getLogger(__name__)

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Courier:
    store: ObjectStore
    announcer: Announcer
    sender: WebhookSender
    webhooks: Mapping[str, Webhook]
    secrets: Sequence[str]
    clock: Clock

    def deliver(self, record: OutboxRecord) -> bool:
        """One attempt: True when the target has taken it, or there is nobody to tell any more. Raises Unavailable (the store)."""
        now = self.clock()
        result = result_of(self.store, record.owner, record.source_uuid, record.run)
        secret = self._secret(record)
        if result is None or secret is None:  # deleted meanwhile, or the profile has no webhook any more
            outbox.told(self.store, record)
            return True
        event = self.announcer.ended(record.owner, result)
        body = event.to_json()
        try:
            self.sender.send(record.url, body, sign(secret, record.message_id, now, body), guarded=record.target == CALLBACK)
        except Unavailable:
            raise
        except HeadraceError as error:
            failed = outbox.postpone(self.store, record, f"{error.code}: {error.detail}", self.clock())
            log.warning("webhook %s was not taken (%s)%s", record.message_id, error.code, "; given up" if failed.is_given_up(self.clock()) else "")
            return False
        outbox.told(self.store, record)
        return True

    def turn(self) -> int:
        """Tell whoever is due; how many have taken it. Raises Unavailable."""
        waiting = (self._read(name) for name in outbox.names(self.store))
        due = [record for record in waiting if record is not None and record.next_at <= self.clock()]
        with ThreadPoolExecutor(min(_AT_ONCE, len(due)) or 1, "courier") as pool:
            return sum(pool.map(self.deliver, due))

    def run(self, leads: Callable[[], bool], stop: threading.Event, *, every_seconds: float) -> None:
        """Until `stop`. What is away is waited for."""
        while not stop.wait(every_seconds):
            try:
                if leads():
                    self.turn()
            except Unavailable as error:
                log.warning("cannot look at the outbox: %s", error)
            except Exception:
                log.exception("the courier failed; it goes on")

    def _read(self, name: str) -> OutboxRecord | None:
        try:
            return outbox.read(self.store, name)
        except ValueError:
            log.error("%s in the outbox cannot be read; it is left alone", name)  # noqa: TRY400 - the text says it all
            return None

    def _secret(self, record: OutboxRecord) -> str | None:
        if record.target == CALLBACK:
            return callback_secret(self.secrets[0], record.organisation)
        webhook = self.webhooks.get(record.target)
        return webhook.secret if webhook else None


@dataclass(frozen=True, slots=True)
class BeforeClient:
    """Implements ports.Deliverer: webhooks of profiles that want to hear of an end before the client does. What it cannot tell in time stays in the outbox."""

    courier: Courier
    name: str = "webhooks"

    def deliver(self, delivery: Delivery) -> None:
        for record in outbox.Targets(self.courier.webhooks).of(delivery.owner, delivery.result):
            webhook = self.courier.webhooks.get(record.target)
            if webhook is not None and webhook.before_client and (waiting := outbox.read(self.courier.store, record.name)) is not None:
                self.courier.deliver(waiting)
