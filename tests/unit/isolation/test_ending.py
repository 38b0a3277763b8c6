import signal

import pytest

from headrace_plugin import Limits
from worker.isolation.ending import Ending

GIB = 1 << 30


@pytest.mark.parametrize(
    ("status", "peak", "code", "detail"),
    [
        (-signal.SIGXCPU, 0, "resource_limit", "out of CPU time"),
        (-signal.SIGKILL, 0, "resource_limit", "out of memory of the machine"),
        (-signal.SIGXFSZ, 0, "resource_limit", "out of file size"),
        (-signal.SIGABRT, GIB, "resource_limit", "signal 6 at 1024 MiB"),
        (-signal.SIGSEGV, 8 * GIB // 10 + 1, "resource_limit", "signal 11 at 819 MiB"),
        (-signal.SIGSEGV, 7 * GIB // 10, "crash", "signal 11"),
        (0, 0, "crash", "status 0 without an answer"),
        (1, GIB, "crash", "status 1 without an answer"),
    ],
)
def test_an_end_without_an_answer_says_what_the_file_did(status, peak, code, detail):
    assert Ending(status, peak).verdict(Limits(memory_bytes=GIB)) == (code, detail)
