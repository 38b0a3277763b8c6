"""What FastAPI cannot see by itself: bodies that are read as streams, the problems, and the events of the socket."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from app.api.schemas import MAX_EXPECTED
from app.domain.events import EVENT_TYPES

_ID = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"}
_FILE = {"type": "string", "format": "binary"}

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "for people; may change"},
        "code": {"type": "string", "description": "for programs; stable"},
    },
}
_MEANS = {
    400: "the request is wrong", 401: "the key or the user is missing or wrong", 403: "the credential is not for this",
    404: "not there, or another owner's", 408: "the body stopped coming", 409: "the id is taken", 410: "the link is too old", 413: "too large",
    421: "the host name is none of ours", 422: "the processing failed", 429: "too much was asked for; again after Retry-After", 503: "try again later",
    504: "still being processed",
}  # fmt: skip


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a call, as it declares them."""
    return {status: {"description": _MEANS[status], "content": {"application/problem+json": {"schema": PROBLEM}}} for status in statuses}


PROBLEMS = problems(*(status for status in _MEANS if status != 410))
ARTIFACT: dict[int | str, dict[str, Any]] = {
    206: {"description": "the range that was asked for"},
    302: {"description": "where the store has the bytes, for some minutes"},
    416: {"description": "there is nothing in that range"},
}


def _form(required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": required, "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def _json(required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": required, "properties": properties}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


UPLOAD_FORM = _form(
    ["ws-uuid", "source-uuid"],
    {
        "ws-uuid": _ID,
        "source-uuid": _ID,
        "filename": {"type": "string"},
        "file": _FILE | {"description": "the bytes; or else `content`. Several, up to 100: each with its own `source-uuid`, and all or none with a `filename`"},
        "content": {"type": "string", "format": "uri", "description": "a URL to import; or else `file`"},
        "metadata": {"type": "string", "description": "a JSON object of at most 4 KiB, echoed in the result"},
        "tags": {"type": "string", "description": "a JSON list of one-key objects"},
        "options": {"type": "string", "description": "a JSON object"},
        "profile": {"type": "string", "default": "default", "description": "one of the deployment's profiles: what may be uploaded"},
        "callback-url": {"type": "string", "format": "uri", "description": "is told of the end by a signed POST (Standard Webhooks); public addresses only"},
    },
)
UPLOAD_FILE_FORM = _form(["source-id", "file"], {"source-id": _ID, "filename": {"type": "string"}, "file": _FILE})
JSON_REGISTER = _json(
    ["ws-uuid"],
    {
        "ws-uuid": _ID,
        "keep-open": {"type": "boolean", "description": "the socket stays open for further sources"},
        "expect": {"type": "integer", "minimum": 1, "maximum": MAX_EXPECTED, "description": "it stays open until so many have ended; or else `keep-open`"},
    },
)
JSON_SYNC = _json(
    ["source-id"],
    {
        "source-id": _ID,
        "filename": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "object"}},
        "generate-embedding": {"type": "boolean"},
        "data": {"description": "any JSON: stored as a JSON document; or else `url`"},
        "url": {"type": "string", "format": "uri"},
        "metadata": {"type": "object"},
    },
)
JSON_REPROCESS = _json(
    [],
    {
        "state": {"type": "string", "enum": ["succeeded", "failed", "cancelled"], "description": "else each that succeeded or failed"},
        "media-types": {"type": "array", "maxItems": 50, "items": {"type": "string"}, "description": "such as `application/pdf` or `image/*`"},
        "profile": {"type": "string", "description": "that they were uploaded under"},
        "ended-after": {"type": "string", "format": "date-time", "description": "of their latest run"},
        "ended-before": {"type": "string", "format": "date-time", "description": "with it a walk that is repeated runs nothing twice"},
        "cursor": _ID | {"description": "the `next-cursor` of the call before"},
        "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 100, "description": "sources that are looked at"},
    },
)

EVENT_STREAM: dict[str, Any] = {
    "responses": {"200": {"description": "server-sent events", "content": {"text/event-stream": {}}}},
    "parameters": [
        {
            "name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}, "description": "go on after this position; a browser sends it by itself"
        }
    ],
}  # fmt: skip


def describe_events(app: FastAPI) -> None:
    """The socket's messages as `webhooks`, so that clients' types can be made from one document. They come over the WebSocket."""

    def add(name: str, model: type) -> None:
        async def message(body: Any) -> None:
            """Sent on the channel's WebSocket."""

        message.__annotations__["body"] = model
        message.__doc__ = model.__doc__
        app.webhooks.post(name, tags=["events"])(message)

    for model in EVENT_TYPES:
        add(model.model_fields["event"].default, model)
