"""A real S3 for tests and benches: Ceph's RADOS Gateway, from Debian's packages, alone on loopback.

    python -m devstack.ceph DIR [--tls]      prints KEY=VALUE lines; Ctrl-C or SIGTERM stops it

One monitor, one OSD that keeps everything in memory, one gateway, all on free ports; what they write lies in DIR. Ready in about
10 s. How RGW differs from AWS, and what it cost to make it start so small, is said beside the settings below.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from devstack.warden import Warden

_PACKAGES = {
    "ceph-mon": "ceph-mon",
    "ceph-osd": "ceph-osd",
    "radosgw": "radosgw",
    "radosgw-admin": "radosgw",
    "ceph": "ceph-common",
    "ceph-authtool": "ceph-common",
    "monmaptool": "ceph-common",
    "openssl": "openssl",
}
_START_SECONDS = 90.0
_STOP_SECONDS = 10.0

# cephx stays on: with authentication off the gateway never gets past connecting to the OSD.
_CONF = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon2}/0,v1:127.0.0.1:{mon1}/0]
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 0
run dir = {folder}/run
log file = {folder}/log/$name.log
admin socket =
debug ms = 0/0
keyring = {folder}/keyring
[mon.a]
mon data = {folder}/mon
public addr = 127.0.0.1
mon cluster log file = {folder}/log/cluster.log
[osd.0]
keyring = {folder}/osd/keyring
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = {size}
osd class load list = *
osd class default list = *
[client]
rgw frontends = {frontends}
rgw enable usage log = false
rgw enable ops log = false
rgw run sync thread = false
rgw rados pool pg num min = 8
rgw thread pool size = 64
"""


class NotInstalled(Exception):
    """Ceph is not on this machine; the text says what to install."""


class NotStarted(Exception):
    """One of the daemons ended, or did not answer in time; the text names it and the end of its log."""


@dataclass(frozen=True, slots=True)
class RealS3:
    """Where it is, and the keys of two users who cannot read each other's buckets."""

    endpoint_url: str
    tls_endpoint_url: str | None
    ca_bundle: str | None
    access_key_id: str = "HEADRACETESTOWNER001"
    secret_access_key: str = "owner-secret-for-tests-only-00000000000"  # noqa: S105  the server lives on loopback, for a test
    other_access_key_id: str = "HEADRACETESTOTHER002"
    other_secret_access_key: str = "other-secret-for-tests-only-00000000000"  # noqa: S105  as above
    region: str = "us-east-1"


def require_installed() -> None:
    """Raises NotInstalled."""
    missing = sorted({package for program, package in _PACKAGES.items() if shutil.which(program) is None})
    if missing:
        raise NotInstalled(f"the real S3 needs Ceph: apt-get install --no-install-recommends {' '.join(missing)}")


