"""A claim: what was measured, the floor it stands beside, and the bound that it must keep."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


class Skipped(Exception):
    """This machine lacks what the script needs; the text says what."""


@dataclass(frozen=True, slots=True)
class Claim:
    name: str
    value: float
    unit: str
    floor: float | None = None
    bound: float | None = None
    """Of the ratio to the floor where there is a floor, else of the value. None: for information."""
    note: str = ""
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    """Load average of the last minute: on a busy machine only the ratios mean something."""

    @property
    def ratio(self) -> float | None:
        return None if self.floor is None else self.value / self.floor

    @property
    def holds(self) -> bool | None:
        """None where nothing is promised."""
        if self.bound is None:
            return None
        return (self.value if self.ratio is None else self.ratio) <= self.bound

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "value": self.value, "unit": self.unit, "floor": self.floor, "ratio": self.ratio, "bound": self.bound,
            "holds": self.holds, "note": self.note, "load": self.load,
        }  # fmt: skip


_HOLDS = {True: "yes", False: "NO", None: ""}


def table(claims: Sequence[Claim]) -> str:
    rows = [("claim", "value", "floor", "ratio", "bound", "holds", "load", "")]
    for claim in claims:
        bound = "" if claim.bound is None else f"{claim.bound:g}x" if claim.floor is not None else f"{claim.bound:g}"
        rows.append(
            (
                claim.name, f"{claim.value:.2f} {claim.unit}", "" if claim.floor is None else f"{claim.floor:.2f}",
                "" if claim.ratio is None else f"{claim.ratio:.2f}x", bound, _HOLDS[claim.holds], f"{claim.load:.1f}", claim.note,
            )
        )  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(7)]
    lines = []
    for name, *cells, note in rows:
        aligned = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *aligned, note]).rstrip())
    return "\n".join(lines)
