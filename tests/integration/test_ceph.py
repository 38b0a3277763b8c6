"""The real S3 that the suites use: it says what it lacks, and goes without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.ceph import NotInstalled, require_installed

REPOSITORY = Path(__file__).parents[2]


def command_lines() -> list[str]:
    listing = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True)
    return listing.stdout.splitlines()


def test_what_is_missing_is_named_by_its_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalled, match=r"apt-get install .*ceph-common ceph-mon ceph-osd openssl radosgw"):
        require_installed()


@pytest.mark.s3
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_on_a_signal_and_leaves_no_process(tmp_path: Path, number: int) -> None:
    try:
        require_installed()
    except NotInstalled as error:
        if os.environ.get("HEADRACE_REQUIRE_S3") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
    command = [sys.executable, "-m", "devstack.ceph", str(tmp_path / "s3"), "--tls"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    try:
        lines = []
        while (line := running.stdout.readline()) not in {"ready\n", ""}:
            lines.append(line)
        assert [line.partition("=")[0] for line in lines][:3] == ["ENDPOINT_URL", "TLS_ENDPOINT_URL", "CA_BUNDLE"]
        assert sum(str(tmp_path / "s3" / "ceph.conf") in line for line in command_lines()) == 3
        running.send_signal(number)
        assert running.wait(40) == 0
        assert not [line for line in command_lines() if str(tmp_path / "s3" / "ceph.conf") in line]
    finally:
        running.terminate()
        running.communicate(timeout=60)
