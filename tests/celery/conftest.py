"""pytest-celery's clusters over processes: the embedded stack's own commands for broker, workers and reconciler, without the API.

The nodes live as long as a module's tests; whatever a test killed is started again before the next one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from celery import Celery, _state
from kombu import pools
from pytest_celery import CeleryBrokerCluster, CeleryTestBroker, CeleryTestSetup, CeleryWorkerCluster

from app.domain.source import InboxRecord
from app.settings import Settings, load
from devstack import parts
from devstack.datadir import DataDir
from devstack.process import Command
from tests.celery.container import ProcessContainer
from tests.celery.producer import Producer
from tests.celery.worker_node import WorkerNode
from tests.client import eventually
from tests.stack import Origin

APP = "worker.celery_app"


@pytest.fixture(scope="package", autouse=True)
def _no_engine() -> Iterator[None]:
    """Who asks for a container fails, also where an engine runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
        yield


@pytest.fixture(scope="module")
def terms() -> Mapping[str, str]:
    """Settings of the module's cluster."""
    return {}


@pytest.fixture(scope="module")
def app_module() -> str:
    """What the workers are started with."""
    return APP


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def web() -> Iterator[Origin]:
    with Origin() as running:
        yield running


@pytest.fixture
def origin(web: Origin) -> Iterator[Origin]:
    """Whoever fetches `/slow` is held until the test lets go."""
    while web.asked.acquire(blocking=False):
        pass
    web.let_go.clear()
    yield web
    web.let_go.set()


@pytest.fixture(scope="module")
def commands(folder: Path, web: Origin, terms: Mapping[str, str], app_module: str) -> dict[str, Command]:
    """Those of the embedded stack, by name, without the worker that is for the fast lane alone: either of the two may take any source."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")} | {
        "HEADRACE_PORT": "0",
        "HEADRACE_FLOWER_PORT": "0",
        "HEADRACE_METRICS_PORT": "0",
        "HEADRACE_WORKERS": "3",
        "HEADRACE_IMPORT_ALLOW_NETS": "127.0.0.0/8",
        "HEADRACE_IMPORT_PORTS": str(web.port),
        "HEADRACE_LEASE_SECONDS": "3",
        "HEADRACE_GRACE_SECONDS": "1",
        "HEADRACE_INBOX_SCAN_SECONDS": "1",
        **terms,
    }
    with DataDir(folder / "data") as data:
        plan = parts.plan(load(environ), data, environ)
    assert plan.listening is not None
    plan.listening.close()
    found = [replace(command, argv=tuple(app_module if word == APP else word for word in command.argv)) for group in plan.groups for command in group]
    return {command.name: command for command in found if command.name != "worker1"}


@pytest.fixture(scope="module")
def settings(commands: dict[str, Command]) -> Settings:
    """What the workers read."""
    return load(commands["worker2"].environ)


@pytest.fixture(scope="module")
def celery_broker_cluster(commands: dict[str, Command], settings: Settings, folder: Path) -> Iterator[CeleryBrokerCluster]:
    broker = CeleryTestBroker(ProcessContainer(commands["redis"], folder, url=settings.redis_url.get_secret_value()))
    try:
        assert broker.ready()
        yield CeleryBrokerCluster(broker)
    finally:
        broker.teardown()


@pytest.fixture(scope="module")
def celery_backend_cluster() -> None:
    """Headrace has none."""


@pytest.fixture(scope="module")
def celery_worker_cluster(commands: dict[str, Command], folder: Path, celery_broker_cluster: CeleryBrokerCluster) -> Iterator[CeleryWorkerCluster]:
    nodes = [WorkerNode(ProcessContainer(command, folder), app=None) for command in commands.values() if command.kind == "worker"]
    try:
        cluster = CeleryWorkerCluster(*nodes)
        assert cluster.ready()
        yield cluster
    finally:
        for node in nodes:
            node.teardown()


@pytest.fixture(scope="module")
def reconciler(commands: dict[str, Command], folder: Path, celery_broker_cluster: CeleryBrokerCluster) -> Iterator[ProcessContainer]:
    container = ProcessContainer(commands["reconciler"], folder)
    try:
        assert container.ready()
        yield container
    finally:
        container.teardown()


class _Setup(CeleryTestSetup):
    @classmethod
    def update_app_config(cls, app: Celery) -> None:
        """The product's configuration, at this cluster's broker."""
        broker_url = app.conf.broker_url
        app.config_from_object("celeryconfig")
        app.conf.broker_url = broker_url


@pytest.fixture
def celery_setup_cls() -> type[CeleryTestSetup]:
    return _Setup


@pytest.fixture
def celery_setup_app(celery_setup_cls: type[CeleryTestSetup], celery_setup_config: dict, celery_setup_name: str) -> Iterator[Celery]:
    """The test's own app. No other test is to find it as Celery's current one."""
    before = _state._tls.current_app
    app = celery_setup_cls.create_setup_app(celery_setup_config=celery_setup_config, celery_setup_app_name=celery_setup_name)
    yield app
    app.close()
    pools.reset()  # kombu keeps connections for the whole process; the broker of the next test is another one
    _state._set_current_app(before)


@pytest.fixture(autouse=True)
def _whole(celery_broker_cluster: CeleryBrokerCluster, celery_worker_cluster: CeleryWorkerCluster) -> None:
    for node in (*celery_broker_cluster, *celery_worker_cluster):
        if node.container.status != "running":
            node.restart()


@pytest.fixture
def producer(request: pytest.FixtureRequest, settings: Settings, celery_setup: CeleryTestSetup) -> Iterator[Producer]:
    """An owner of the test's own."""
    with Producer(settings, request.node.name) as made:
        yield made


@pytest.fixture
def at_work(celery_setup: CeleryTestSetup) -> Callable[[InboxRecord], WorkerNode]:
    """Finds the node that processes a source."""
    return lambda record: eventually(lambda: next((node for node in celery_setup.worker_cluster if node.is_at(record)), None))
