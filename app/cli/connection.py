"""Which Headrace the client talks to, and as whom: options, then the environment, then the stack that runs in the data folder."""

from __future__ import annotations

import getpass
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
import typer

from app.cli import stack

Url = Annotated[str | None, typer.Option("--url", envvar="HEADRACE_URL", help="Where Headrace is. Default: the stack that runs here.")]
Key = Annotated[str | None, typer.Option("--key", envvar="HEADRACE_API_KEY", help="API key. Default: the one of the stack that runs here.")]
User = Annotated[str | None, typer.Option("--user", envvar="HEADRACE_USER_ID", help="Your id of the user. Default: your login name.")]


class Failure(Exception):
    """Something that a person should read, in one line."""


@dataclass(frozen=True, slots=True)
class Connection:
    url: str
    key: str
    user: str

    @property
    def headers(self) -> dict[str, str]:
        return {"X-API-Key": self.key, "X-User-ID": self.user}

    @property
    def is_local(self) -> bool:
        """A proxy of the environment is no way to our own machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    def client(self) -> httpx.AsyncClient:
        timeout = httpx.Timeout(30, read=120, write=120, pool=None)
        return httpx.AsyncClient(base_url=self.url, headers=self.headers, timeout=timeout, trust_env=not self.is_local)

    def call(self, method: str, path: str, body: Any = None, **params: str) -> httpx.Response:
        """One call, with a JSON body if any; Failure when it is refused or nobody answers."""
        try:
            with httpx.Client(base_url=self.url, headers=self.headers, timeout=30, trust_env=not self.is_local) as client:
                response = client.request(method, path, params=params, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Failure(f"{self.url}: {reason(error)}") from error
        check(response)
        return response


def data_folder() -> Path:
    """Where `make up` keeps its data: HEADRACE_DATA_DIR, else .headrace beside the code."""
    return Path(os.environ.get("HEADRACE_DATA_DIR") or Path(__file__).resolve().parents[2] / ".headrace")


def connect(url: str | None, key: str | None, user: str | None) -> Connection:
    """Raises Failure when a URL or a key is missing and no stack runs here."""
    running = stack.read(data_folder()) if not (url and key) else None
    if running is not None and not url:
        url, key = running.base_url, key or running.api_key
    if not url:
        raise Failure(f"no stack runs in {data_folder()}: run `make up`, or name one by --url and --key")
    if not key and running is not None and url.rstrip("/") == running.base_url:
        key = running.api_key
    if not key:
        raise Failure(f"no key for {url}: name one by --key or HEADRACE_API_KEY")
    return Connection(url.rstrip("/"), key, user or _login())


def check(response: httpx.Response) -> None:
    """Raises Failure with what the problem document says."""
    if response.is_success:
        return
    try:
        problem = response.json()
        detail = problem.get("detail") or problem.get("title") or ""
        code = problem.get("code") or ""
    except (ValueError, AttributeError):
        detail, code = response.text[:200].strip(), ""
    raise Failure(plain(f"{response.status_code} {code or response.reason_phrase}: {detail or 'refused'}"))


def reason(error: Exception) -> str:
    """Some of httpx's errors have no text of their own."""
    return str(error) or type(error).__name__


def plain(text: str) -> str:
    """Without what could steer the terminal: names and messages come from elsewhere."""
    return "".join(character if character.isprintable() else " " for character in text)


def _login() -> str:
    try:
        return os.environ.get("USER") or getpass.getuser()
    except (KeyError, OSError):
        return "me"
