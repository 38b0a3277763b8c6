"""Logs: one line an entry, on standard error. No keys, no links, no file names in them: ids only."""

from __future__ import annotations

import logging
import re
import sys

# Whoever logs an address, a traceback say, logs its query too.
_CREDENTIAL = re.compile(r"(?i)\b(token(?:=|%3D)|headrace\.token\.)[^\s&\"',;]+")


class _Formatter(logging.Formatter):
    """Without the credentials of sockets, wherever in an entry or its traceback they stand."""

    def format(self, record: logging.LogRecord) -> str:
        return _CREDENTIAL.sub(r"\1[...]", super().format(record))


def configure(level: str, *, process: str) -> None:
    """`process` names the kind (api, worker, reconciler) in every line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(f"%(asctime)s %(levelname)s {process} %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for noisy in ("botocore", "boto3", "urllib3", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
