"""The small picture of a document: WebP, sRGB, upright, and without anything that the original says of itself."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, ImageCms, ImageOps

from worker.processors.base import THUMBNAIL as FILE
from worker.processors.base import Reading, Thumbnail

_QUALITY: Final = 80
_DEEP: Final = ("I;16", "I;16B", "I;16L", "I;16N")


def draw(image: Image.Image, reading: Reading) -> Thumbnail:
    """Write the thumbnail. Raises what Pillow raises over a broken image. The caller has looked at the number of pixels."""
    profile = image.info.get("icc_profile")
    side = reading.limits.thumbnail_pixels
    image.draft("RGB", (side, side))  # a JPEG can be decoded at an eighth of its size
    small = ImageOps.exif_transpose(_plain(image))
    small.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    small = _in_srgb(small, profile)
    small.info = {}
    small.save(reading.folder / FILE, "WEBP", quality=_QUALITY)
    return Thumbnail(*small.size)


def _plain(image: Image.Image) -> Image.Image:
    """In a mode that can be made smaller and saved as WebP, with its transparency."""
    if image.mode in _DEEP:
        return image.point(lambda value: value / 256).convert("L")
    if image.mode in {"RGB", "RGBA", "L"}:
        return image
    has_alpha = image.mode in {"LA", "PA", "La", "RGBa"} or "transparency" in image.info
    return image.convert("RGBA" if has_alpha else "RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile is None or image.mode not in {"RGB", "RGBA"}:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        changed = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=image.mode)
    except (ImageCms.PyCMSError, OSError, ValueError):  # a broken profile costs some colour
        return image
    return changed or image
