"""What Prometheus sees of an API process, and of the reconciler. Labels are from closed sets only."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client import Counter, Gauge, Histogram

ANSWERS = Counter("headrace_http_answers_total", "Answers of the HTTP API", ["method", "status"])
ANSWER_SECONDS = Histogram(
    "headrace_http_answer_seconds", "From the first byte of a request to the end of its answer", buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 60)
)
SOCKETS = Gauge("headrace_sockets", "Open WebSockets and event streams", ["tier"])
SOCKETS_SLOW = Counter("headrace_sockets_slow_total", "WebSockets closed because their client did not take what was sent")
SOCKETS_SILENT = Counter("headrace_sockets_silent_total", "WebSockets cut off because nothing was heard of their client")
LISTENERS = Gauge("headrace_listeners", "Readers of channels: sockets, streams and synchronous calls")
JOINS = Counter("headrace_joins_total", "Readers that joined a channel")
HISTORY_READS = Counter("headrace_history_reads_total", "Readings of a channel's history: one at each join, and one for each suspected gap")
GAPS_HEALED = Counter("headrace_gaps_healed_total", "Readings of the history that found milestones which the live link had not brought")
HISTORY_LOST = Counter("headrace_history_lost_total", "Readers that were told that a part of the history is gone")
OVERRUNS = Counter("headrace_listeners_overrun_total", "Readers that fell too far behind, and went on from the history")
LIVE_RECONNECTS = Counter("headrace_live_reconnects_total", "New connections of the live link to Redis, after the first")
REDIS_OPEN = Gauge("headrace_redis_breaker_open", "1 while Redis did not answer in time and is not asked by requests")
REDIS_TRIPS = Counter("headrace_redis_breaker_trips_total", "Times that Redis did not answer in time: each cost a request the timeout")
REDIS_REFUSED = Counter("headrace_redis_breaker_refused_total", "Calls to Redis that were not made, because it did not answer before")
OWED = Gauge("headrace_owed", "Sources and channels that were accepted while Redis was away, and are not yet in it")
DELIVERY_SECONDS = Histogram(
    "headrace_delivery_seconds",
    "From an event's `at` to when a reader took it from the live link",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5),
)
RECONCILED = Counter("headrace_reconciled_total", "What the reconciler found open and did something about", ["what"])
SWEPT = Counter("headrace_swept_total", "What the daily sweep removed", ["what"])
SWEEP_FINISHED = Gauge("headrace_sweep_finished_timestamp_seconds", "When the last whole sweep ended")


def delivered(at: str) -> None:
    """A reader takes a milestone as it comes. Its `at` is its maker's clock: hosts whose clocks differ show that here."""
    DELIVERY_SECONDS.observe(max(0.0, (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()))
