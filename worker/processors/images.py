"""Pictures: their size, frames and what the camera noted; where it was, only when that was asked for."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Rational
from typing import Any, Final

import pi_heif
from PIL import ExifTags, Image, ImageOps

from worker.processors import picture
from worker.processors.base import BuiltIn, Extracted, Failed, Reading, Thumbnail
from worker.processors.blocks import line
from worker.processors.ocr import Ocr

_pi_heif: Any = pi_heif  # no annotations
_pi_heif.register_heif_opener()
# Its formats are modules, which it would import anew in each process that is forked for a picture: 90 ms.
Image.init()
# Its limit warns at one size and raises at twice that. We compare before anything is decoded.
Image.MAX_IMAGE_PIXELS = None

_FORMATS: Final = {
    "image/jpeg": ("JPEG", "MPO"), "image/png": ("PNG",), "image/gif": ("GIF",), "image/webp": ("WEBP",), "image/tiff": ("TIFF",), "image/bmp": ("BMP",),
    "image/heic": ("HEIF",), "image/heif": ("HEIF",), "image/heic-sequence": ("HEIF",), "image/avif": ("AVIF",),
}  # fmt: skip
_SAYS: Final = {
    ExifTags.Base.ImageDescription: "title", ExifTags.Base.Artist: "author", ExifTags.Base.Software: "producer", ExifTags.Base.Copyright: "copyright",
}  # fmt: skip
_CAMERA: Final = (
    ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.LensModel, ExifTags.Base.ExposureTime, ExifTags.Base.FNumber, ExifTags.Base.ISOSpeedRatings,
    ExifTags.Base.FocalLength,
)  # fmt: skip
_TURNED: Final = frozenset(range(5, 9))
"""Orientations in which width and height change places."""
_SAID_LIMIT_CHARACTERS: Final = 1000
_GPS_OPTION: Final = "gps"


class ImageProcessor(BuiltIn):
    name = "image"
    media_types: tuple[str, ...] = tuple(_FORMATS)

    def process(self, reading: Reading) -> Extracted:
        with _opened(reading) as image:
            width, height = image.size
            exif = _exif(image)
            if exif.get(ExifTags.Base.Orientation) in _TURNED:
                width, height = height, width
            frames = int(getattr(image, "n_frames", 1))
            details: dict[str, Any] = {"format": image.format, "mode": image.mode}
            details |= _camera(exif)
            if reading.options.get(_GPS_OPTION) is True and (where := _where(exif)):
                details["gps"] = where
            details |= _recognise(image, frames, reading)
            return Extracted(width=width, height=height, frames=frames, document=_said(exif), details=details)

    def thumbnail(self, reading: Reading) -> Thumbnail | None:
        with _opened(reading) as image:
            if image.width * image.height > reading.limits.pixels:
                raise Failed("bomb", f"{image.width} x {image.height} pixels")
            return picture.draw(image, reading)


def _recognise(image: Image.Image, frames: int, reading: Reading) -> dict[str, Any]:
    """Write down the text that is seen in it; of a fax, page by page."""
    ocr = Ocr(reading)
    pages = frames if image.format == "TIFF" else 1  # of a film its first frame
    for index in range(pages):
        if image.width * image.height > reading.limits.pixels or not ocr.has_room:
            break
        try:
            image.seek(index)
            text = ocr.read(ImageOps.exif_transpose(image))
        except (OSError, ValueError, SyntaxError, EOFError):  # half a picture: its size is known all the same
            break
        if pages > 1:
            reading.write_page(text)
        elif text:
            reading.write_text(text)
        reading.progress(index + 1, pages, "frames")
    return ocr.report()


@contextmanager
def _opened(reading: Reading) -> Iterator[Image.Image]:
    try:
        # It warns of what it can do without: notes that are cut, a table that it repairs.
        with warnings.catch_warnings(action="ignore"), Image.open(reading.path, formats=_FORMATS[reading.media_type]) as image:
            yield image
    except (FileNotFoundError, MemoryError, Failed):
        raise
    except Exception as error:
        raise Failed("malformed", f"{type(error).__name__}: {error}") from error


def _exif(image: Image.Image) -> Image.Exif:
    """Without decoding the picture, which Pillow does for a PNG: its notes may stand behind the pixels."""
    if image.format != "PNG":
        return image.getexif()
    exif = Image.Exif()
    exif.load(image.info.get("exif", b""))
    return exif


def _said(exif: Image.Exif) -> dict[str, str]:
    found = {key: _text(exif.get(tag)) for tag, key in _SAYS.items()}
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    found["created_at"] = _moment(inner.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime), inner.get(ExifTags.Base.OffsetTimeOriginal))
    return {key: text for key, text in found.items() if text}


def _camera(exif: Image.Exif) -> dict[str, Any]:
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    noted = {tag.name: _value(inner.get(tag, exif.get(tag))) for tag in _CAMERA}
    known = {name: value for name, value in noted.items() if value not in {None, ""}}
    return {"exif": known} if known else {}


def _where(exif: Image.Exif) -> dict[str, float]:
    """Degrees, north and east positive; metres."""
    noted = exif.get_ifd(ExifTags.IFD.GPSInfo)
    found = {}
    for name, tag, reference, negative in (
        ("latitude", ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S"),
        ("longitude", ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W"),
    ):
        try:
            degrees, minutes, seconds = (float(part) for part in noted[tag])
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            continue
        place = degrees + minutes / 60 + seconds / 3600
        found[name] = round(-place if _text(noted.get(reference)).upper() == negative else place, 6)
    return found


def _moment(text: object, offset: object) -> str:
    """`2024:02:29 10:30:00` as ISO 8601; empty when it is none."""
    date, _, clock = _text(text).partition(" ")
    if date.count(":") != 2 or not date.replace(":", "").isdigit():
        return ""
    zone = _text(offset)
    return f"{date.replace(':', '-')}T{clock}{zone if zone[:1] in {'+', '-', 'Z'} else ''}"


def _value(value: object) -> str | float | int | None:
    if isinstance(value, int):
        return value
    if isinstance(value, Rational | float):  # a fraction of Pillow's may have a denominator of 0
        number = float(value) if not isinstance(value, Rational) or value.denominator != 0 else math.nan
        return round(number, 6) if math.isfinite(number) else None
    return _text(value) or None


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return line("".join(c if c.isprintable() else " " for c in value))[:_SAID_LIMIT_CHARACTERS] if isinstance(value, str) else ""
