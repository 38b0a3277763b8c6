from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest
from starlette.types import ASGIApp

from app.api.addresses import Addresses
from app.api.deps import Services
from app.api.origins import Origins
from app.api.websocket.lines import Lines
from app.bootstrap import build
from app.services.admission import Admission
from app.services.pace import Pace
from app.services.throttle import Throttle
from app.settings import Settings
from app.wiring import quotas
from tests.unit.doubles import NOW, SECRET, House


def application(house: House, lines: Lines | None = None, **settings: object) -> ASGIApp:
    """The application as bootstrap builds it, middleware and all, over services in memory."""
    known = Settings(secret_keys=SECRET, cors_origins=["http://front.example"], **settings)
    built = build(known, lines)
    api = built
    while not hasattr(api, "state"):
        api = getattr(api, "_app", None) or api.app
    addresses = Addresses(
        "http://127.0.0.1:8811", known.public_url, [name.lower() for name in known.allowed_hosts], [ip_network(net) for net in known.trusted_proxies]
    )
    api.state.services = Services(
        access=house.access,
        pace=Pace(house.rate_limits, house.ledger, quotas(known), clock=lambda: NOW),
        throttle=Throttle(known.guesses_per_minute),
        admission=Admission(house.access, house.ledger, [SECRET], lambda: NOW, 60, known.ws_tickets),
        sockets=house.sockets,
        lines=api.state.lines,
        origins=Origins(known.cors_origins),
        upload=house.upload, sources=house.sources, runs=house.runs, reprocess=house.reprocess, subscribe=house.subscribe, snapshots=house.snapshots, channels=house.ledger, ledger=house.ledger,
        health=house.health,
        store=house.store, offload=house.offload, addresses=addresses, synchronous=house.synchronous, secrets=[SECRET], proxy_downloads=True,
    )  # fmt: skip
    return built


@pytest.fixture
async def house(anyio_backend) -> AsyncIterator[House]:
    async with House() as made:
        yield made


@pytest.fixture
def app(house: House) -> ASGIApp:
    return application(house)
