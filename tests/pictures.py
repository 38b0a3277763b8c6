"""Pictures, made here."""

from __future__ import annotations

import io
import struct
from typing import Any

from PIL import ExifTags, Image

FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF", "image/webp": "WEBP", "image/tiff": "TIFF", "image/bmp": "BMP", "image/avif": "AVIF"}

RED, BLUE = (200, 30, 30), (30, 30, 200)


def picture(width: int = 60, height: int = 40, mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image.convert(mode)


def encoded(media_type: str, image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or picture()).save(buffer, FORMATS[media_type], **options)
    return buffer.getvalue()


def noted(orientation: int = 1) -> Image.Exif:
    """What a camera notes, with where it was: 48.8583 N, 2.2945 W."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.Artist] = "A. Writer\0"
    exif[ExifTags.Base.Orientation] = orientation
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    inner[ExifTags.Base.DateTimeOriginal] = "2024:02:29 10:30:00"
    inner[ExifTags.Base.OffsetTimeOriginal] = "+02:00"
    inner[ExifTags.Base.FNumber] = 2.8
    inner[ExifTags.Base.ISOSpeedRatings] = 400
    where = exif.get_ifd(ExifTags.IFD.GPSInfo)
    where[ExifTags.GPS.GPSLatitudeRef], where[ExifTags.GPS.GPSLatitude] = "N", (48.0, 51.0, 29.88)
    where[ExifTags.GPS.GPSLongitudeRef], where[ExifTags.GPS.GPSLongitude] = "W", (2.0, 17.0, 40.2)
    return exif


# 64 x 64, red on the left and blue on the right: the four units of an HEVC stream that was encoded for this test.
_HEVC = tuple(bytes.fromhex(unit) for unit in (
    "40010c01ffff0408000003009fa800000300001eba0240",
    "4201010408000003009fa800000300001ea020810596ea4932bc05a02000000300200000030021",
    "4401c1718112",
    "2801af58f9947ff6ac7fe15816f0275ff5deabc49a7ecaeefabe",
))  # fmt: skip


def heic(turns: int = 0) -> bytes:
    """A still picture in HEVC, as telephones take them; to be turned left by so many quarters."""
    *parameters, slices = _HEVC
    arrays = b"".join(bytes([0x80 | unit[0] >> 1 & 63]) + struct.pack(">HH", 1, len(unit)) + unit for unit in parameters)
    # Main Still Picture, 4:2:0, 8 bits, lengths of four bytes.
    configuration = bytes.fromhex("01 03 70000000 900000000000 1e f000 fc fd f8 f8 0000 0f") + bytes([len(parameters)]) + arrays
    properties = [_box(b"hvcC", configuration), _full(b"ispe", struct.pack(">II", 64, 64)), _box(b"irot", bytes([turns]))]
    associations = struct.pack(">IHB", 1, 1, len(properties)) + bytes(0x80 | index for index in range(1, len(properties) + 1))
    kind = _full(b"hdlr", bytes(4) + b"pict" + bytes(13))
    item = _full(b"iinf", struct.pack(">H", 1) + _full(b"infe", struct.pack(">HH", 1, 0) + b"hvc1\0", version=2))
    described = _box(b"iprp", _box(b"ipco", b"".join(properties)) + _full(b"ipma", associations))
    data = struct.pack(">I", len(slices)) + slices
    start = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")

    def meta(offset: int) -> bytes:
        place = _full(b"iloc", bytes([0x44, 0]) + struct.pack(">HHHHII", 1, 1, 0, 1, offset, len(data)))
        return _full(b"meta", kind + _full(b"pitm", struct.pack(">H", 1)) + place + item + described)

    return start + meta(len(start) + len(meta(0)) + 8) + _box(b"mdat", data)


def _box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body


def _full(name: bytes, body: bytes, version: int = 0) -> bytes:
    return _box(name, struct.pack(">I", version << 24) + body)
