"""Deliver: whoever must have heard of an end before the client does. A step between commit and announcement: at least once, bounded in time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from tenacity import Retrying, stop_after_delay, wait_exponential_jitter

from app.domain.ids import OwnerId
from app.domain.results import RunResult
from app.ports import Deliverer, Delivery

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hands an end to each deliverer, all at once. Costs nothing where there is none."""

    deliverers: Sequence[Deliverer] = ()
    seconds: float = 10
    _again: Retrying = field(init=False, repr=False)

    def __post_init__(self) -> None:
        again = Retrying(stop=stop_after_delay(self.seconds), wait=wait_exponential_jitter(multiplier=0.1, max=2, jitter=0.2), reraise=True)
        object.__setattr__(self, "_again", again)

    def __call__(self, owner: OwnerId, result: RunResult) -> None:
        """Returns when each has taken it, or after `seconds`: whatever a deliverer does, the end is said. Raises nothing.

        Whoever dies in here has not said the end, so it is delivered again. One that refuses is tried again within `seconds`, and then left out.
        """
        if not self.deliverers:
            return
        delivery = Delivery(owner, result)
        until = time.monotonic() + self.seconds
        threads = [threading.Thread(target=self._try, args=(each, delivery), name=f"deliver-{each.name}", daemon=True) for each in self.deliverers]
        for thread in threads:
            thread.start()
        for thread, deliverer in zip(threads, self.deliverers, strict=True):
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                log.error("%s did not take %s in time; the end is said without it", deliverer.name, delivery.key)

    def _try(self, deliverer: Deliverer, delivery: Delivery) -> None:
        try:
            self._again(deliverer.deliver, delivery)
        except Exception:
            log.exception("%s did not take %s; the end is said without it", deliverer.name, delivery.key)
