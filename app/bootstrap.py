"""Wiring of the API process: the only place where its settings, adapters and services meet."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from ipaddress import ip_network

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from app import wiring
from app.adapters.api_keys import ApiKeys
from app.adapters.redis.breaker import Breaker
from app.adapters.redis.commands import Commands
from app.adapters.redis.events import RedisLiveFeed
from app.adapters.redis.fleet import Presence, this_process
from app.adapters.redis.ledger import AsyncRedisLedger
from app.adapters.redis.rate_limits import RedisRateLimits
from app.adapters.storage import open_store
from app.api import downloads, errors, event_streams, health, hosts, public_sources, tokens, webhooks
from app.api.addresses import Addresses
from app.api.deps import BodyCut, Services
from app.api.measure import Measure
from app.api.middleware import Drain
from app.api.openapi import describe_events
from app.api.origins import LOCALHOST, Origins
from app.api.running import Running
from app.api.safe_headers import SafeHeaders
from app.api.streams import Streams
from app.api.websocket.lines import Lines
from app.domain.policy import UploadPolicy
from app.domain.version import VERSION
from app.protocol.deployment import claim_store
from app.protocol.outbox import Targets
from app.services.accept import Accept
from app.services.access import Access
from app.services.admission import Admission
from app.services.budget import BufferBudget
from app.services.conclude import Conclude
from app.services.health import Health
from app.services.hub import Hub
from app.services.offload import Offload
from app.services.owed import Owed
from app.services.pace import Pace
from app.services.reprocess import Reprocess
from app.services.runs import Runs
from app.services.snapshots import Snapshots
from app.services.sockets import SocketLimits, Sockets
from app.services.sources import Sources
from app.services.subscribe import Subscribe
from app.services.synchronous import Synchronous
from app.services.throttle import Throttle
from app.services.upload import Upload
from app.settings import Settings

_CLEAN_UP_SECONDS = 10
"""What uploads that were cut off by our stop have for aborting their transfers."""


def check_store(settings: Settings) -> None:
    """Is the store fit, and ours? Before anything listens. Raises SettingsError, StoreUnfit, Unavailable."""
    store = open_store(wiring.storage(settings))
    try:
        if not settings.unsafe_store:
            store.probe()
        claim_store(store, settings.deployment)
    finally:
        store.close()


def api_keys(settings: Settings) -> ApiKeys:
    return ApiKeys(
        lines=settings.api_keys.get_secret_value() if settings.api_keys else "",
        file=settings.api_keys_file,
        dev_key=settings.dev_key.get_secret_value() if settings.dev_key else None,
        peppers=settings.secrets,
    )


def build(settings: Settings, lines: Lines | None = None) -> ASGIApp:
    """The whole ASGI application. It connects when it starts; nothing here does I/O. `lines`: for who closes the sockets before it stops."""
    api = FastAPI(
        title="Headrace", version=VERSION, lifespan=_lifespan, summary="Upload documents; watch them being checked, read and stored.",
        redirect_slashes=False,
    )  # fmt: skip
    api.state.settings = settings
    api.state.lines = Lines(parks=settings.park_sockets) if lines is None else lines
    errors.install(api)
    api.add_exception_handler(BodyCut, public_sources.on_body_cut)
    for number, prefix in enumerate(public_sources.PREFIXES):
        api.include_router(public_sources.router, prefix=prefix, include_in_schema=number == 0)
    for number, prefix in enumerate(event_streams.PREFIXES):
        api.include_router(event_streams.router, prefix=prefix, include_in_schema=number == 0)
    for number, prefix in enumerate(public_sources.PREFIXES):
        api.include_router(downloads.of_source, prefix=prefix, include_in_schema=number == 0)
    for number, prefix in enumerate(webhooks.PREFIXES):
        api.include_router(webhooks.router, prefix=prefix, include_in_schema=number == 0)
    for number, prefix in enumerate(tokens.PREFIXES):
        api.include_router(tokens.router, prefix=prefix, include_in_schema=number == 0)
    api.include_router(downloads.router)
    api.include_router(health.router)
    describe_events(api)
    api.state.running = Running(Drain(_with_cors(api, settings.cors_origins)))
    served = Streams(Measure(SafeHeaders(api.state.running)), api.state)
    return served if hosts.ANY in settings.answer_hosts else hosts.Hosts(served, settings.answer_hosts)


def _with_cors(app: ASGIApp, origins: list[str]) -> ASGIApp:
    """Outside of everything that answers, so that errors carry the headers too."""
    return CORSMiddleware(
        app,
        allow_origins=[origin for origin in origins if origin != "localhost"],
        allow_origin_regex=LOCALHOST if "localhost" in origins else None,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "X-API-Key", "X-User-ID", "X-Domain", "Content-Type", "Last-Event-ID", "traceparent"],
        expose_headers=["Location", "RateLimit", "RateLimit-Policy", "Retry-After"],
    )


@asynccontextmanager
async def _lifespan(api: FastAPI) -> AsyncIterator[None]:
    settings: Settings = api.state.settings
    announce = wiring.announcer(settings)
    offload = Offload(settings.store_threads)
    store = await offload(open_store, wiring.storage(settings))
    location, calls = wiring.redis(settings), wiring.calls(settings)
    redis = Commands(location)
    breaker = Breaker(lambda: redis("PING"), timeout_seconds=location.timeout_seconds)
    ledger = AsyncRedisLedger(redis, calls, breaker)
    ours = wiring.policy(settings)
    feed = RedisLiveFeed(location, calls.keys, redis)
    hub = Hub(feed, ledger)
    owed = Owed(ledger)
    access = Access(api_keys(settings), ledger, store, offload, owed, settings.secrets)
    webhooks_of = {name: each.webhook for name, each in ours.profiles.items() if each.webhook}
    conclude = Conclude(store, ledger, offload, announce, Targets(webhooks_of))
    accept = Accept(store, ledger, offload, announce, owed, conclude)
    look = Health(ledger, store, offload)
    sources = Sources(store, ledger, offload, announce)
    runs = Runs(store, ledger, offload, conclude, accept)
    snapshots = Snapshots(ledger, sources, store, offload)
    subscribe = Subscribe(ledger, hub, snapshots)
    upload_policy = UploadPolicy(settings.max_upload_bytes, settings.body_stall_seconds, settings.max_request_bytes or 0)
    api.state.services = Services(
        access=access,
        throttle=Throttle(settings.guesses_per_minute),
        pace=Pace(RedisRateLimits(redis, calls.keys, breaker), ledger, wiring.quotas(settings), ours.quotas),
        admission=Admission(access, ledger, settings.secrets, lambda: datetime.now(UTC), settings.events_ttl_seconds, settings.ws_tickets),
        sockets=Sockets(SocketLimits(settings.sockets_per_channel, settings.sockets_per_owner, settings.sockets_per_process)),
        lines=api.state.lines,
        origins=Origins(settings.cors_origins),
        upload=Upload(store, offload, BufferBudget(settings.buffer_bytes), access, ledger, accept, upload_policy, ours.profiles),
        sources=sources,
        runs=runs,
        reprocess=Reprocess(sources, runs),
        subscribe=subscribe,
        snapshots=snapshots,
        channels=ledger,
        ledger=ledger,
        health=look,
        store=store,
        offload=offload,
        addresses=Addresses(
            f"http://{settings.host}:{settings.port}", settings.public_url, [name.lower() for name in settings.allowed_hosts],
            [ip_network(proxy) for proxy in settings.trusted_proxies],
        ),
        synchronous=Synchronous(store, offload, subscribe, settings.sync_timeout_seconds),
        secrets=settings.secrets,
        proxy_downloads=settings.downloads == "proxy",
    )  # fmt: skip
    running = asyncio.gather(hub.run(), owed.run())
    gc.collect()
    gc.freeze()  # what was made so far stays; a full collection over its 100,000 objects stops every upload for 0.03 to 0.2 s
    try:
        with Presence(wiring.fleet(settings), this_process("api")):
            yield
    finally:
        await api.state.running.ended(_CLEAN_UP_SECONDS)
        api.state.lines.cut()
        await asyncio.sleep(0)  # they say so to their readers in the next turn
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await subscribe.close()
        await look.close()
        await ledger.close()
        await offload(store.close)
        offload.close()
