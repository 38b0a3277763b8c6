"""A worker of the cluster, as pytest-celery knows it."""

from __future__ import annotations

from pytest_celery import CeleryTestWorker

from app.domain.source import InboxRecord


class WorkerNode(CeleryTestWorker):
    def hostname(self) -> str:
        """Celery's name of the node, as it said it last."""
        return self.logs().rpartition("worker ready: ")[2].split()[0]

    def is_at(self, record: InboxRecord) -> bool:
        """Whether it processes the source, by its own account. One that is dead does not; one that does not answer raises."""
        if self.container.status != "running":
            return False
        answer = self.app.control.inspect([self.hostname()], timeout=10).active()
        assert answer is not None, f"{self.name()} does not answer"
        return any(task["kwargs"]["source"] == record.source_uuid for task in answer[self.hostname()])
