"""What a processor for Headrace is written against. Standard library only, and nothing of Headrace itself: see README.md.

A processor reads one file of a media type that it names. It gets a Reading, writes what it reads through it, and returns what else it
found, as Extracted. It knows no store, no Redis and no settings, and it runs in a process of its own that lives for this one file.

An embedder makes vectors of the chunks that a text was cut into, in a process of its own as well.
"""

from headrace_plugin.chunk import CHUNKS, EMBEDDINGS, Chunk
from headrace_plugin.embedder import BATCH, EMBEDDERS, Embedder
from headrace_plugin.errors import FAILURES, Failed, Unsupported
from headrace_plugin.extracted import SCHEMA, Extracted, Heading, Thumbnail
from headrace_plugin.processor import ENTRY_POINTS, Processor, Thumbnailer
from headrace_plugin.reading import MARKDOWN, PAGES, TEXT, THUMBNAIL, Limits, Reading

__all__ = [
    "BATCH", "CHUNKS", "EMBEDDERS", "EMBEDDINGS", "ENTRY_POINTS", "FAILURES", "MARKDOWN", "PAGES", "SCHEMA", "TEXT", "THUMBNAIL", "Chunk", "Embedder",
    "Extracted", "Failed", "Heading", "Limits", "Processor", "Reading", "Thumbnail", "Thumbnailer", "Unsupported",
]  # fmt: skip
