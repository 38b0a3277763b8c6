"""Coverage-guided fuzzing of the frame path, by hand, as long as you like:

    python3.11 -m venv ../fuzz && ../fuzz/bin/pip install -r requirements/run.txt && ../fuzz/bin/pip install atheris
    PYTHONPATH=. ../fuzz/bin/python tests/websocket/fuzz.py -max_total_time=300

It begins with the streams of all published cases. What fails is written to a file: the same command with its name plays it again. atheris is in no
pins, as it has no wheel for every system and Python that Headrace runs on.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["wsproto", "app.api.websocket"]):
    import app.api.websocket.framed  # noqa: F401 - here, or it would not be watched

from tests.websocket.cases import CASES
from tests.websocket.exchange import exchange
from tests.websocket.frames import mask, split

_TAIL = 5
"""Bytes at the end of an input: whether somebody listens, and where the stream is cut, in 256ths."""


def played(given: bytes) -> None:
    stream, tail = given[:-_TAIL], given[-_TAIL:]
    cuts = sorted(len(stream) * place >> 8 for place in tail[1:])
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    exchange([chunk for chunk in chunks if chunk], listens=bool(tail[:1] < b"\x80"))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            stream = b"".join(chunk for part in case.parts for chunk in part)
            still = b"".join(head + bytes(len(key)) + mask(body, key) for head, key, body in split(stream))
            (Path(folder) / case.id).write_bytes(still[:4000] + b"\x00\x00\x40\x80\xc0")
        atheris.Setup(sys.argv if any(Path(each).is_file() for each in sys.argv[1:]) else [*sys.argv, folder], played)
        atheris.Fuzz()


main()
