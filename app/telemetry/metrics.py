"""What Prometheus sees of an API process. Labels are from closed sets only."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

ANSWERS = Counter("headrace_http_answers_total", "Answers of the HTTP API", ["method", "status"])
ANSWER_SECONDS = Histogram(
    "headrace_http_answer_seconds", "From the first byte of a request to the end of its answer", buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 60)
)
SOCKETS = Gauge("headrace_sockets", "Open WebSockets")
