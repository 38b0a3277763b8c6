"""`make sbom`: what is in the image beside Debian and Python, as CycloneDX 1.6, out of the pins and their hashes. Nothing is asked of anybody."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from app.domain.version import VERSION

PINS = Path(__file__).parents[1] / "requirements/run.txt"
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def components(pins: str) -> list[dict[str, Any]]:
    """One for each pin. Its hashes are of all the wheels that may be installed for it: as properties, since only one of them is what you have."""
    starts = [*_PIN.finditer(pins)]
    ends = [*(start.start() for start in starts[1:]), len(pins)]
    found = []
    for pin, end in zip(starts, ends, strict=True):
        name, version = pin[1].lower(), pin[2]
        hashes = [{"name": "headrace:wheel:sha256", "value": value} for value in _HASH.findall(pins, pin.start(), end)]
        one = {"type": "library", "bom-ref": f"pkg:pypi/{name}@{version}", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
        found.append(one | _licence(name) | {"properties": hashes})
    return found


def document(pins: str) -> dict[str, Any]:
    ours = {"type": "application", "bom-ref": "headrace", "name": "headrace", "version": VERSION, "licenses": [{"license": {"id": "Apache-2.0"}}]}
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "metadata": {"component": ours}, "components": components(pins)}


def _licence(name: str) -> dict[str, Any]:
    """As the installed package says, where it says it in SPDX's words; nothing for one that is not installed here."""
    try:
        said = metadata(name).json.get("license_expression")
    except PackageNotFoundError:
        return {}
    return {"licenses": [{"expression": said}]} if said else {}


if __name__ == "__main__":
    json.dump(document(PINS.read_text()), sys.stdout, indent=2)
    sys.stdout.write("\n")
