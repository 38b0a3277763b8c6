"""A URL that a stranger named: what can be said of it without asking anybody."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from app.domain.errors import InvalidRequest

LIMIT = 2048
"""Characters. Redirects may lead to longer ones: signed links do."""


def check_url(url: str) -> None:
    """Raises InvalidRequest (400, `invalid_url`) unless it is an absolute http or https URL without credentials, of at most LIMIT characters.

    Syntax only, never a lookup: whether the host may be reached is known when a worker connects, and only there.
    """
    if len(url) > LIMIT:
        raise InvalidRequest("invalid_url", f"the URL is longer than {LIMIT} characters")
    # urlsplit drops tabs and line ends in silence, and browsers read a backslash as a slash: two readers, two hosts.
    if " " in url or "\\" in url or not url.isprintable():
        raise InvalidRequest("invalid_url", "the URL holds a space, a backslash, or a control or invisible character")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidRequest("invalid_url", "the URL cannot be read") from error
    if parts.scheme not in {"http", "https"}:
        raise InvalidRequest("invalid_url", "the URL must begin with http:// or https://")
    if "@" in parts.netloc:
        raise InvalidRequest("invalid_url", "the URL must not hold a user name or password")
    if not host or port == 0:
        raise InvalidRequest("invalid_url", "the URL names no host, or no port")


def filename(url: str) -> str | None:
    """The last segment of the path, percent-decoded and not cleaned; None when it is empty."""
    return unquote(urlsplit(url).path.rpartition("/")[2]) or None
