"""Logs: one line an entry, on standard error. No keys, no links, no file names in them: ids only."""

from __future__ import annotations

import logging
import re
import sys

# The web server logs the target of a handshake, query and all.
_CREDENTIAL = re.compile(r"(?i)\b(token(?:=|%3D)|headrace\.token\.)[^\s&\"',;]+")


class _Formatter(logging.Formatter):
    """Without the credentials of sockets, wherever in an entry or its traceback they stand."""

    def format(self, record: logging.LogRecord) -> str:
        return _CREDENTIAL.sub(r"\1[...]", super().format(record))


def _is_news(record: logging.LogRecord) -> bool:
    """uvicorn calls every refused handshake an error of the application, though it was answered."""
    return record.msg != "ASGI callable returned without completing handshake."


def configure(level: str, *, process: str) -> None:
    """`process` names the kind (api, worker, reconciler) in every line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(f"%(asctime)s %(levelname)s {process} %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    for noisy in ("botocore", "boto3", "urllib3", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
