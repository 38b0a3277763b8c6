"""`make audit`, and a part of `make check`: known holes in what is pinned, by pip-audit. What could not be asked is said, and never taken for good.

pip-audit is not among the pins: it is of use only where its advisory service is reachable, and brings two dozen packages. With it on PATH it is used.
Exit status: 1 when a hole is known; 0 otherwise, also when nothing could be audited, which is said aloud.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PINS = Path(__file__).parents[1] / "requirements/run.txt"
_SECONDS = 120


def ask(tool: str | None) -> tuple[list[dict[str, Any]], str]:
    """What pip-audit says of each pin, and why it says nothing at all."""
    if tool is None:
        return [], "pip-audit is not installed"
    command = [tool, "--requirement", str(PINS), "--disable-pip", "--require-hashes", "--format", "json", "--progress-spinner", "off"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], str(error)
    try:
        return list(json.loads(run.stdout)["dependencies"]), ""
    except (ValueError, LookupError, TypeError):
        return [], (run.stderr.strip().splitlines() or ["it said nothing"])[-1]


def verdict(told: list[dict[str, Any]], trouble: str) -> tuple[int, list[str]]:
    """Exit status, and what to say."""
    holes = [f"{each['name']} {each.get('version', '')}: {hole['id']}" for each in told for hole in each.get("vulns", ())]
    unasked = [each["name"] for each in told if "skip_reason" in each]
    lines = [f"known hole: {hole}" for hole in holes]
    if not told:
        lines.append(f"NOT AUDITED: {trouble or 'nothing was asked'}. This says nothing about the dependencies")
    elif unasked:
        lines.append(f"NOT AUDITED: {len(unasked)} of {len(told)} packages: {', '.join(unasked[:5])}{', …' if len(unasked) > 5 else ''}")
    elif not holes:
        lines.append(f"audited: {len(told)} packages, no known hole")
    return int(bool(holes)), lines


def main() -> int:
    status, lines = verdict(*ask(shutil.which("pip-audit")))
    for line in lines:
        print(f"audit: {line}", file=sys.stderr)  # noqa: T201 - its whole output
    return status


if __name__ == "__main__":
    sys.exit(main())
