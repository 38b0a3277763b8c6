"""`headrace keys create`: a new API key, and the line by which Headrace knows it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from app.adapters.api_keys import BadKeys, hash_key, parse
from app.cli.connection import Failure


def create(organisation: str, folder: Path) -> tuple[str, str]:
    """The key, which nobody can see again, and `organisation:hash`. Raises Failure."""
    key = "hr_" + secrets.token_urlsafe(32)
    line = f"{organisation}:{hash_key(key, _pepper(folder))}"
    try:
        parse(line)
    except BadKeys as error:
        raise Failure(f"{organisation!r} cannot name an organisation: no comma, colon or # in it") from error
    return key, line


def _pepper(folder: Path) -> str:
    """The current one of HEADRACE_SECRET_KEYS, or of the stack in the data folder."""
    text = os.environ.get("HEADRACE_SECRET_KEYS")
    if not text:
        file = Path(os.environ.get("HEADRACE_SECRET_KEYS_FILE") or folder / "secrets" / "secret_keys")
        try:
            text = file.read_text()
        except OSError as error:
            raise Failure(f"keys are hashed with HEADRACE_SECRET_KEYS, which is not set, and {file} cannot be read") from error
    current = text.partition(",")[0].strip()
    if len(current) < 32:
        raise Failure("HEADRACE_SECRET_KEYS: each key needs 32 characters at least")
    return current
