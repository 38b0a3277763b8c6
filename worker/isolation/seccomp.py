"""A filter on the system calls of a process that reads a stranger's file: no sockets, no look into other processes.

Needs no privilege (Linux, x86-64 and ARM64, in containers too). Calls that a parser has no use for fail with EPERM. See seccomp(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import Final

LIBC: Final = ctypes.CDLL(None)
"""Looked up before a fork: it costs as much as all the rest."""

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_KILL, _DENY, _ALLOW = 0x80000000, 0x00050000 | errno.EPERM, 0x7FFF0000
_NUMBER_AT, _ARCH_AT = 0, 4  # in struct seccomp_data
_X32 = 0x40000000  # x86-64 knows each call by a second number from here on

# io_uring makes sockets too. setsid and setpgid: so that the group can be killed as one.
_CALLS: Final = (
    "socket", "ptrace", "process_vm_readv", "process_vm_writev", "io_uring_setup", "unshare", "setns", "mount", "umount2", "keyctl", "add_key", "request_key",
    "bpf", "perf_event_open", "userfaultfd", "setsid", "setpgid", "pidfd_getfd",
)  # fmt: skip
_NUMBERS: Final[dict[str, tuple[int, tuple[int, ...]]]] = {
    "x86_64": (0xC000003E, (41, 101, 310, 311, 425, 272, 308, 165, 166, 250, 248, 249, 321, 298, 323, 112, 109, 438)),
    "aarch64": (0xC00000B7, (198, 117, 270, 271, 425, 97, 268, 40, 39, 219, 217, 218, 280, 241, 282, 157, 154, 438)),
}

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def program(machine: str) -> bytes:
    """The filter, as the kernel reads it; empty on a machine whose numbers we do not know."""
    if machine not in _NUMBERS:
        return b""
    arch, numbers = _NUMBERS[machine]
    deny = len(numbers) + 1  # how far it is from the first comparison to the last instruction but none
    lines = [(_LOAD, 0, 0, _ARCH_AT), (_JUMP_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER_AT), (_JUMP_AT_LEAST, deny, 0, _X32)]
    lines += [(_JUMP_EQUAL, len(numbers) - index, 0, number) for index, number in enumerate(numbers)]
    lines += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _DENY)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def works() -> bool:
    """Whether `confine` would; tried in a process of its own."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if confine() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def confine() -> bool:
    """For this process and all that it starts, for good. False where the kernel does not do it."""
    if sys.platform != "linux" or not (code := program(platform.machine())):
        return False
    if LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return not LIBC.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(_Program(len(code) // 8, code)), 0, 0)
