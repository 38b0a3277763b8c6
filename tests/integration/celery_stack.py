"""A Celery application for tests/integration/test_redis_isolation.py: with celeryconfig as it stands, or a stranger's, plain as Celery makes it.

`CELERY_STACK` in the environment: `headrace`, or `foreign` (then `FOREIGN_BROKER` is its server). Its tasks print what they got.
"""

import os
import sys

from celery import Celery

from app.domain.jobs import PROCESS_SOURCE

if os.environ["CELERY_STACK"] == "foreign":
    app = Celery("foreign", broker=os.environ["FOREIGN_BROKER"])
else:
    app = Celery("headrace")
    app.config_from_object("celeryconfig")


@app.task(name=PROCESS_SOURCE if os.environ["CELERY_STACK"] == "headrace" else "foreign.task")
def ran(**payload):
    print("ran", payload["source"], flush=True, file=sys.__stdout__)  # Celery takes sys.stdout for its log
