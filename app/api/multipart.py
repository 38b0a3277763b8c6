"""multipart/form-data as a stream, sans I/O: bytes in, parts out; file bytes pass through as they come, fields are small and whole.

python-multipart's push parser does the parsing (RFC 7578, RFC 2046); this file bounds it and gives the events names.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.domain.errors import InvalidRequest
from app.domain.policy import MAX_FILES

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each malformed body: a stranger could fill the log

FIELD_LIMIT_BYTES = 64 * 1024
"""Of one field's value; a URL or some metadata is the longest that anybody sends."""
PARTS_LIMIT = 32 + 3 * MAX_FILES
"""Each file may have an id and a name."""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FileBegins:
    name: str
    filename: str | None
    media_type: str | None


@dataclass(frozen=True, slots=True)
class FileBytes:
    chunk: memoryview


@dataclass(frozen=True, slots=True)
class FileEnds:
    pass


Part = Field | FileBegins | FileBytes | FileEnds


def boundary(content_type: str | None) -> bytes:
    """The boundary of a multipart/form-data type. Raises InvalidRequest for any other type, and for a charset other than UTF-8.

    A charset is the client's choice of a decoder to run over its fields, and some of Python's take quadratic time.
    """
    media_type, options = parse_options_header(content_type or "")
    if media_type != b"multipart/form-data":
        raise InvalidRequest("not_multipart", "send the form as multipart/form-data")
    if options.get(b"charset", b"utf-8").lower() not in {b"utf-8", b"utf8"}:
        raise InvalidRequest("charset_refused", "the only charset is utf-8")
    found = options.get(b"boundary", b"")
    if not 1 <= len(found) <= 70:  # RFC 2046, section 5.1.1
        raise InvalidRequest("not_multipart", "multipart/form-data needs a boundary of 1 to 70 characters")
    return found


class MultipartReader:
    """`feed` returns what the new bytes completed; `close` raises when the body ended too early."""

    def __init__(self, boundary: bytes) -> None:
        self._parts: list[Part] = []
        self._count = 0
        self._ended = False
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._is_file = False
        self._name = ""
        self._value = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._header_field_comes,
                "on_header_value": self._header_value_comes,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._bytes_come,
                "on_part_end": self._part_ends,
                "on_end": self._body_ends,
            },
        )

    def feed(self, chunk: bytes) -> list[Part]:
        """What the chunk completed, in order. The memoryviews are of this chunk: use them before the next one. Raises InvalidRequest."""
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise InvalidRequest("malformed_multipart", "the multipart body is malformed") from error
        parts, self._parts = self._parts, []
        return parts

    def close(self) -> None:
        if not self._ended:
            raise InvalidRequest("malformed_multipart", "the multipart body ended before its closing boundary")

    def _part_begins(self) -> None:
        self._count += 1
        if self._count > PARTS_LIMIT:
            raise InvalidRequest("too_many_parts", f"a form may have {PARTS_LIMIT} parts")
        self._headers = {}

    def _header_field_comes(self, chunk: bytes, start: int, end: int) -> None:
        self._header_name += chunk[start:end]

    def _header_value_comes(self, chunk: bytes, start: int, end: int) -> None:
        self._header_value += chunk[start:end]

    def _header_ends(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _headers_end(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if disposition != b"form-data" or b"name" not in options:
            raise InvalidRequest("malformed_multipart", "each part needs Content-Disposition: form-data with a name")
        self._name = options[b"name"].decode("utf-8", "replace")
        self._is_file = b"filename" in options
        if self._is_file:
            media_type, _ = parse_options_header(self._headers.get(b"content-type", b""))
            filename = options[b"filename"].decode("utf-8", "replace")
            self._parts.append(FileBegins(self._name, filename or None, media_type.decode("latin-1") or None))
        else:
            self._value = bytearray()

    def _bytes_come(self, chunk: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._parts.append(FileBytes(memoryview(chunk)[start:end]))
        else:
            self._value += chunk[start:end]
            if len(self._value) > FIELD_LIMIT_BYTES:
                raise InvalidRequest("field_too_large", f"a field may have {FIELD_LIMIT_BYTES} bytes", field=self._name)

    def _part_ends(self) -> None:
        if self._is_file:
            self._parts.append(FileEnds())
            return
        try:
            self._parts.append(Field(self._name, self._value.decode("utf-8")))
        except UnicodeDecodeError:
            raise InvalidRequest("invalid_field", f"field {self._name} is not UTF-8", field=self._name) from None

    def _body_ends(self) -> None:
        self._ended = True
