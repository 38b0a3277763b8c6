"""The parts of one transfer that have arrived, from whichever thread and in whatever order."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

from app.domain.policy import MAX_PARTS, MIB

_SMALLEST = 5 * MIB

Receipt = TypeVar("Receipt")


class Parts(Generic[Receipt]):
    """Number -> size and what the store gave for it. Raises ValueError on parts that would make another object than was meant."""

    def __init__(self, part_bytes: int) -> None:
        if part_bytes < _SMALLEST:
            raise ValueError(f"parts of {part_bytes} bytes: S3 takes no less than 5 MiB")
        self._part_bytes = part_bytes
        self._arrived: dict[int, tuple[int, Receipt]] = {}
        self._lock = threading.Lock()

    def check(self, number: int, size: int) -> None:
        if not 1 <= number <= MAX_PARTS or size > self._part_bytes:
            raise ValueError(f"part {number} of {size} bytes")

    def add(self, number: int, size: int, receipt: Receipt) -> None:
        with self._lock:
            self._arrived[number] = (size, receipt)

    def in_order(self) -> list[Receipt]:
        with self._lock:
            arrived = sorted(self._arrived.items())
        if any(number != place for place, (number, _) in enumerate(arrived, start=1)):
            raise ValueError("a part is missing")
        if any(size != self._part_bytes for _, (size, _) in arrived[:-1]):
            raise ValueError("a part before the last is short")
        return [receipt for _, (_, receipt) in arrived]
