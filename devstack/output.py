"""What children write: all of it to their log files, warnings and errors to the terminal too, each line with the name of its process."""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path

Echo = Callable[[str, str], None]
"""Called with the process's name and a line for the terminal."""

_LOUD = re.compile(r"\b(WARN(ING)?|ERROR|CRITICAL|FATAL)\b|\"level\": ?\"(warning|error|critical)\"")
_TRACEBACK = "Traceback (most recent call last)"
_LONGEST_LINE = 64 * 1024


def to_terminal(name: str, line: str) -> None:
    # Log lines may quote what strangers sent: no control characters reach the terminal.
    plain = "".join(character if character.isprintable() else " " for character in line)
    with contextlib.suppress(OSError):  # the terminal may have gone; the log file has it
        print(f"{name:<10} | {plain}", flush=True)


class Output:
    """One process's lines. Until `release`, nothing is shown: when it does not start, `tail` says why, once."""

    def __init__(self, name: str, log: Path, echo: Echo, *, quiet: bool = False) -> None:
        self.tail: deque[str] = deque(maxlen=20)
        self._name = name
        self._file = log.open("ab", buffering=0)
        self._echo = echo
        self._quiet = quiet
        self._held: deque[str] | None = deque(maxlen=50)
        self._rest = b""
        self._in_traceback = False

    def feed(self, chunk: bytes, ready_line: str | None = None) -> bool:
        """Take what was read; True when `ready_line` was in one of the lines that it completed. An overlong line is cut into several."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            lines.append(self._rest)
            self._rest = b""
        told = [self._line(line, ready_line) for line in lines]
        return any(told)

    def release(self) -> None:
        """It is ready: show the warnings that have come so far, and from now on each as it comes."""
        held, self._held = self._held, None
        for line in held or ():
            self._echo(self._name, line)

    def end(self) -> None:
        """The process is over: a last line without its newline counts too."""
        if self._rest:
            self.feed(b"\n")

    def close(self) -> None:
        self.end()
        self._file.close()

    def _line(self, raw: bytes, ready_line: str | None) -> bool:
        self._file.write(raw + b"\n")
        line = raw.decode(errors="replace").rstrip("\r")
        if ready_line is not None and ready_line in line:
            return True  # its readiness is the supervisor's to tell
        self.tail.append(line)
        if self._is_loud(line) and not self._quiet:
            if self._held is None:
                self._echo(self._name, line)
            else:
                self._held.append(line)
        return False

    def _is_loud(self, line: str) -> bool:
        if _TRACEBACK in line:
            self._in_traceback = True
            return True
        if self._in_traceback:
            # Its indented lines, and the first one after them: the exception.
            self._in_traceback = line.startswith(" ")
            return True
        return bool(_LOUD.search(line))
