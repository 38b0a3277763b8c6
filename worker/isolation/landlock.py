"""A process that reads a stranger's file writes nowhere but into its folder: not into other documents, though its user may.

Needs no privilege (Linux 5.13 and later, where it is switched on). What may be read stays as it is. See landlock(7).
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

from worker.isolation.seccomp import LIBC

# The same numbers on every machine.
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION: Final = 1
_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_CHANGES: Final = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))  # remove and make, of every kind
_TRUNCATES_SINCE: Final = 3


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled", ctypes.c_uint64),)


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def confine(folder: Path) -> bool:
    """For this process and all that it starts, for good. False where the kernel does not do it."""
    if sys.platform != "linux":
        return False
    version = LIBC.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return False
    handled = _CHANGES | (_TRUNCATE if version >= _TRUNCATES_SINCE else 0)
    rules = LIBC.syscall(_CREATE, ctypes.byref(_Ruleset(handled)), ctypes.c_size_t(ctypes.sizeof(_Ruleset)), 0)
    if rules < 0:
        return False
    try:
        allowed = _allow(rules, folder, handled) and _allow(rules, Path(os.devnull), handled & (_WRITE_FILE | _TRUNCATE))
        return allowed and not LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) and not LIBC.syscall(_RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, at: Path, rights: int) -> bool:
    descriptor = os.open(at, os.O_PATH | os.O_CLOEXEC)
    try:
        return not LIBC.syscall(_ADD, rules, _BENEATH, ctypes.byref(_Beneath(rights, descriptor)), 0)
    finally:
        os.close(descriptor)
