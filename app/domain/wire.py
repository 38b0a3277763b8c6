"""The base of everything that is written as JSON: kebab-case names on the wire, snake_case in the code."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import from_json


def kebab(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def parse(text: str | bytes | bytearray) -> Any:
    """A stranger's JSON, if we can write it again too: no NaN, no half of a surrogate pair, at most 200 levels. Raises ValueError."""
    return from_json(text, allow_inf_nan=False)


def json_size(value: Any) -> int:
    """Bytes of the value as JSON in ASCII."""
    return len(json.dumps(value).encode())


class Wire(BaseModel):
    """What we write: a field that nobody declared fails where it is made, not at the client."""

    model_config = ConfigDict(alias_generator=kebab, populate_by_name=True, frozen=True, extra="forbid", ser_json_bytes="base64")

    def to_json(self) -> bytes:
        """The wire form, without the fields that are None."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


class Stored(Wire):
    """What we keep and read back, perhaps by an older version: fields that it does not know survive the round trip."""

    model_config = ConfigDict(extra="allow")
