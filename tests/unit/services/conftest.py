import pytest

from app.services import hub, subscribe
from tests.unit.doubles import House
from tests.unit.services.channel import Channel


@pytest.fixture
async def house(anyio_backend):
    async with House() as made:
        yield made


@pytest.fixture
def channel(house):
    return Channel(house)


@pytest.fixture
def soon(monkeypatch):
    """What takes seconds takes a moment."""
    monkeypatch.setattr(subscribe, "LINGER_SECONDS", 0.02)
    monkeypatch.setattr(subscribe, "_LOOK_SECONDS", 0.02)
    monkeypatch.setattr(subscribe, "_AGAIN_SECONDS", 0.005)
    monkeypatch.setattr(hub, "_SWEEP_SECONDS", 0.02)


@pytest.fixture
def no_sweep(soon, monkeypatch):
    """Ask for it before `house`, which starts the sweeps."""
    monkeypatch.setattr(hub, "_SWEEP_SECONDS", 60)
