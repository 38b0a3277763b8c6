"""The text of a file in an encoding that nobody told us.

The ladder: byte order mark, UTF-16 without one (by where its NULs stand), strict UTF-8, the statistics of charset-normalizer,
and cp1252, which is then a guess. What is kept of the text bounds the memory, not the file: it is read in chunks.
"""

from __future__ import annotations

import codecs
import os
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from charset_normalizer import from_bytes

from worker.processors.base import Limits, Reading

SAMPLE_BYTES: Final = 64 * 1024
LAST_RESORT: Final = "cp1252"

# Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS: Final = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# In order of preference among those that fit equally well. cp932 is Shift-JIS as Windows writes it.
_LEGACY: Final = ["cp1252", "cp932", "euc_jp", "gb18030", "big5", "euc_kr", "cp1250", "cp1251", "koi8_r", "cp866"]
_WIDER: Final = {
    "iso8859_1": "cp1252", "ascii": "cp1252", "shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "iso8859_9": "cp1254",
}  # fmt: skip
_ISO_2022_JP: Final = re.compile(rb"\x1b\$[@B]|\x1b\([IJ]")
_SEAM: Final = re.compile(rb"[\x00-\x2f]")
"""Bytes that are never part of a longer character in any of these: between them stand words."""

_WORD_BYTES: Final = 40
"""What is longer, and ASCII, is no word: base64, a rule of dashes."""


@dataclass(frozen=True, slots=True)
class Decoded:
    text: str
    encoding: str
    """As Python names it."""
    guessed: bool
    """Nothing proves the encoding, or some bytes did not fit and became U+FFFD."""
    truncated: bool

    def warn(self, reading: Reading) -> None:
        """Of what the user should know of it."""
        if self.guessed:
            reading.warn("encoding_guessed", f"Read as {self.encoding}, which nothing proves")
        if self.truncated:
            reading.warn("truncated", f"Only the first {len(self.text)} characters were kept")
        if not self.text.strip():
            reading.warn("no_text", "There is nothing but white space")


def decode(path: Path, *, limit: int = Limits().text_characters, declared: str | None = None) -> Decoded:
    """The first `limit` characters, free of lone surrogates. Any bytes decode; a few times `limit` of memory, whatever the size.

    `declared` is the document's own word for its encoding, taken where all bytes fit it and nothing surer is found.
    """
    with path.open("rb") as file:
        head = file.read(SAMPLE_BYTES)
        if unicode := marked(head) or unmarked_utf16(head):
            return _read(file, unicode, limit)
        if _ISO_2022_JP.search(head):  # ASCII, byte by byte
            return _read(file, "iso2022_jp", limit)
        try:
            return _read(file, "utf-8", limit, errors="strict")
        except UnicodeDecodeError:
            # Where it failed is where the evidence is: a long file may be plain ASCII at both ends.
            sample = _sample(file, around=file.tell())
        if (codec := _known(declared)) is not None:
            with suppress(UnicodeDecodeError):
                return _read(file, codec, limit, errors="strict")
        encoding, guessed = _nearly_utf8(sample) or _legacy(sample) or (LAST_RESORT, True)
        return _read(file, encoding, limit, guessed=guessed)


def _known(declared: str | None) -> str | None:
    """The codec of that name, as browsers take it: the wider one where two have one name."""
    try:
        name = codecs.lookup(declared or "").name.replace("-", "_")
    except (LookupError, ValueError):
        return None
    if name in {"utf_8", "utf_7"} or not _is_text_codec(name):
        return None
    return _WIDER.get(name, name)


def _is_text_codec(name: str) -> bool:
    try:
        b"a".decode(name)
    except (LookupError, UnicodeDecodeError):
        return False
    return True


def marked(head: bytes) -> str | None:
    """The codec that a byte order mark announces."""
    return next((codec for mark, codec in _MARKS.items() if head.startswith(mark)), None)


def unmarked_utf16(head: bytes) -> str | None:
    """The codec, when NULs stand as in UTF-16 and all of `head` is text then. Text without one character below U+0100 is not seen."""
    head = head[: len(head) & ~1]
    nuls = {"utf-16-le": head[1::2].count(0), "utf-16-be": head[::2].count(0)}
    for codec in sorted(nuls, key=nuls.__getitem__, reverse=True):
        if nuls[codec] and _is_utf16(head, codec):
            return codec
    return None


def _is_utf16(head: bytes, codec: str) -> bool:
    try:
        text = codecs.getincrementaldecoder(codec)().decode(head)
    except UnicodeDecodeError:
        return False
    # Binary data, or the wrong byte order, soon hits a control character or one that does not exist.
    return not any(unicodedata.category(c) in {"Cc", "Cn", "Co"} and c not in "\t\n\v\f\r\x1b" for c in set(text))


def _read(file: BinaryIO, codec: str, limit: int, *, errors: str = "replace", guessed: bool = False) -> Decoded:
    """Raises UnicodeDecodeError when `errors` is strict; the file then stands behind the chunk at fault."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder(codec)(errors)
    parts: list[str] = []
    length = 0
    while length <= limit:
        chunk = file.read(SAMPLE_BYTES)
        parts.append(decoder.decode(chunk, final=not chunk))
        length += len(parts[-1])
        if not chunk:
            break
    text = "".join(parts)[:limit]
    unfit = errors == "replace" and "\ufffd" in text
    return Decoded(text, codec, guessed=guessed or unfit, truncated=length > limit)


def _sample(file: BinaryIO, *, around: int) -> bytes:
    """What is not ASCII, with the words beside it, from the head, the chunk that ends at `around` and its neighbours, and the file's end."""
    size = file.seek(0, os.SEEK_END)
    spans = [(0, 0)]
    for begin, end in ((0, SAMPLE_BYTES), (around - 2 * SAMPLE_BYTES, around + SAMPLE_BYTES), (size - SAMPLE_BYTES, size)):
        start = spans.pop()[0] if begin <= spans[-1][1] else begin
        spans.append((start, min(end, size)))
    words: list[bytes] = []
    for begin, end in spans:
        file.seek(begin)
        found = _SEAM.split(file.read(end - begin))
        # The first and the last may be cut, unless the file begins or ends there.
        words += found[bool(begin) : None if end == size else -1] or found
    telling = [index for index, word in enumerate(words) if not word.isascii()]
    near = sorted({beside for index in telling for beside in range(max(0, index - 5), min(len(words), index + 6))})
    return b" ".join(word for word in (words[index] for index in near) if len(word) <= _WORD_BYTES or not word.isascii())


def _nearly_utf8(sample: bytes) -> tuple[str, bool] | None:
    """UTF-8 with a few bytes broken, as after a cut download: other encodings do not look like it by chance."""
    text = sample.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    longer = sum(1 for c in text if c > "\x7f") - broken
    return ("utf-8", True) if longer > 10 * broken else None


def _legacy(sample: bytes) -> tuple[str, bool] | None:
    """The likeliest legacy encoding, and whether it is but a guess."""
    matches = list(from_bytes(sample, cp_isolation=_LEGACY))
    if not sample or not matches:
        return None
    best = matches[0]
    equals = [match for match in matches if (match.chaos, match.coherence) == (best.chaos, best.coherence)]
    names = {name for match in equals for name in match.could_be_from_charset if name in _LEGACY}
    # No language recognised and several readings that differ: too short to tell.
    return min(names, key=_LEGACY.index), len(equals) > 1 and not best.coherence
