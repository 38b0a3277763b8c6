"""What the wheels that we run bring along: every library in them is known here, with its licence, and none is under the GPL or AGPL."""

import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = {name.lower() for name in re.findall(r"^([\w.-]+)==", (ROOT / "requirements/run.txt").read_text(), re.MULTILINE)}

LIBRARIES = {
    "libXau": "MIT", "libavif": "BSD-2-Clause", "libbrotlicommon": "MIT", "libbrotlidec": "MIT", "libfreetype": "FTL", "libharfbuzz": "MIT", "libjpeg": "IJG",
    "liblcms2": "MIT", "liblzma": "0BSD", "libopenjp2": "BSD-2-Clause", "libpng16": "libpng-2.0", "libsharpyuv": "BSD-3-Clause", "libtiff": "libtiff",
    "libwebp": "BSD-3-Clause", "libwebpdemux": "BSD-3-Clause", "libwebpmux": "BSD-3-Clause", "libxcb": "MIT", "libzstd": "BSD-3-Clause", "libz": "Zlib",
    "libde265": "LGPL-3.0", "libheif": "LGPL-3.0", "libpdfium": "BSD-3-Clause",
}  # fmt: skip
OF_OUR_CHOICE = re.compile(r"\b(MIT|BSD|Apache|LGPL|MPL)", re.IGNORECASE)
"""Where a package may be had under several, we take one of these."""
FORBIDDEN = re.compile(r"\bA?GPL|(?<!lesser )general public license|affero", re.IGNORECASE)


def installed() -> list[Distribution]:
    return [each for each in distributions() if each.metadata["Name"].lower().replace("_", "-") in RUN]


def bundled(distribution: Distribution) -> set[str]:
    """The shared libraries in a wheel that are no Python modules: auditwheel puts them into a folder of their own."""
    paths = [Path(str(path)) for path in distribution.files or []]
    foreign = [path for path in paths if path.parts[0].endswith(".libs") or ".dylibs" in path.parts or path.name.startswith("libpdfium")]
    return {re.match(r"[A-Za-z]+\d*(?=[-.])|[A-Za-z]+", path.name)[0] for path in foreign}


def test_every_library_in_a_wheel_is_known():
    unknown = {f"{each.metadata['Name']}: {name}" for each in installed() for name in bundled(each) if name not in LIBRARIES}
    assert not unknown, "find out its licence, and whether it may be shipped, before it is put into the table"


def test_the_search_for_libraries_finds_them():
    found = {each.metadata["Name"].lower(): bundled(each) for each in installed()}
    assert {"libheif", "libde265"} <= found["pi_heif"] | found.get("pi-heif", set())
    assert {"libwebp", "libjpeg"} <= found["pillow"]


def test_no_encoder_of_heic_is_shipped():
    """x265 and kvazaar are what makes pillow-heif a GPL matter."""
    import pi_heif

    assert set(pi_heif.libheif_info()["encoders"]) <= {"mask"}
    assert "pillow-heif" not in RUN


def test_no_library_is_under_the_gpl():
    assert not [name for name, licence in LIBRARIES.items() if FORBIDDEN.search(licence)]


def test_no_package_says_that_it_is_under_the_gpl_alone():
    said = {}
    for each in installed():
        classifiers = [found for found in each.metadata.get_all("Classifier") or [] if found.startswith("License")]
        licence = each.metadata.get("License-Expression") or (each.metadata.get("License") or "").split("\n")[0]
        said[each.metadata["Name"]] = " ".join([licence, *classifiers])
    assert len(said) > 30
    assert not {name: text for name, text in said.items() if FORBIDDEN.search(text) and not OF_OUR_CHOICE.search(text)}
