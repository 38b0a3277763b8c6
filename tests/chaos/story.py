"""All that is known of one source, in order of time, so that the cause of what went wrong with it can be found."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from app.domain.ids import owner_id
from tests.chaos.audit import ORGANISATION, Audit, Violation
from tests.chaos.fault import Fault
from tests.chaos.fleet import Fleet
from tests.chaos.visitor import Visitor

_AROUND_SECONDS = 15.0
_LOG_LINES = 20


def story(violation: Violation, audit: Audit, fleet: Fleet, faults: list[Fault]) -> str:
    lines = [f"{violation.kind}: {violation.what}"]
    visitor, submission = violation.visitor, violation.submission
    if visitor is not None and submission is None:
        return "\n".join([lines[0], *_of(visitor, faults)])
    if visitor is None or submission is None:
        return lines[0]
    source = submission.source
    lines.append(
        f"  {submission.kind} {source} of {visitor.user} ({owner_id(ORGANISATION, visitor.user)}) on {visitor.channel}, expected {submission.expected}"
    )
    moments = [(at, f"client   {answer}") for at, answer in submission.answers]
    for ear in visitor.ears:
        for connection, at, event in ear.heard:
            if event.get("source-uuid") == source or event["event"] == "channel.recovered":
                words = [str(event[key]) for key in ("event-id", "event", "message", "state", "status", "attempt", "code") if key in event]
                moments.append((at, f"{ear.name}, connection {connection}: {' '.join(words)}"))
    shown = audit.shown.get(source, (0, {}))[1]
    for entry in shown.get("timeline", []):
        moments.append((datetime.fromisoformat(entry["at"]).timestamp(), f"timeline {entry['what']} (attempt {entry['attempt']})"))
    if moments:
        first, last = min(at for at, _ in moments), max(at for at, _ in moments)
        moments += [
            (fault.begun_at, f"FAULT    {fault.name}: {fault.what}")
            for fault in faults
            if fault.begun_at is not None and first - _AROUND_SECONDS < fault.begun_at < last + _AROUND_SECONDS
        ]
    for at, what in sorted(moments):
        stamp = datetime.fromtimestamp(at, UTC)
        lines.append(f"    {stamp:%H:%M:%S}.{stamp.microsecond // 1000:03} {what}")
    lines.append(f"    shown: {shown.get('state')} run {shown.get('run')} attempt {shown.get('attempt')} {shown.get('code') or ''}")
    lines += [f"    result: {result.state} run {result.run} attempt {result.attempt} fence {result.fence}" for result in audit.results.get(source, [])]
    for prefix in ("inbox/", f"sources/{owner_id(ORGANISATION, visitor.user)}/{source}/", f"channels/{visitor.channel}/"):
        lines += [f"    key: {key}" for key in audit.storage.keys(prefix) if source in key]
    with audit.redis.client() as client:
        for key in client.scan_iter(f"{audit.prefix}*{source}", count=1000):
            held = client.hgetall(key) if client.type(key) == "hash" else client.lrange(key, 0, -1)
            lines.append(f"    redis: {key} {held}")
    lines += [f"    log: {line[:240]}" for line in fleet.log_lines(source)[-_LOG_LINES:]]
    return "\n".join(lines)


def _of(visitor: Visitor, faults: list[Fault]) -> list[str]:
    """All that its readers heard."""
    moments = [(fault.begun_at, f"FAULT    {fault.name}: {fault.what}") for fault in faults if fault.begun_at is not None]
    for ear in visitor.ears:
        for connection, at, event in ear.heard:
            words = [str(event[key]) for key in ("event-id", "event", "source-uuid", "message", "state", "status", "attempt", "code") if key in event]
            moments.append((at, f"{ear.name}, connection {connection} of {ear.connections}: {' '.join(words)}"))
    return [f"    {clock(at)} {what}" for at, what in sorted(moments)]


def clock(at: float | None) -> str:
    return "" if at is None else time.strftime("%H:%M:%S", time.gmtime(at))
