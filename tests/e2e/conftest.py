"""One embedded stack for all black-box tests that do not break it. They speak HTTP and WebSocket only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client import Client
from tests.stack import Origin, Stack


@pytest.fixture(scope="session")
def origin() -> Iterator[Origin]:
    """Something to import from."""
    with Origin() as running:
        yield running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, origin: Origin) -> Iterator[Stack]:
    """One stack for all tests that do not break it."""
    running = Stack(
        tmp_path_factory.mktemp("stack"), import_allow_nets="127.0.0.0/8", import_ports=str(origin.port), max_upload_bytes=str(32 * 1024 * 1024)
    ).start()
    yield running
    running.stop()


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with stack.client() as made:
        yield made
