"""What a processor is written against: `headrace_plugin`, for those that come with Headrace as for those of others (ADR 21)."""

from __future__ import annotations

from headrace_plugin import THUMBNAIL, Extracted, Failed, Heading, Limits, Processor, Reading, Thumbnail, Thumbnailer, Unsupported


class BuiltIn:
    """What those that come with Headrace have in common."""

    version: str = "1"
    priority: int = 0


__all__ = ["THUMBNAIL", "BuiltIn", "Extracted", "Failed", "Heading", "Limits", "Processor", "Reading", "Thumbnail", "Thumbnailer", "Unsupported"]
