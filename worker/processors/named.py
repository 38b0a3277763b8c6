"""Processors that a settings file names (`HEADRACE_PROCESSORS_FILE`): commands and endpoints. TOML, a table for each.

[ocr]
media-types = ["image/tiff", "image/png"]
command = ["/opt/ocr/read"]        # or: url = "http://ocr.internal/read"
priority = 10                      # as it is; those that come with Headrace have 0
version = "1"                      # as it is
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from worker.processors.base import Processor
from worker.processors.command import CommandProcessor
from worker.processors.endpoint import EndpointProcessor

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class _Named(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=lambda name: name.replace("_", "-"))

    media_types: tuple[str, ...] = Field(min_length=1)
    command: Annotated[list[str], Field(min_length=1)] | None = None
    url: str | None = None
    priority: int = 10
    version: str = "1"

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("either command or url")
        if self.url is not None and (urlsplit(self.url).scheme not in {"http", "https"} or not urlsplit(self.url).hostname):
            raise ValueError("url is not http(s)://host/…")
        return self

    def processor(self, name: str) -> Processor:
        if self.command is not None:
            return CommandProcessor(name, self.version, self.media_types, self.priority, tuple(self.command))
        return EndpointProcessor(name, self.version, self.media_types, self.priority, self.url or "")


_FILE: Final = TypeAdapter(dict[str, _Named])


def read(path: Path) -> list[Processor]:
    """In the order of the file. Raises ValueError, with a text for whoever wrote it."""
    try:
        named = _FILE.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except OSError as error:
        raise ValueError(error.strerror) from error
    if wrong := [name for name in named if not _NAME.fullmatch(name)]:
        raise ValueError(f"{wrong[0]!r} is no name for a processor")
    return [each.processor(name) for name, each in named.items()]
