"""Wiring of a worker process: one set of parts for each process, made after the fork."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

from app import wiring
from app.adapters.clamd import Clamd
from app.adapters.http_fetch import GuardedFetcher
from app.adapters.http_guard import FetchPolicy
from app.adapters.http_post import HttpWebhookSender
from app.adapters.redis.blocking_commands import BlockingCommands
from app.adapters.redis.ledger import RedisLedger
from app.adapters.storage import open_store
from app.ports import ObjectStore
from app.protocol.deliver import Deliver
from app.protocol.deployment import claim_store
from app.protocol.outbox import Targets
from app.settings import Settings, SettingsError, load
from headrace_plugin import Limits
from worker.chunks import embedders
from worker.courier import BeforeClient, Courier
from worker.guards.limits import Unpacked
from worker.isolation.embedder_host import EmbedderHost
from worker.isolation.parser_host import ParserHost
from worker.pipeline import scratch
from worker.pipeline.run import STAGES, Parts, chunked, scanned
from worker.pipeline.stages.chunk import Chunk
from worker.pipeline.stages.embed import Embed
from worker.pipeline.step import Step
from worker.processors import named

_REDIS_SECONDS = 5.0
"""A worker may wait longer for Redis than the API: nobody waits for it."""

_lock = threading.Lock()
_made: dict[int, Parts] = {}


def make(settings: Settings, *, timeouts: tuple[type[BaseException], ...] = ()) -> Parts:
    """Raises StoreUnfit, SettingsError, Unavailable."""
    store = open_store(wiring.storage(settings))
    claim_store(store, settings.deployment)
    place = settings.scratch_dir or Path(tempfile.gettempdir())
    place.mkdir(parents=True, exist_ok=True)
    scratch.sweep(place)  # of the process whose place we take, perhaps
    try:
        fetcher = GuardedFetcher(_fetch_policy(settings))
    except ValueError as error:
        raise SettingsError(f"HEADRACE_IMPORT_…: {error}") from error
    tells = courier(settings, store)
    heard_before = any(webhook.before_client for webhook in tells.webhooks.values())
    return Parts(
        store=store,
        ledger=RedisLedger(BlockingCommands(wiring.redis(settings, timeout_seconds=_REDIS_SECONDS)), wiring.calls(settings)),
        fetcher=fetcher,
        announcer=wiring.announcer(settings),
        scratch=place,
        max_upload_bytes=min(settings.max_upload_bytes, settings.scratch_bytes or settings.max_upload_bytes),
        lease_seconds=settings.lease_seconds,
        accept_types=tuple(settings.accept_types),
        stages=_stages(settings),
        parser=ParserHost(_named(settings)),
        limits=_limits(settings),
        unpacked=Unpacked(
            ratio=settings.unpack_ratio, archive_entries=settings.archive_entries, archive_bytes=settings.archive_bytes, pixels=settings.reading_pixels
        ),
        outage_seconds=settings.outage_seconds,
        deliver=Deliver((BeforeClient(tells),) if heard_before else (), seconds=settings.deliver_seconds),
        targets=Targets(tells.webhooks),
        timeouts=timeouts,
    )


def _stages(settings: Settings) -> tuple[Step, ...]:
    """Raises SettingsError."""
    steps = STAGES if settings.clamd_url is None else scanned(_clamd(settings.clamd_url, settings.clamd_timeout_seconds))
    of_profiles = {name: each.chunks for name, each in wiring.policy(settings).profiles.items() if each.chunks is not None}
    embedder = _embedder(settings)
    if not (settings.chunks or any(of_profiles.values()) or embedder):
        return steps
    chunk = Chunk(settings.chunk_characters, by_default=settings.chunks, of_profiles=of_profiles, on_request=embedder is not None)
    return chunked(steps, chunk, Embed(embedder, _embedding_limits(settings))) if embedder else chunked(steps, chunk)


def _embedder(settings: Settings) -> EmbedderHost | None:
    """Looked for here, so that a worker without it does not start; imported in its host only."""
    if settings.embedder is None:
        return None
    try:
        embedders.find(settings.embedder)
    except ValueError as error:
        raise SettingsError(f"HEADRACE_EMBEDDER: {error}") from error
    return EmbedderHost(settings.embedder)


def _embedding_limits(settings: Settings) -> Limits:
    return Limits(
        memory_bytes=settings.embedding_memory_bytes,
        cpu_seconds=settings.embedding_wall_seconds,
        wall_seconds=settings.embedding_wall_seconds,
        file_bytes=settings.reading_file_bytes,
    )


def _clamd(url: str, timeout_seconds: float) -> Clamd:
    try:
        return Clamd(url, timeout_seconds=timeout_seconds)
    except ValueError as error:
        raise SettingsError(f"HEADRACE_CLAMD_URL: {error}") from error


def _named(settings: Settings) -> Path | None:
    """The file, looked through here, so that a worker with a wrong one does not start."""
    if settings.processors_file is not None:
        try:
            named.read(settings.processors_file)
        except ValueError as error:
            raise SettingsError(f"HEADRACE_PROCESSORS_FILE: {error}") from error
    return settings.processors_file


def _limits(settings: Settings) -> Limits:
    return Limits(
        memory_bytes=settings.reading_memory_bytes,
        cpu_seconds=settings.reading_cpu_seconds,
        wall_seconds=settings.reading_wall_seconds,
        file_bytes=settings.reading_file_bytes,
        text_characters=settings.reading_characters,
        pages=settings.reading_pages,
        pixels=settings.reading_pixels,
        frames=settings.reading_frames,
        thumbnail_pixels=settings.thumbnail_pixels,
        ocr_pages=settings.ocr_pages,
    )


def courier(settings: Settings, store: ObjectStore) -> Courier:
    webhooks = {name: each.webhook for name, each in wiring.policy(settings).profiles.items() if each.webhook}
    announcer = wiring.announcer(settings)
    return Courier(store, announcer, HttpWebhookSender(_fetch_policy(settings)), webhooks, settings.secrets, announcer.clock)


def _fetch_policy(settings: Settings) -> FetchPolicy:
    return FetchPolicy(
        allow_nets=tuple(settings.import_allow_nets),
        ports=tuple(settings.import_ports),
        nameserver=settings.import_nameserver,
        timeout_seconds=settings.import_timeout_seconds,
    )


def parts(timeouts: tuple[type[BaseException], ...] = ()) -> Parts:
    """This process' parts. Kept by process id: what a parent made is never used in its child (obstore hangs there)."""
    with _lock:
        found = _made.get(os.getpid())
        if found is None:
            _made.clear()
            found = _made[os.getpid()] = make(load(), timeouts=timeouts)
        return found
