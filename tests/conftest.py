"""Fixtures of all tests."""

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest
from hypothesis import HealthCheck, settings

from app.adapters.redis.calls import Terms
from devstack.ceph import Ceph, NotInstalled, RealS3
from tests import redis_users
from tests.ledgers import KINDS, MemoryFaces, RedisFaces
from tests.servers import Valkey

# How fast an example is, and how fast they are found, is the machine's affair.
settings.register_profile("headrace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("headrace")


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """One server for the whole session, nothing on disk. Tests share it: each stays under its own `redis_prefix`, and none may wipe or stop it."""
    with Valkey() as server:
        redis_users.let_in(server, "test-*:")
        yield server


@pytest.fixture
def redis_prefix() -> str:
    """A prefix that no other test has."""
    return f"test-{uuid.uuid4().hex}:"


@pytest.fixture
def open_ledger(redis_prefix, request):
    """Opens a ledger of a kind (tests/ledgers.py) on the session's server, closed after the test. One test's ledgers share their Redis keys.

    On Redis it may do no more than the users of deploy/redis-users.acl.
    """
    with ExitStack() as opened:

        def make(kind: str, terms: Terms | None = None):
            if kind.startswith("memory"):
                return opened.enter_context(MemoryFaces(kind, terms or Terms()))
            server = request.getfixturevalue("valkey")
            raw = opened.enter_context(server.client())
            url_of = partial(redis_users.url, server)
            return opened.enter_context(RedisFaces(kind, server.url, redis_prefix, terms or Terms(), raw, url_of=url_of))

        yield make


@pytest.fixture(params=KINDS)
def make_ledger(request, open_ledger):
    """Makes ledgers of each kind in turn, on terms of the test's choice."""
    return lambda terms=None: open_ledger(request.param, terms)


@pytest.fixture
def ledger(make_ledger):
    """With the terms of production: no lease and no grace runs out while a test runs."""
    return make_ledger()


@pytest.fixture(scope="session")
def real_s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealS3]:
    """Ceph's gateway, over http and https; for tests that are marked `s3`."""
    try:
        ceph = Ceph(tmp_path_factory.mktemp("ceph"), tls=True)
    except NotInstalled as error:
        if os.environ.get("HEADRACE_REQUIRE_S3") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
    with ceph as s3:
        yield s3
