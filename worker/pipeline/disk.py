"""A full disk under the work is nothing that a document did: the run is given back, and tried again here or elsewhere."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from app.domain.errors import Unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def refusals() -> Iterator[None]:
    """Raises Unavailable where the disk was full; every other error as it is."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Unavailable("scratch_full", "no space left for reading the document") from error
        raise
