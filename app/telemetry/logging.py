"""Logs: one line an entry, on standard error; as text for people, or as JSON. No keys, no links, no file names in them: ids only."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Literal

Form = Literal["text", "json"]

# Whoever logs an address, a traceback say, logs its query too: tokens and tickets of sockets, upload tokens, API keys, presigned queries, signed links.
_CREDENTIAL = re.compile(
    r"(?i)(\btoken(?:=|%3D)|headrace\.token\.|\bX-Amz-(?:Signature|Credential|Security-Token)(?:=|%3D)|\bBearer |\bhrt?_(?:dev_)?|/d/)[^\s&\"',;/]+"
)


def _clear(text: str) -> str:
    return _CREDENTIAL.sub(r"\1[...]", text)


class _Text(logging.Formatter):
    """Without credentials, wherever in an entry or its traceback they stand."""

    def format(self, record: logging.LogRecord) -> str:
        return _clear(super().format(record))


class _Json(logging.Formatter):
    """The same as one JSON object a line: at, level, process, logger, message, and error with its traceback."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": _clear(record.getMessage()),
        }
        if record.exc_info:
            entry["error"] = _clear(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


def configure(level: str, *, process: str, form: Form = "text") -> None:
    """`process` names the kind (api, worker, reconciler) in every line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json(process) if form == "json" else _Text(f"%(asctime)s %(levelname)s {process} %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for noisy in ("botocore", "boto3", "urllib3", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
