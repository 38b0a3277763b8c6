"""The base of everything that is written as JSON: kebab-case names on the wire, snake_case in the code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from app.domain.errors import Newer


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

    model_config = ConfigDict(alias_generator=kebab, populate_by_name=True, frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    def to_json(self) -> bytes:
        """The wire form, without the fields that are None."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


class Stored(Wire):
    """What we keep and read back, perhaps by an older version: fields that it does not know survive the round trip."""

    model_config = ConfigDict(extra="allow")

    @classmethod
    def of_json(cls, text: str | bytes) -> Self:
        """Raises Newer when it says a later schema than we know, else ValueError when it is nothing of ours."""
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            cls._refuse_newer(_or_nothing(text))
            raise

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """The same, of what was parsed before."""
        try:
            return cls.model_validate(fields)
        except ValidationError:
            cls._refuse_newer(fields)
            raise

    @classmethod
    def _refuse_newer(cls, fields: Mapping[str, Any]) -> None:
        said, ours = fields.get("schema", fields.get("schema_")), get_args(cls.model_fields["schema_"].annotation)
        if isinstance(said, int) and said > max(ours):
            raise Newer(detail=f"{cls.__name__} of schema {said} was written by a later version", retry_after_seconds=30)


def _or_nothing(text: str | bytes) -> dict[str, Any]:
    try:
        value = parse(text)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}
