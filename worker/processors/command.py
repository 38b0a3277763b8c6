"""A processor that is a command, in any language: JSON to its standard input, lines of JSON from its standard output, files in a folder.

docs/plugins.md has the protocol. It is held to what the process of the reading is held to, since it is a child of that.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any, Final

from pydantic import TypeAdapter, ValidationError

from headrace_plugin import FAILURES, SCHEMA, Extracted, Failed, Reading, Unsupported

_EXTRACTED: Final = TypeAdapter(Extracted)
_LINE_BYTES: Final = 4 * 1024**2
_COMPLAINT_BYTES: Final = 500


@dataclass(frozen=True, slots=True)
class CommandProcessor:
    name: str
    version: str
    media_types: tuple[str, ...]
    priority: int
    command: Sequence[str]

    def process(self, reading: Reading) -> Extracted:
        complaints = reading.folder / "stderr"
        with complaints.open("wb") as stderr:
            try:
                running = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, cwd=reading.folder)
            except OSError as error:
                raise Failed("crash", f"{self.command[0]}: {error.strerror}") from error
            with running:
                assert running.stdin is not None and running.stdout is not None  # noqa: S101, PT018 - for the type checker: both are pipes
                _ask(running.stdin, request(reading) | {"path": str(reading.path), "folder": str(reading.folder)})
                found = _listen(running.stdout, reading)
        if found is None:
            raise Failed("crash", f"status {running.returncode}: {complaints.read_bytes()[-_COMPLAINT_BYTES:].decode(errors='replace')}")
        return found


def request(reading: Reading) -> dict[str, Any]:
    """What every processor outside of Python is told."""
    return {
        "schema": SCHEMA, "media_type": reading.media_type, "filename": reading.filename, "limits": asdict(reading.limits), "options": dict(reading.options),
    }  # fmt: skip


def understand(message: Any, reading: Reading) -> Extracted | None:
    """One line of an answer; what was found when it is the last one. Raises Unsupported, Failed."""
    if not isinstance(message, dict):
        raise Failed("crash", "an answer that is no JSON object")
    try:
        if "progress" in message:
            reading.progress(**message["progress"])
        if "warning" in message:
            reading.warn(**message["warning"])
        if message.get("unsupported"):
            raise Unsupported
        if "failed" in message:
            code = message["failed"].get("code")
            raise Failed(code if code in FAILURES else "crash", str(message["failed"].get("detail", "")))
        return _EXTRACTED.validate_python(message["extracted"]) if "extracted" in message else None
    except (TypeError, AttributeError, ValidationError) as error:
        raise Failed("crash", f"an answer that makes no sense: {type(error).__name__}") from error


def _ask(stdin: IO[bytes], asked: dict[str, Any]) -> None:
    try:
        with stdin:
            stdin.write(json.dumps(asked).encode() + b"\n")
    except BrokenPipeError:
        pass  # it does not want to know


def _listen(stdout: IO[bytes], reading: Reading) -> Extracted | None:
    found = None
    while line := stdout.readline(_LINE_BYTES):
        try:
            message = json.loads(line)
        except ValueError as error:
            raise Failed("crash", "an answer that is no JSON") from error
        found = understand(message, reading) or found
    return found
