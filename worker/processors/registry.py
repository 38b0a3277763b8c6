"""Which processor reads which media type."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from worker.processors.base import Processor
from worker.processors.pdf import PdfProcessor
from worker.processors.text import TextProcessor

PROCESSORS: Final[tuple[Processor, ...]] = (PdfProcessor(), TextProcessor())


def processor_for(media_type: str) -> Processor | None:
    """The first one whose patterns match; None when nobody reads such files (they are kept, without text)."""
    return next((p for p in PROCESSORS if any(fnmatchcase(media_type, pattern) for pattern in p.media_types)), None)
