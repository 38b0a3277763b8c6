import pytest
from hypothesis import settings

# A shared machine may take its time over one example; pytest-timeout bounds the whole.
settings.register_profile("headrace", deadline=None)
settings.load_profile("headrace")


@pytest.fixture
def anyio_backend() -> str:
    """Asynchronous tests run on asyncio, as the API does."""
    return "asyncio"
