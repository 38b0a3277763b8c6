"""A plug-in of this folder, built and installed by pip into a folder of its own, without any network."""

import subprocess
import sys
from pathlib import Path

PLUGINS = Path(__file__).parent


def install(name: str, target: Path) -> Path:
    """The target, which is to be on sys.path."""
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-build-isolation", "--no-deps",
         "--target", str(target), str(PLUGINS / name)],
        check=True, timeout=100,
    )  # fmt: skip
    return target
