"""API keys: keyed hashes, each with its organisation and scopes, from the settings and from a file that is read again when it changes.

Keys are 256 random bits, so a fast keyed hash is enough; the pepper (a signing secret, not in the file) makes a leaked file worthless.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from app.domain.identity import EVERYTHING, ApiKey, Scope

log = logging.getLogger(__name__)

DEV_ORGANISATION = "dev"
_LINE = re.compile(r"([^\s:,#\x00][^:,\x00]*):([0-9a-f]{64})(?::([a-z+]+))?")


class BadKeys(ValueError):
    """A line that is not `organisation:hash`, or ends in scopes that are none. The text names the line, not what stands in it."""


def hash_key(key: str, pepper: str) -> str:
    """HMAC-SHA256 of the key, as 64 hex characters."""
    return hmac.digest(pepper.encode(), key.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()


def parse(text: str) -> dict[str, ApiKey]:
    """Hash -> key, from lines or a comma-separated list of `organisation:hash`, for all scopes, or `organisation:hash:upload+read`.

    `#` begins a comment. Raises BadKeys.
    """
    found: dict[str, ApiKey] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for item in line.partition("#")[0].split(","):
            if not item.strip():
                continue
            match = _LINE.fullmatch(item.strip())
            if match is None:
                raise BadKeys(f"line {number}: expected organisation:hash, as `headrace keys create` prints it")
            key = ApiKey(match[1], _scopes(number, match[3]))
            if found.setdefault(match[2], key) != key:
                raise BadKeys(f"line {number}: this key stands here already, for another organisation or with other scopes")
    return found


def _scopes(number: int, text: str | None) -> frozenset[Scope]:
    try:
        return frozenset(map(Scope, text.split("+"))) if text else EVERYTHING
    except ValueError:
        raise BadKeys(f"line {number}: scopes are {'+'.join(Scope)}, or some of them") from None


class ApiKeys:
    """Implements app.ports.Keys.

    `peppers` are the secrets, current first; a key hashed with any of them is known. `dev_key` stands in the clear, for organisation `dev`.
    Raises BadKeys or OSError when `lines` or `file` cannot be read at the start; a file that goes bad later leaves the keys as they were.
    """

    def __init__(self, *, peppers: Sequence[str], lines: str = "", file: Path | None = None, dev_key: str | None = None) -> None:
        if not peppers:
            raise BadKeys("no secret key to hash with")
        self._peppers = tuple(peppers)
        self._fixed = parse(lines)
        if dev_key:
            self._fixed[hash_key(dev_key, self._peppers[0])] = ApiKey(DEV_ORGANISATION)
        self._file = file
        self._seen: tuple[int, int, int] | None = None
        self._from_file: dict[str, ApiKey] = {}
        if file is not None:
            self._read(file)

    def find(self, key: str) -> ApiKey | None:
        """See app.ports.Keys. Costs one HMAC a pepper and, with a file, one stat()."""
        self._refresh()
        found = None
        for pepper in self._peppers:
            digest = hash_key(key, pepper)
            for table in (self._fixed, self._from_file):
                # A dict lookup is over the HMAC, of which a stranger cannot choose a prefix; the last word has compare_digest.
                stored = digest if digest in table else "0" * 64
                if hmac.compare_digest(stored, digest):
                    found = found or table[digest]
        return found

    def _refresh(self) -> None:
        if self._file is None:
            return
        try:
            changed = self._stamp(self._file) != self._seen
        except OSError:
            changed = self._seen is not None
        if not changed:
            return
        self._seen = None
        try:
            self._read(self._file)
        except (OSError, ValueError) as error:
            log.warning("API keys file not read, the former keys stay: %s", error)

    def _read(self, file: Path) -> None:
        # Stamped before reading: a write in between is then seen again, not missed.
        self._seen = self._stamp(file)
        self._from_file = parse(file.read_text())

    @staticmethod
    def _stamp(file: Path) -> tuple[int, int, int]:
        stat = file.stat()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
