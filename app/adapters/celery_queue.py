"""A Celery message, written by ourselves, so that a script can push it together with the record that it belongs to.

It is Celery's protocol 2 inside the envelope of kombu's virtual transports (kombu 5.7: kombu/transport/virtual/base.py,
celery/app/amqp.py as_task_v2). tests/contract/test_celery_message.py holds it against what kombu itself writes.
"""

from __future__ import annotations

import base64
import json
import uuid

from app.domain.wire import Stored


def message(task: str, queue: str, payload: Stored) -> bytes:
    """What kombu's Redis transport expects in the list of `queue`: `task` called with the payload's fields as keywords."""
    task_id = str(uuid.uuid4())
    kwargs = payload.model_dump(mode="json", by_alias=False)
    body = json.dumps([[], kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    envelope = {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py", "task": task, "id": task_id, "root_id": task_id, "parent_id": None, "group": None, "group_index": None,
            "shadow": None, "eta": None, "expires": None, "retries": 0, "timelimit": [None, None], "argsrepr": "()", "kwargsrepr": repr(kwargs),
            "origin": "headrace", "ignore_result": True, "replaced_task_nesting": 0, "stamped_headers": None, "stamps": {},
        },
        "properties": {
            "correlation_id": task_id, "reply_to": "", "delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0, "body_encoding": "base64", "delivery_tag": str(uuid.uuid4()),
        },
    }  # fmt: skip
    return json.dumps(envelope).encode()
