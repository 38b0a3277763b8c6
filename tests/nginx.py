"""Debian's nginx with the configuration that we ship, in front of API processes of a test."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.ports import free_port
from tests.servers import eventually, start

SITE = Path(__file__).parents[1] / "deploy" / "nginx" / "headrace.conf"

_MAIN = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/headrace.conf;
}}
"""


def binary() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


class Nginx:
    """`with Nginx(ports of API processes) as front: front.url`. Only ports and the place of the log differ from what is shipped.

    `head_seconds`: a shorter deadline of heads, for who waits for it.
    """

    def __init__(self, ports: list[int], *, head_seconds: int = 20) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="headrace-nginx-"))
        self.folder.chmod(0o755)  # its workers are another user's when it is started by root
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        site = SITE.read_text()
        servers = re.findall(r"^ *server 127\.0\.0\.1:\d+(.*;)$", site, re.MULTILINE)
        site = re.sub(r"^ *server 127\.0\.0\.1:\d+.*;\n", "", site, flags=re.MULTILINE)
        lines = "".join(f"    server 127.0.0.1:{port}{servers[0]}\n" for port in ports)
        site = site.replace("upstream headrace {\n", "upstream headrace {\n" + lines)
        site = site.replace("listen 80;", f"listen 127.0.0.1:{self.port};").replace("/var/log/nginx/headrace.log", str(self.log))
        site = site.replace("client_header_timeout 20s;", f"client_header_timeout {head_seconds}s;")
        (self.folder / "headrace.conf").write_text(site)
        (self.folder / "nginx.conf").write_text(_MAIN.format(folder=self.folder))

    @property
    def log(self) -> Path:
        return self.folder / "access.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _command(self, *options: str) -> list[str]:
        found = binary()
        assert found is not None, "nginx is not installed"
        return [found, "-p", str(self.folder), "-e", str(self.folder / "error.log"), "-c", str(self.folder / "nginx.conf"), *options]

    def check(self) -> str:
        """What `nginx -t` has to say; nothing but that all is well."""
        checked = subprocess.run(self._command("-t"), capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        return checked.stderr

    def __enter__(self) -> Self:
        self._process = start(self._command())
        eventually(lambda: (self.folder / "nginx.pid").exists() and (self.folder / "nginx.pid").read_text())
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
