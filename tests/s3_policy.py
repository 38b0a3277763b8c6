"""The policies of deploy/s3-policy-*.json, and a store that keeps to one: what an S3 server would refuse raises PermissionError."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from app.adapters.create_only import prove

BUCKET = "arn:aws:s3:::BUCKET"
GET, PUT, DELETE, ABORT, LIST = "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListBucket"
PARTS, TRANSFERS = "s3:ListMultipartUploadParts", "s3:ListBucketMultipartUploads"
_NEEDS = {"put": (PUT,), "create": (PUT,), "start": (PUT, ABORT), "get": (GET,), "read": (GET,), "stat": (GET,), "link": (GET,), "path": (GET,)}


class Rights:
    """What one of the two files allows."""

    def __init__(self, role: str) -> None:
        file = Path(__file__).parents[1] / f"deploy/s3-policy-{role}.json"
        self.statements: list[dict[str, Any]] = json.loads(file.read_text())["Statement"]

    def allows(self, action: str, key: str) -> bool:
        """`key`: for LIST the prefix."""
        resource = BUCKET if action in {LIST, TRANSFERS} else f"{BUCKET}/{key}"
        return any(
            action in _several(one["Action"])
            and any(fnmatchcase(resource, pattern) for pattern in _several(one["Resource"]))
            and (action != LIST or any(fnmatchcase(key, pattern) for pattern in one["Condition"]["StringLikeIfExists"]["s3:prefix"]))
            for one in self.statements
        )


class Permitted:
    """An object store as one with these rights has it: `api`, or `worker` (the reconciler's too)."""

    def __init__(self, inner: Any, role: str) -> None:
        self.inner = inner
        self._role, self._rights = role, Rights(role)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.inner, name)

        def call(key: str, *args: Any, **kwargs: Any) -> Any:
            self._check(key, *_NEEDS[name])
            return real(key, *args, **kwargs)

        def listed(prefix: str, **kwargs: Any) -> Any:
            self._check(prefix, LIST)
            return real(prefix, **kwargs)

        return call if name in _NEEDS else listed if name in {"names", "keys", "listing"} else real

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._check(key, DELETE)
        self.inner.delete(keys)

    def drop_abandoned(self, before: Any) -> int:
        self._check("", TRANSFERS)
        self._check("objects/o/u", PARTS, ABORT)
        return self.inner.drop_abandoned(before)

    def probe(self) -> None:
        prove(self)  # type: ignore[arg-type]  # it has all that is asked of it

    def _check(self, key: str, *actions: str) -> None:
        for action in actions:
            if not self._rights.allows(action, key):
                raise PermissionError(f"{self._role} may not {action} {key!r}")


def _several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
