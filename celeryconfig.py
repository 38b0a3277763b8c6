"""Celery's settings, by Celery's names. The reasons: docs/adr/0004-celery-on-redis.md.

No setting of Celery on Redis is free of loss, so none is trusted: a message is a hint (app/domain/jobs.py).
"""

from __future__ import annotations

from app.domain.jobs import QUEUES, Lane
from app.settings import load

_settings = load()

broker_url = _settings.redis_url.get_secret_value()
task_queues: dict[str, dict[str, str]] = {name: {} for name in QUEUES}  # a worker takes from all of them, or from those that -Q names
task_default_queue = Lane.FAST.queue
task_create_missing_queues = False
control_exchange = "headrace.control"
event_exchange = "headrace.events"
event_queue_prefix = "headrace.events"

accept_content = ["json"]
task_serializer = "json"
event_serializer = "json"
result_accept_content = ["json"]
task_ignore_result = True  # no result backend: the state of a source is in the store and the ledger

task_acks_late = True
task_reject_on_worker_lost = True  # prompt rerun after a child died; the cap of attempts is in the claim
task_acks_on_failure = True  # never loop on errors: retries are ours
task_acks_on_timeout = True
worker_prefetch_multiplier = 1
worker_disable_prefetch = True  # take a message only when a child is free
task_soft_time_limit = _settings.task_timeout_seconds  # ends the run as `timeout`
task_time_limit = _settings.task_timeout_seconds + 30  # the last resort; then the lease expires

broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_channel_error_retry = True  # a full Redis must not end the worker
worker_cancel_long_running_tasks_on_connection_loss = False
broker_transport_options = {
    "global_keyprefix": _settings.redis_prefix,
    "queue_order_strategy": "round_robin",  # the lane that a message came from is asked last for the next one, so none starves
    "visibility_timeout": 12 * 3600,  # recovery is by lease, not by this
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": 3,
    "socket_timeout": 15,
    "socket_keepalive": True,
    "health_check_interval": 10,
}

worker_soft_shutdown_timeout = 25
worker_enable_soft_shutdown_on_idle = False
worker_max_tasks_per_child = 1000
worker_max_memory_per_child = 400_000  # KiB, looked at between tasks
worker_hijack_root_logger = False
worker_send_task_events = True  # for Flower
