"""Text recognised in a picture, by tesseract where the system has it. Slow, so by few pages, and it says that it guessed."""

from __future__ import annotations

import csv
import shutil
import subprocess
import time
from itertools import groupby
from typing import Any, Final

from PIL import Image

from worker.processors.base import Reading

tesseract: str | None = shutil.which("tesseract")
"""Looked for once, when the worker starts."""

DOTS_PER_INCH: Final = 300
PIXELS: Final = 16_000_000
"""A picture with more is made smaller first."""

_SURE_PERCENT: Final = 50
"""A word that it is less sure of is mostly none: a leaf of a tree, a fold of the paper."""
_TIME_SHARE: Final = 0.6
"""Of what a reading may take: the rest of the document comes first."""
_LANGUAGES: Final = 3
"""More make it slower and no better; which ones, who installs them says."""
_LANGUAGES_OPTION: Final = "ocr_languages"
_WORD: Final = "5"
_FILE: Final = "ocr.png"


class Ocr:
    """Of one reading."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._until = time.monotonic() + _TIME_SHARE * reading.limits.wall_seconds
        self._languages = ""
        self._left_out = 0
        self.pages = 0
        """How many pictures it has looked at."""
        self._told = 0

    @property
    def is_there(self) -> bool:
        return tesseract is not None and self._reading.limits.ocr_pages > 0

    @property
    def has_room(self) -> bool:
        """For one page more. Ask before the picture is made; a page that it has no room for is counted, and warned of at the end."""
        if not self.is_there:
            return False
        if self.pages < self._reading.limits.ocr_pages and time.monotonic() < self._until:
            return True
        self._left_out += 1
        return False

    def read(self, image: Image.Image) -> str:
        """Line by line; empty when nothing was recognised, or not in time."""
        self.pages += 1
        self._languages = self._languages or _chosen(self._reading)
        path = self._reading.folder / _FILE
        _of_a_size(image).convert("L").save(path, compress_level=1)
        try:
            text = _lines(self._ask(str(path), "stdout", "-l", self._languages, "--dpi", str(DOTS_PER_INCH), "tsv"))
        except (OSError, subprocess.SubprocessError):
            text = ""
        finally:
            path.unlink()
        self._told += bool(text)
        return text

    def report(self) -> dict[str, Any]:
        """Warn of what was recognised and what was left out; what to put into the details."""
        if self._left_out:
            self._reading.warn("ocr_limited", f"{self._left_out} pages without text were not looked at: over the limit of pages, or of time")
        if self._told:
            self._reading.warn("ocr", f"The text of {self._told} pictures was recognised, and may have mistakes")
        if not self.pages:
            return {}
        return {"ocr": {"engine": "tesseract", "languages": self._languages, "pages": self.pages}}

    def _ask(self, *arguments: str) -> str:
        left = max(1.0, self._until - time.monotonic())
        command = [str(tesseract), *arguments]
        done = subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL, timeout=left)
        return done.stdout.decode("utf-8", "replace")


def _chosen(reading: Reading) -> str:
    """What the upload asks for, of what is installed; else the installed ones, English first."""
    done = subprocess.run([str(tesseract), "--list-langs"], capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=10)
    installed = sorted(name for name in done.stdout.decode().splitlines()[1:] if name not in {"osd", "equ"})  # after a heading
    asked = [name for name in str(reading.options.get(_LANGUAGES_OPTION, "")).split("+") if name in installed]
    return "+".join((asked or sorted(installed, key=lambda name: name != "eng"))[:_LANGUAGES]) or "eng"


def _of_a_size(image: Image.Image) -> Image.Image:
    pixels = image.width * image.height
    if pixels <= PIXELS:
        return image
    scale = (PIXELS / pixels) ** 0.5
    return image.resize((max(1, int(image.width * scale)), max(1, int(image.height * scale))), Image.Resampling.BOX)


def _lines(table: str) -> str:
    """The words of tesseract's table that it is sure of; a blank line between paragraphs."""
    rows = csv.DictReader(table.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    sure = [row for row in rows if row.get("level") == _WORD and _is_sure(row) and (row.get("text") or "").strip()]
    paragraphs = []
    for _, paragraph in groupby(sure, lambda row: (row["block_num"], row["par_num"])):
        lines = [" ".join(row["text"] for row in line) for _, line in groupby(paragraph, lambda row: row["line_num"])]
        paragraphs.append("\n".join(lines))
    return "\n\n".join(paragraphs)


def _is_sure(row: dict[str, str]) -> bool:
    try:
        return float(row["conf"]) >= _SURE_PERCENT
    except (KeyError, ValueError, TypeError):
        return False
