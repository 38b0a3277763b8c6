"""SIGKILL in each stage and around each step of the end, to a pool's child and to the whole worker: one success, one result, nothing left."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pytest_celery import CeleryTestSetup

from app.domain.layout import OBJECTS
from tests.celery.places import STAGES, STEPS
from tests.celery.producer import Producer
from tests.client import eventually
from tests.documents import pdf
from tests.stack import Origin

pytestmark = pytest.mark.usefixtures("reconciler")


@pytest.fixture(scope="module")
def app_module() -> str:
    return "tests.celery.mortal"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(scope="module")
def terms(scratch: Path) -> Mapping[str, str]:
    return {"HEADRACE_SCRATCH_DIR": str(scratch)}


@pytest.mark.parametrize("victim", ["child", "worker"])
@pytest.mark.parametrize("where", [*STAGES, *STEPS])
def test_a_death_in_the_middle(where: str, victim: str, celery_setup: CeleryTestSetup, producer: Producer, web: Origin, folder: Path, scratch: Path) -> None:
    metadata = {"dies": where, "victim": victim}
    if where == "fetch":
        source = producer.accept(url=web.url("/report.pdf"), metadata=metadata)
    else:
        source = producer.accept(pdf(["Hello", "World"]), filename="report.pdf", metadata=metadata)
    ended = producer.end(source)
    assert (folder / "data" / f"died-{source.source_uuid}").exists()
    assert (ended["status"], ended["attempt"]) == ("success", 1 if where in STEPS[1:] else 2)
    result = producer.result(source)
    assert result.text is not None
    assert producer.attempts(source, "claimed") == list(range(1, result.attempt + 1))
    producer.sweep()
    assert sorted(producer.kept(source)) == sorted(["result.json", *(f"{result.fence}/{name}" for name in ("text.txt", "pages.jsonl", "thumbnail.webp"))])
    assert producer.store.keys(f"{OBJECTS}{producer.owner}/") == [result.artifacts["original"].key]
    assert producer.ledger.running() == []
    for node in celery_setup.worker_cluster:
        if node.container.status != "running":
            node.restart()
    eventually(lambda: not list(scratch.iterdir()))  # whoever takes the dead one's place looks after it
