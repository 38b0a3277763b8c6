import io
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from app.domain import media
from tests import documents, pictures
from tests.readings import read as read_
from worker.processors.base import THUMBNAIL, Failed, Limits, Reading
from worker.processors.images import ImageProcessor

JPEG = "image/jpeg"


def read(data, media_type=JPEG, **more):
    return read_(ImageProcessor(), data, media_type, **more)


def drawn(data, media_type=JPEG, **more):
    return Image.open(io.BytesIO(read(data, media_type, draw=True, **more).thumbnail))


def looks_like(image):
    """Where it is red and where it is blue, by thirds of its width and height."""
    small = image.convert("RGB").resize((3, 3), Image.Resampling.BOX)
    return ["".join("r" if red > blue else "b" for red, _, blue in (small.getpixel((x, y)) for x in (0, 2))) for y in (0, 2)]


@pytest.mark.parametrize("media_type", pictures.FORMATS)
def test_each_format_has_its_size_and_a_picture(media_type):
    found = read(pictures.encoded(media_type), media_type, draw=True)
    assert (found.extracted.width, found.extracted.height, found.extracted.frames) == (60, 40, 1)
    small = Image.open(io.BytesIO(found.thumbnail))
    assert (small.format, small.size, looks_like(small)) == ("WEBP", (60, 40), ["rb", "rb"])
    assert found.text is None


@pytest.mark.parametrize("media_type", [media.HEIC, media.HEIF])
def test_the_picture_of_a_telephone(media_type):
    found = read(pictures.heic(), media_type, draw=True)
    assert (found.extracted.width, found.extracted.height, found.extracted.frames) == (64, 64, 1)
    assert looks_like(Image.open(io.BytesIO(found.thumbnail))) == ["rb", "rb"]
    assert looks_like(drawn(pictures.heic(turns=1), media.HEIC)) == ["bb", "rr"]


def test_frames_are_counted():
    frames = [pictures.picture().rotate(angle) for angle in (90, 180)]
    assert read(pictures.encoded("image/gif", save_all=True, append_images=frames), "image/gif").extracted.frames == 3
    assert read(pictures.encoded("image/tiff", save_all=True, append_images=frames), "image/tiff").extracted.frames == 3


def test_a_camera_is_told_but_not_where_it_was():
    found = read(pictures.encoded(JPEG, exif=pictures.noted()))
    assert found.extracted.document == {"author": "A. Writer", "created_at": "2024-02-29T10:30:00+02:00"}
    assert found.extracted.details == {"format": "JPEG", "mode": "RGB", "exif": {"Make": "Maker", "FNumber": 2.8, "ISOSpeedRatings": 400}}


@pytest.mark.parametrize(("options", "told"), [({"gps": True}, True), ({"gps": False}, False), ({"gps": "true"}, False), ({}, False)])
def test_where_it_was_is_told_when_it_was_asked_for(options, told, tmp_path):
    path = tmp_path / "source"
    path.write_bytes(pictures.encoded(JPEG, exif=pictures.noted()))
    (tmp_path / "made").mkdir()
    details = ImageProcessor().process(Reading(path, JPEG, tmp_path / "made", options=options)).details
    assert details.get("gps") == ({"latitude": 48.8583, "longitude": -2.2945} if told else None)


@pytest.mark.parametrize(
    ("orientation", "size", "look"), [(1, (60, 40), ["rb", "rb"]), (3, (60, 40), ["br", "br"]), (6, (40, 60), ["rr", "bb"]), (8, (40, 60), ["bb", "rr"])]
)
def test_size_and_picture_are_as_it_is_looked_at(orientation, size, look):
    data = pictures.encoded(JPEG, exif=pictures.noted(orientation))
    found = read(data)
    assert (found.extracted.width, found.extracted.height) == size
    assert (drawn(data).size, looks_like(drawn(data))) == (size, look)


def test_the_picture_says_nothing_of_the_original():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    small = drawn(pictures.encoded(JPEG, exif=pictures.noted(), icc_profile=profile))
    assert not {"exif", "icc_profile", "xmp"} & set(small.info)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "YCbCr"])
def test_every_mode_can_be_drawn(mode):
    media_type = {"CMYK": JPEG, "YCbCr": JPEG}.get(mode, "image/png")
    image = pictures.picture().convert("I").point(lambda value: value * 256).convert("I;16") if mode == "I;16" else pictures.picture(mode=mode)
    small = drawn(pictures.encoded(media_type, image), media_type)
    assert small.size == (60, 40)
    if mode in {"P", "RGBA", "CMYK", "YCbCr"}:
        assert looks_like(small) == ["rb", "rb"]
    elif mode == "I;16":
        low, high = small.convert("L").getextrema()
        assert 20 < low < high < 120  # not what is over 255 as white


def test_transparency_stays():
    clear = pictures.picture(mode="RGBA")
    clear.putalpha(0)
    assert drawn(pictures.encoded("image/png", clear), "image/png").convert("RGBA").getextrema()[3] == (0, 0)


def test_a_large_picture_is_made_small_and_a_small_one_not_large():
    assert drawn(pictures.encoded(JPEG, pictures.picture(3000, 1000))).size == (320, 107)
    assert drawn(pictures.encoded(JPEG, pictures.picture(3, 1000))).size == (1, 320)
    assert drawn(pictures.encoded(JPEG, pictures.picture(2, 2))).size == (2, 2)
    assert drawn(pictures.encoded(JPEG), limits=Limits(thumbnail_pixels=12)).size == (12, 8)


def test_another_colour_space_becomes_srgb():
    swapped = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    assert drawn(pictures.encoded(JPEG, icc_profile=swapped.tobytes())).size == (60, 40)  # a profile that does not fit costs nothing
    assert drawn(pictures.encoded(JPEG, icc_profile=b"no profile")).size == (60, 40)


def test_too_many_pixels_are_counted_but_not_drawn():
    data = pictures.encoded("image/png", pictures.picture(100, 100))
    limits = Limits(pixels=9999)
    assert read(data, "image/png", limits=limits).extracted.width == 100
    with pytest.raises(Failed, match="100 x 100"):
        read(data, "image/png", limits=limits, draw=True)


def test_a_picture_of_a_billion_pixels_is_not_decoded_to_be_counted():
    data = bytearray(documents.png())
    data[16:24] = b"\0\0\xff\xff\0\0\xff\xff"
    crc = __import__("zlib").crc32(bytes(data[12:29])).to_bytes(4, "big")
    data[29:33] = crc
    assert read(bytes(data), "image/png").extracted.width == 65535


def test_damage_is_malformed_and_half_a_picture_has_none():
    for media_type in pictures.FORMATS:
        with pytest.raises(Failed) as failure:
            read(b"no picture", media_type)
        assert failure.value.code == "malformed"
    half = pictures.encoded(JPEG, pictures.picture(2000, 2000))[:9000]
    assert read(half).extracted.width == 2000
    with pytest.raises(Failed):
        read(half, draw=True)


def test_a_file_is_read_as_what_it_is_and_nothing_else():
    with pytest.raises(Failed):
        read(pictures.encoded("image/png"), JPEG)


def test_a_file_that_is_not_there_is_not_its_own_fault(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(Path(tmp_path / "gone"))


def test_the_thumbnails_name_is_the_contracts():
    assert THUMBNAIL == "thumbnail.webp"
