"""How a processor says no."""

from __future__ import annotations

from typing import Final

FAILURES: Final = frozenset({"malformed", "encrypted", "bomb", "timeout", "resource_limit", "crash"})
"""Codes that a Failed may have."""


class Unsupported(Exception):
    """Not a file for this processor after all: the next one that takes its media type is asked. What was written is dropped."""


class Failed(Exception):
    """The source ends in failure with this code of FAILURES. The detail goes to the log only. Never tried again by itself."""

    def __init__(self, code: str, detail: str = "") -> None:
        if code not in FAILURES:
            raise ValueError(f"{code!r} is none of {sorted(FAILURES)}")
        self.code = code
        self.detail = detail
        super().__init__(detail or code)
