"""How the process of a reading ended without an answer, and what that says of its file."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Final

from headrace_plugin import Limits

_FULL: Final = 0.8
"""A process that used so much of its memory, and was ended by a signal, wanted more."""
_OF_LIMITS: Final = {-signal.SIGXCPU: "CPU time", -signal.SIGXFSZ: "file size", -signal.SIGKILL: "memory of the machine"}


@dataclass(frozen=True, slots=True)
class Ending:
    status: int
    """As `waitstatus_to_exitcode` has it: negative for a signal."""
    peak_bytes: int
    """The most that was resident."""

    def verdict(self, limits: Limits) -> tuple[str, str]:
        """Failure code and detail. A kill that is not ours is the kernel's: out of CPU time, or of the machine's memory."""
        if self.status in _OF_LIMITS:
            return "resource_limit", f"out of {_OF_LIMITS[self.status]}"
        if self.status < 0 and self.peak_bytes >= _FULL * limits.memory_bytes:
            return "resource_limit", f"signal {-self.status} at {self.peak_bytes >> 20} MiB"
        return "crash", f"signal {-self.status}" if self.status < 0 else f"status {self.status} without an answer"
