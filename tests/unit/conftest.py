import pytest
from hypothesis import HealthCheck, settings

# A shared machine may take its time over one example, or over making it up; pytest-timeout bounds the whole.
settings.register_profile("headrace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headrace")


@pytest.fixture
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the API does."""
    return "asyncio"
