"""`headrace keys`: new API keys, and the lines by which Headrace knows them.

With a file of keys (HEADRACE_API_KEYS_FILE, or the one of the stack in the data folder) the line goes into it, and the API, which reads it
again when it changes, knows the key at once.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.adapters.api_keys import BadKeys, hash_key, parse
from app.cli.connection import Failure
from app.domain.identity import ApiKey, Scope

LIVE_KEYS = 2
"""Of one organisation with the same scopes: the one in use, and its successor while it is being replaced."""
_ID_CHARACTERS = 8


def create(organisation: str, scopes: Iterable[Scope], folder: Path, *, file: Path | None = None) -> tuple[str, str]:
    """The key, which nobody can see again, and its line, which is in the file of keys now if there is one. Raises Failure."""
    key = "hr_" + secrets.token_urlsafe(32)
    line = f"{organisation}:{hash_key(key, _pepper(folder))}"
    named = sorted(set(scopes))
    if named:
        line += ":" + "+".join(named)
    try:
        (made,) = parse(line).values()
    except (BadKeys, ValueError) as error:
        raise Failure(f"{organisation!r} cannot name an organisation: no comma, colon or # in it") from error
    target = file_of(folder, file)
    if target is not None:
        with _locked(target) as text:
            live = [digest[:_ID_CHARACTERS] for digest, known in _parsed(text, target).items() if known == made]
            if len(live) >= LIVE_KEYS:
                raise Failure(f"{organisation} has {LIVE_KEYS} such keys already ({', '.join(live)}): revoke one of them first")
            _write(target, text + ("" if text.endswith("\n") or not text else "\n") + line + "\n")
    return key, line


def listed(folder: Path, *, file: Path | None = None) -> list[tuple[str, str, str]]:
    """(id, organisation, scopes) of each key in the file, in its order. Raises Failure."""
    target = _required(folder, file)
    with _locked(target) as text:
        return [(digest[:_ID_CHARACTERS], key.organisation, "+".join(sorted(key.scopes))) for digest, key in _parsed(text, target).items()]


def revoke(name: str, folder: Path, *, file: Path | None = None) -> str:
    """Take the key of that id (as `listed` has it, or its whole hash) out of the file; its organisation. Raises Failure."""
    target = _required(folder, file)
    with _locked(target) as text:
        found = [(digest, key) for digest, key in _parsed(text, target).items() if digest.startswith(name)]
        if len(name) < _ID_CHARACTERS or len(found) != 1:
            raise Failure(f"{target} has no key {name}; `headrace keys list` names those that it has")
        digest, key = found[0]
        # A line may hold several keys, and a comment.
        kept = [",".join(item for item in line.split(",") if digest not in item) if digest in line else line for line in text.splitlines()]
        _write(target, "".join(line + "\n" for line, before in zip(kept, text.splitlines(), strict=True) if line.strip() or not before.strip()))
        return key.organisation


def file_of(folder: Path, named: Path | None) -> Path | None:
    """The file of keys: what was named, the setting, or the stack's own; None when there is none."""
    if named is not None:
        return named
    if setting := os.environ.get("HEADRACE_API_KEYS_FILE"):
        return Path(setting)
    own = folder / "api_keys"
    return own if own.exists() else None


def _required(folder: Path, named: Path | None) -> Path:
    file = file_of(folder, named)
    if file is None:
        raise Failure("there is no file of keys: name one with --file or HEADRACE_API_KEYS_FILE")
    return file


def _parsed(text: str, file: Path) -> dict[str, ApiKey]:
    try:
        return parse(text)
    except BadKeys as error:
        raise Failure(f"{file}: {error}") from error


@contextmanager
def _locked(file: Path) -> Iterator[str]:
    """The file's text, while nobody else who writes it through here does."""
    try:
        lock = os.open(file.with_name(file.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Failure(f"{file} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield file.read_text() if file.exists() else ""
    finally:
        os.close(lock)


def _write(file: Path, text: str) -> None:
    """Whole or not at all: the API may read at any moment."""
    draft = file.with_name(file.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    if file.exists():
        draft.chmod(file.stat().st_mode & 0o777)
    draft.replace(file)


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
