"""Which processors read a media type: those that come with Headrace, and those of installed plug-ins.

Loaded in the parser host only (worker/isolation): nothing of a plug-in, not even its import, happens in a process that has keys.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from fnmatch import translate
from importlib.metadata import entry_points
from typing import Any, Final

from headrace_plugin import ENTRY_POINTS
from worker.processors.archive import ArchiveProcessor
from worker.processors.base import Processor
from worker.processors.csvtable import CsvProcessor
from worker.processors.docx import DocxProcessor
from worker.processors.epub import EpubProcessor
from worker.processors.images import ImageProcessor
from worker.processors.odf import OdfProcessor
from worker.processors.pdf import PdfProcessor
from worker.processors.pptx import PptxProcessor
from worker.processors.recording import RecordingProcessor
from worker.processors.rtf import RtfProcessor
from worker.processors.svg import SvgProcessor
from worker.processors.text import TextProcessor
from worker.processors.webpage import WebpageProcessor
from worker.processors.xlsx import XlsxProcessor

log = logging.getLogger(__name__)

BUILT_IN: Final[tuple[type[Processor], ...]] = (
    PdfProcessor, DocxProcessor, PptxProcessor, XlsxProcessor, OdfProcessor, EpubProcessor, RtfProcessor, WebpageProcessor, CsvProcessor, ImageProcessor,
    SvgProcessor, ArchiveProcessor, RecordingProcessor, TextProcessor,
)  # fmt: skip
"""The last one takes whatever is text."""


class Registry:
    """Processors in the order in which they are asked: by priority, then as they were given."""

    def __init__(self, processors: Iterable[Processor]) -> None:
        self.processors: Final[Sequence[Processor]] = sorted(processors, key=lambda each: -each.priority)
        self._taken: Final = [_taken(each) for each in self.processors]

    def reading(self, media_type: str) -> list[Processor]:
        """Those that take the media type."""
        return [each for each, taken in zip(self.processors, self._taken, strict=True) if taken.match(media_type)]


def installed() -> list[Processor]:
    """The processors that installed distributions name. One that cannot be loaded is logged and left out: it is not the others' fault."""
    found: list[Processor] = []
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            found.append(_made(entry.load()))
        except Exception:  # whatever a stranger's module does at its import
            log.exception("plug-in %s (%s) is left out", entry.name, entry.value)
    return found


def _made(loaded: Any) -> Processor:
    processor: Processor = loaded() if isinstance(loaded, type) else loaded
    missing = [name for name in ("name", "version", "media_types", "priority", "process") if not hasattr(processor, name)]
    if missing:
        raise TypeError(f"it has no {', '.join(missing)}")
    _taken(processor)
    return processor


def _taken(processor: Processor) -> re.Pattern[str]:
    """The media types that it takes. Made before a fork: in each process that is forked it would cost 2 ms. Raises TypeError: no patterns."""
    return re.compile("|".join(translate(pattern) for pattern in processor.media_types) or "(?!)")


def load(more: Iterable[Processor] = ()) -> Registry:
    """All there are; among equals in priority `more` comes first, then plug-ins, then ours."""
    return Registry([*more, *installed(), *(kind() for kind in BUILT_IN)])