class Ceph:
    """The daemons, from `with` to the end of its block. Leaves the folder, which is the caller's, and no process."""

    def __init__(self, folder: Path, *, tls: bool = False, size_gib: int = 4) -> None:
        require_installed()
        self._folder = folder.resolve()
        self._tls = tls
        self._size = size_gib * 1024**3
        self._conf = self._folder / "ceph.conf"
        self._daemons: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> RealS3:
        self._warden = Warden()
        with ExitStack() as undo:
            undo.callback(self._stop)
            s3 = self._start()
            undo.pop_all()
        return s3

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def _start(self) -> RealS3:
        for name in ("mon", "osd", "run", "log"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        mon2, mon1, http, https = _free_ports(4)
        certificate = self._certificate() if self._tls else None
        # Without tcp_nodelay every answer that has a body takes 40 ms more.
        frontends = f"beast tcp_nodelay=1 endpoint=127.0.0.1:{http}"
        if certificate:
            pem = self._folder / "tls.pem"
            frontends += f" ssl_endpoint=127.0.0.1:{https} ssl_certificate={pem} ssl_private_key={pem}"
        fsid = str(uuid.uuid4())
        self._conf.write_text(_CONF.format(fsid=fsid, mon1=mon1, mon2=mon2, folder=self._folder, size=self._size, frontends=frontends))
        s3 = RealS3(
            endpoint_url=f"http://127.0.0.1:{http}",
            tls_endpoint_url=f"https://127.0.0.1:{https}" if certificate else None,
            ca_bundle=str(certificate) if certificate else None,
        )
        self._start_monitor(fsid, f"[v2:127.0.0.1:{mon2},v1:127.0.0.1:{mon1}]")
        self._start_osd()
        self._daemon("radosgw", "radosgw", "-n", "client.admin", "-f")
        self._wait("radosgw", lambda: _answers(s3.endpoint_url))
        self._user("owner", s3.access_key_id, s3.secret_access_key)
        self._user("other", s3.other_access_key_id, s3.other_secret_access_key)
        return s3

    def _start_monitor(self, fsid: str, address: str) -> None:
        keyring, monmap = str(self._folder / "keyring"), str(self._folder / "monmap")
        _run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        caps = ("--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *")
        _run("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *caps)
        _run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monmap)
        self._ceph("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
        self._daemon("mon", "ceph-mon", "-i", "a", "-f")
        self._wait("mon", lambda: self._asks("mon", "stat") is not None)

    def _start_osd(self) -> None:
        osd = str(uuid.uuid4())
        self._ceph("ceph", "osd", "new", osd)
        caps = ("mon", "allow profile osd", "mgr", "allow profile osd", "osd", "allow *")
        self._ceph("ceph", "auth", "get-or-create", "osd.0", *caps, "-o", str(self._folder / "osd" / "keyring"))
        self._ceph("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._daemon("osd", "ceph-osd", "-i", "0", "-f")
        self._wait("osd", lambda: " 1 up" in (self._asks("osd", "stat") or ""))

    def _user(self, name: str, key: str, secret: str) -> None:
        options = ("--uid", name, "--display-name", name, "--access-key", key, "--secret-key", secret)
        self._ceph("radosgw-admin", "-n", "client.admin", "user", "create", *options)

    def _certificate(self) -> Path:
        """An authority and a certificate of it: rustls, which obstore uses, takes no server that is its own authority."""
        ca, key, asked, crt = (self._folder / name for name in ("ca.crt", "tls.key", "tls.csr", "tls.crt"))
        new_key = ("-newkey", "rsa:2048", "-nodes", "-keyout")
        _run("openssl", "req", "-x509", "-subj", "/CN=Headrace test", "-days", "30", *new_key, str(self._folder / "ca.key"), "-out", str(ca))
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        _run("openssl", "req", "-subj", "/CN=localhost", "-addext", names, *new_key, str(key), "-out", str(asked))
        (self._folder / "tls.ext").write_text(names)
        signing = ("-CA", str(ca), "-CAkey", str(self._folder / "ca.key"), "-CAcreateserial", "-extfile", str(self._folder / "tls.ext"))
        _run("openssl", "x509", "-req", "-in", str(asked), *signing, "-days", "30", "-out", str(crt))
        (self._folder / "tls.pem").write_text(crt.read_text() + key.read_text())
        return ca

    def _ceph(self, program: str, *arguments: str) -> str:
        return _run(program, "-c", str(self._conf), *arguments)

    def _asks(self, *words: str) -> str | None:
        """The monitor's answer, or None while it has none."""
        command = ("ceph", "-c", str(self._conf), "--connect-timeout", "5", *words)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else None

    def _daemon(self, name: str, program: str, *arguments: str) -> None:
        with (self._folder / "log" / f"{name}.out").open("wb") as out:
            # A session of its own: Ctrl-C is for us, who stop them in order.
            command = (program, "-c", str(self._conf), *arguments)
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        self._warden.hold(process.pid)
        self._daemons.append((name, process))

    def _wait(self, name: str, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not is_ready():
            ended = next((daemon for daemon, process in self._daemons if process.poll() is not None), None)
            if ended or time.monotonic() > deadline:
                log = (self._folder / "log" / f"{ended or name}.out").read_text(errors="replace")
                raise NotStarted(f"{ended or name} {'ended' if ended else 'does not answer'}: {log[-500:]}")
            time.sleep(0.2)

    def _stop(self) -> None:
        """Gateway first. A daemon that does not heed SIGTERM is killed: nothing of it is worth keeping."""
        while self._daemons:
            _, process = self._daemons.pop()
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._warden.close()


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotStarted(f"{' '.join(command[:4])} …: {(done.stderr or done.stdout)[-500:]}")
    return done.stdout


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3):  # noqa: S310  an http address on loopback, made above
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except (OSError, ssl.SSLError):
        return False


def _free_ports(count: int) -> list[int]:
    """Held together until all are known, so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class _Stop(Exception):
    @classmethod
    def on(cls, *signals: int) -> Self:
        def stop(*_: object) -> None:
            raise cls

        for number in signals:
            signal.signal(number, stop)
        return cls()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m devstack.ceph", description="A real S3 on loopback, for tests.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tls", action="store_true", help="also on https, with a certificate of its own")
    options = parser.parse_args()
    _Stop.on(signal.SIGTERM, signal.SIGINT)
    try:
        with Ceph(options.folder, tls=options.tls) as s3:
            for name in s3.__slots__:
                if value := getattr(s3, name):
                    print(f"{name.upper()}={value}")
            print("ready", flush=True)
            signal.pause()
    except (NotInstalled, NotStarted) as error:
        sys.exit(f"ceph: {error}")
    except _Stop:
        pass


if __name__ == "__main__":
    main()
