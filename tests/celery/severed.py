"""A worker from which kombu takes the connection in the unlucky moment, every time: before the channel is done with it.

With `SEVERED_GUARD=1` it has our guard. Its one task works until a file of the test's appears.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery
from kombu import Connection

from app.domain.jobs import PROCESS_SOURCE

if os.environ["SEVERED_GUARD"] == "1":
    from worker import kombu_guard as kombu_guard  # noqa: PLC0414 - for what it does

app = Celery("severed")
app.config_from_object("celeryconfig")


def _sever(self, socket_timeout=None):
    self.transport.client = None


Connection.collect = _sever


@app.task(name=PROCESS_SOURCE)
def work(**_):
    print("began", flush=True)
    while not Path(os.environ["SEVERED_LET_GO"]).exists():
        time.sleep(0.02)
    print("ended", flush=True)
