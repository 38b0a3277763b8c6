"""What it costs to read a document in a process of its own: beside the same reading inline, and beside bare PDFium."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pypdfium2

from bench.claim import Claim
from bench.session import Session
from tests.documents import pdf
from worker.isolation.inline import Inline
from worker.isolation.parser import Parser, Request
from worker.isolation.parser_host import ParserHost

_PAGES = 100
# A full page of A4, in one column.
_LINES = "\n".join(["a line of words such as stands on a page of a report, as long as the page is wide."] * 55)


def run(session: Session) -> Iterator[Claim]:
    session.leave()
    times = 10 if session.quick else 200
    host, inline = ParserHost(), Inline()
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        at = Path(folder)
        try:
            for name, media_type, body in (("text", "text/plain", b"some words\n" * 100), ("PDF", "application/pdf", pdf(["one", "two"]))):
                (at / name).write_bytes(body)
                isolated, bare = _in_turns(times, *(lambda by=by: _read(by, at / name, media_type) for by in (host, inline)))  # noqa: B023 - called at once
                p99 = sorted(isolated)[len(isolated) * 99 // 100]
                note = f"isolated {1000 * median(isolated):.1f} ms, inline {1000 * median(bare):.1f} ms, p99 {1000 * p99:.0f} ms"
                yield Claim(f"isolation of a small {name}", 1000 * (median(isolated) - median(bare)), "ms", bound=25, note=note)
            (at / "long").write_bytes(pdf([_LINES] * _PAGES))
            ours, bare = _in_turns(3 if session.quick else 20, lambda: _read(host, at / "long", "application/pdf"), lambda: _bare(at / "long"))
            note = f"floor: bare pypdfium2, {_PAGES / median(bare):.0f} pages/s"
            yield Claim(f"a PDF of {_PAGES} pages, read", 1000 * median(ours), "ms", floor=1000 * median(bare), bound=1 / 0.7, note=note)
            yield Claim("a parser host, at rest", _resident_mib(host), "MiB")
        finally:
            host.close()


def _in_turns(times: int, *calls: Any) -> list[list[float]]:
    """Seconds that each took, the first time left out."""
    took: list[list[float]] = [[] for _ in calls]
    for _ in range(times + 1):
        for call, kept in zip(calls, took, strict=True):
            began = time.perf_counter()
            call()
            kept.append(time.perf_counter() - began)
    return [kept[1:] for kept in took]


def _read(by: Parser, path: Path, media_type: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        assert by.extract(Request(path, media_type, Path(made)), lambda _: None).text is not None


def _bare(path: Path) -> None:
    with pypdfium2.PdfDocument(path) as document:
        for index in range(len(document)):
            page = document[index]
            text = page.get_textpage()
            text.get_text_bounded()
            text.close()
            page.close()


def _resident_mib(host: ParserHost) -> float:
    pid = host._idle[0].pid  # noqa: SLF001 - nobody else needs it
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
