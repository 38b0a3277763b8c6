"""What an embedder is. As with processors, a plug-in's class needs no base class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from headrace_plugin.chunk import Chunk

EMBEDDERS: Final = "headrace.embedders"
"""The group of entry points under which a distribution names its embedders: classes without arguments, or instances."""
BATCH: Final = 32
"""The most chunks that `embed` gets at once."""


class Embedder(Protocol):
    """Attributes of the class will do. Made once in a process that lives long, used in one that was forked for the chunks of one document.

    Importing its module, and making it, must start no thread and call into no library that does: what works before a fork may hang
    after it. So a library may be imported with the module, and a model is loaded at the first call of `embed`. There is no network then, no
    environment but a few names, and nothing to write to but the working folder.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Vectors of two versions are not compared: it names the model too."""

    def embed(self, chunks: Sequence[Chunk]) -> Sequence[Sequence[float]]:
        """A vector for each chunk, in their order; all of one length. Called for one batch after the other.

        Raises Failed; anything else that it raises is `crash`. Either ends the source in failure.
        """
