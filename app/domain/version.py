"""The version of this code. A test holds it against pyproject.toml."""

VERSION = "0.1.0"
