import platform
import struct
import subprocess
import sys

import pytest

from worker.isolation import seccomp

ALLOW, DENY, KILL = 0x7FFF0000, 0x00050001, 0x80000000
X86, ARM = 0xC000003E, 0xC00000B7


def verdict(program, arch, number):
    """What the kernel's machine makes of a call: the five instructions that we use."""
    lines = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at, value = 0, 0
    while True:
        code, true, false, constant = lines[at]
        at += 1
        if code == 0x20:
            value = {0: number, 4: arch}[constant]
        elif code == 0x15:
            at += true if value == constant else false
        elif code == 0x35:
            at += true if value >= constant else false
        else:
            assert code == 0x06
            return constant


@pytest.mark.parametrize(
    ("machine", "arch", "denied", "allowed"), [("x86_64", X86, (41, 101, 109, 438), (0, 1, 9, 42, 53, 57)), ("aarch64", ARM, (198, 117, 438), (63, 64, 199))]
)
def test_the_filter_denies_what_it_names_and_nothing_else(machine, arch, denied, allowed):
    program = seccomp.program(machine)
    assert {number: verdict(program, arch, number) for number in denied} == dict.fromkeys(denied, DENY)
    assert {number: verdict(program, arch, number) for number in allowed} == dict.fromkeys(allowed, ALLOW)
    assert verdict(program, arch, 0x40000000 + 41) == DENY, "the second numbers of x86-64"
    assert verdict(program, 0x40000003, 41) == KILL, "the calls of 32 bits"


def test_a_machine_that_nobody_knows_has_no_filter():
    assert seccomp.program("pdp11") == b""


@pytest.mark.skipif(sys.platform != "linux" or not seccomp.program(platform.machine()), reason="no filter for this machine")
def test_what_is_confined_stays_so_in_what_it_starts():
    code = "import socket, sys\ntry: socket.socket()\nexcept PermissionError: sys.exit(7)"
    confined = f"from worker.isolation import seccomp; import subprocess, sys\nassert seccomp.confine()\nsys.exit(subprocess.run([sys.executable, '-c', {code!r}]).returncode)"
    assert subprocess.run([sys.executable, "-c", confined], check=False).returncode == 7
