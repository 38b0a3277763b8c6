"""One bar a file: sending, then the stages of the processing, then what came of it."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from app.cli.connection import plain


class Bar:
    def __init__(self, progress: Progress, label: str) -> None:
        self._progress = progress
        self._stages: list[str] = []
        self._attempt = 1
        self._percent = 0
        self._is_told = False
        self._label = plain(label)
        self._task = progress.add_task(self._label, total=100, said="waiting")

    def begin(self) -> None:
        """The file is sent from its beginning, perhaps again."""
        self._is_told = False

    def sent(self, done: int, total: int) -> None:
        """Bytes of the file that were read; much of it may be in buffers on the way. What the server says that it has counts more."""
        if not self._is_told:
            self._progress.update(self._task, completed=100 * done / max(total, 1), said="sending")

    def receiving(self, event: dict[str, Any]) -> None:
        """How much the server has. It may say so a moment after it has answered."""
        percent = event.get("stage-progress")
        if not self._stages and isinstance(percent, int):
            self._is_told = True
            self._progress.update(self._task, completed=percent, said="receive")

    def note(self, text: str) -> None:
        self._progress.update(self._task, said=plain(text))

    def received(self) -> None:
        """The upload was answered. Messages may have come before the answer."""
        if not self._stages:
            self._stages = ["receive"]
            self._progress.update(self._task, completed=0, said="receive")

    def take(self, event: dict[str, Any]) -> None:
        """A message about this source."""
        self.received()
        attempt = event.get("attempt") or self._attempt
        if attempt > self._attempt:
            self._attempt = attempt
            self._stages = [f"worker lost · attempt {attempt}"]
        stage = event.get("stage")
        if stage and stage not in self._stages:
            self._stages.append(stage)
        if isinstance(event.get("progress"), int):
            self._percent = event["progress"]
        self._progress.update(self._task, completed=self._percent, said=plain(" ".join(self._stages)))

    def end(self, text: str, *, seconds: float, good: bool) -> None:
        """The bar goes, and its last state is printed in full, however narrow the terminal."""
        percent = 100 if good else self._percent
        self._progress.remove_task(self._task)
        words = [self._label, "━" * (20 * percent // 100), f"{percent} %", " ".join(self._stages), f"{seconds:.1f} s", text]
        self._progress.console.print(Text(plain("  ".join(word for word in words if word))), soft_wrap=True)


def bars(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(20),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[said]}", markup=False),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_interactive)


def told(result: dict[str, Any]) -> str:
    """What a success found, in a few words."""
    text = result.get("text") or {}
    found = [(result.get("pages"), "page"), (text.get("words"), "word")]
    parts = [f"{count:,} {noun}{'' if count == 1 else 's'}" for count, noun in found if isinstance(count, int)]
    return ", ".join(parts) or f"{result.get('media_type') or 'stored'}, {result.get('size', 0):,} bytes"
