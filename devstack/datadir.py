"""The data folder: ours alone, held by one stack at a time, and where made secrets are kept."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Self

from app.cli import stack

LOCK = "headrace.lock"


class Refused(Exception):
    """The stack does not start. The text is one line for a person, and names the setting."""


class DataDir:
    """Raises Refused when another stack runs on the folder, or when it is somebody else's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not (self.path / LOCK).exists() and any(self.path.iterdir()):
                raise Refused(f"HEADRACE_DATA_DIR: {self.path} is not empty, and no data folder of Headrace")
            self.path.chmod(0o700)
            self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Refused(f"HEADRACE_DATA_DIR: {error}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            other = stack.read(self.path)
            who = f" (process {other.pid}, {other.base_url})" if other else ""
            raise Refused(f"HEADRACE_DATA_DIR: another stack runs on {self.path}{who}; stop it, or name another folder") from None

    def folder(self, name: str) -> Path:
        made = self.path / name
        made.mkdir(mode=0o700, exist_ok=True)
        return made

    def kept(self, name: str, make: Callable[[], str]) -> str:
        """The secret of that name, made at its first use. On disk before it is answered: what it signs must verify tomorrow."""
        file = self.folder("secrets") / name
        try:
            return file.read_text().strip()
        except FileNotFoundError:
            value = make()
        draft = file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(value + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
        return value

    def empty_file(self, name: str) -> Path:
        """The file of that name, made empty when it is not there."""
        file = self.path / name
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
        return file

    def log(self, name: str) -> Path:
        """A fresh log file; the former one becomes `<name>.log.1`."""
        file = self.folder("logs") / f"{name}.log"
        if file.exists():
            shutil.move(file, file.with_suffix(".log.1"))
        return file

    def close(self) -> None:
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def random_secret() -> str:
    """256 bits, safe in URLs and config files."""
    return secrets.token_urlsafe(32)
