"""What a processor is. A plug-in's class needs no base class: these say only what it must have."""

from __future__ import annotations

from typing import Final, Protocol

from headrace_plugin.extracted import Extracted, Thumbnail
from headrace_plugin.reading import Reading

ENTRY_POINTS: Final = "headrace.processors"
"""The group of entry points under which a distribution names its processors: classes without arguments, or instances."""


class Processor(Protocol):
    """Attributes of the class will do. Made once in a process that lives long, used in one that was forked for the one file: keep nothing from file to file.

    Importing its module, and making it, must start no thread and call into no library that does: what works before a fork may hang
    after it.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def media_types(self) -> tuple[str, ...]:
        """Patterns for fnmatch, e.g. `text/*`."""

    @property
    def priority(self) -> int:
        """Of all that take a media type the highest is asked first; those that come with Headrace have 0."""

    def process(self, reading: Reading) -> Extracted:
        """Read the file. Raises Unsupported (the next one is asked), Failed. Anything else that it raises is `crash`."""


class Thumbnailer(Protocol):
    """A processor that can draw as well. It is called after `process`, in another process, under limits of its own.

    Not if `process` has written the picture already.
    """

    def thumbnail(self, reading: Reading) -> Thumbnail | None:
        """Write a WebP of at most `reading.limits.thumbnail_pixels` on either side to `reading.folder / THUMBNAIL`; None: there is nothing to see.

        Whatever it raises costs the thumbnail only (warning `thumbnail_failed`).
        """
