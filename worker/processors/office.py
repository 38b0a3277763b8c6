"""What every Office file says of itself, in its part `core-properties`."""

from __future__ import annotations

from typing import Final

from worker.processors.package import Package, local

_SAYS: Final = {
    "title": "title", "creator": "author", "subject": "subject", "description": "description", "keywords": "keywords", "lastModifiedBy": "last_modified_by",
    "created": "created_at", "modified": "modified_at",
}  # fmt: skip
_SAID_LIMIT_CHARACTERS: Final = 1000


def said(package: Package) -> dict[str, str]:
    name = package.related("", "core-properties") or "docProps/core.xml"
    root = package.tree(name)
    found = {}
    for element in root if root is not None else ():
        text = " ".join((element.text or "").split())[:_SAID_LIMIT_CHARACTERS]
        if text and (key := _SAYS.get(local(element))):
            found[key] = text
    return found
