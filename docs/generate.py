"""Writes what is made from the code: settings.md, openapi.json and asyncapi.json. `python -m docs.generate`, from the root of the project.

With `--check` nothing is written; exit status 1 when a file is not what it would be. No server runs for this, and no setting of the environment counts.
"""  # noqa: INP001 - docs/ is no package; this stands beside what it writes

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import httpx

from app.bootstrap import build
from app.domain.events import EVENT, EVENT_TYPES
from app.settings import PREFIX, READ_ELSEWHERE, Settings

FOLDER = Path(__file__).parent
_HERE = Settings(secret_keys="made-only-to-describe-the-interface")  # noqa: S106 - signs nothing

# What a default that is worked out at the start comes to.
_WORKED_OUT = {"workers": "3, or 2 on a machine with one core"}

_TOKEN = {"type": "string", "description": "what ws-address carries; docs/events.md, Connecting, tells when it is needed, and what does instead"}

_SETTINGS_HEAD = """# Settings
Made from `app/settings.py` by `python -m docs.generate`: change it there.

Each setting is an environment variable. `<NAME>_FILE` names a file that holds the value instead: for secrets. Lists are parted by commas.
A name that begins with `HEADRACE_` and stands neither here nor below is refused at the start, with the nearest name in the message; so is a
value that makes no sense.

| name | default | allowed | meaning |
| --- | --- | --- | --- |
"""

_SETTINGS_TAIL = """
The services require `HEADRACE_STORAGE_URL` and `HEADRACE_SECRET_KEYS`; the embedded stack (`make up`) makes both, and sets
`HEADRACE_CORS_ORIGINS` to `localhost`. With `0` a port is any free one; `HEADRACE_METRICS_PORT=0` in the API process means no metrics.

Read by `./headrace` only: {elsewhere}. What Kubernetes sets for a service called headrace (`HEADRACE_SERVICE_HOST`,
`HEADRACE_PORT=tcp://…`) is ignored.
"""


def documents() -> dict[Path, str]:
    """Every file that is made, with what should stand in it."""
    return {FOLDER / "settings.md": settings_page(), FOLDER / "openapi.json": _json(openapi()), FOLDER / "asyncapi.json": _json(asyncapi())}


# ------------------------------------------------------------------------------------------------ settings


def settings_page() -> str:
    properties = Settings.model_json_schema()["properties"]
    rows = [f"| `{PREFIX}{name.upper()}` | {_default(name)} | {_allowed(properties[name])} | {_cell(properties[name]['description'])} |" for name in properties]
    elsewhere = ", ".join(f"`{name}`" for name in sorted(READ_ELSEWHERE))
    return _SETTINGS_HEAD + "\n".join(rows) + "\n" + _SETTINGS_TAIL.format(elsewhere=elsewhere)


def _default(name: str) -> str:
    field = Settings.model_fields[name]
    if field.default_factory is not None:
        return _WORKED_OUT[name]
    value = field.default
    if value is None or value in ("", []):
        return "none"
    if isinstance(value, list):
        value = ",".join(str(each) for each in value)
    elif isinstance(value, bool):
        value = str(value).lower()
    elif hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    return f"`{value}`{_size(name, value)}"


def _size(name: str, value: Any) -> str:
    if not name.endswith("_bytes"):
        return ""
    unit, size = next((unit, 1024**power) for unit, power in (("GiB", 3), ("MiB", 2), ("KiB", 1)) if value % 1024**power == 0)
    return f" ({value // size} {unit})"


def _allowed(schema: dict[str, Any]) -> str:
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    kind = {**kinds[0], **schema}
    if "enum" in kind:
        return " or ".join(f"`{value}`" for value in kind["enum"])
    if kind["type"] in {"integer", "number"}:
        least = f"over {kind['exclusiveMinimum']}" if "exclusiveMinimum" in kind else f"from {kind['minimum']}" if "minimum" in kind else ""
        most = f"to {kind['maximum']}" if "maximum" in kind else ""
        return " ".join(part for part in ("whole number" if kind["type"] == "integer" else "number", least, most) if part)
    if kind["type"] == "boolean":
        return "`true` or `false`"
    if kind["type"] == "array":
        return "whole numbers" if kind["items"]["type"] == "integer" else "list"
    if "pattern" in kind:
        return f"`{kind['pattern'].strip('^$')}`"
    return {"password": "secret", "path": "path"}.get(kind.get("format", ""), "text")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# ------------------------------------------------------------------------------------------------ OpenAPI, AsyncAPI


def openapi() -> dict[str, Any]:
    """As the API itself answers it, asked without a network; it does not start, so it connects to nothing."""

    async def ask() -> dict[str, Any]:
        transport = httpx.ASGITransport(build(_HERE))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            response = await client.get("/openapi.json")
            return response.raise_for_status().json()  # type: ignore[no-any-return]

    return asyncio.run(ask())


def asyncapi() -> dict[str, Any]:
    """The socket, with the examples of events.md."""
    schemas = _schemas()
    told = examples()
    messages, components = {}, {}
    for model in EVENT_TYPES:
        name = model.model_fields["event"].default
        messages[name] = {"$ref": f"#/components/messages/{name}"}
        components[name] = {
            "name": name,
            "summary": (model.__doc__ or "").strip(),
            "contentType": "application/json",
            "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
            "examples": [{"payload": example} for example in told if example["event"] == name],
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Headrace: the channel",
            "version": openapi()["info"]["version"],
            "description": "The messages on a channel's WebSocket. Order, positions and closing: docs/events.md. Ignore keys that you do not know.",
        },
        "defaultContentType": "application/json",
        "servers": {"embedded": {"host": "127.0.0.1:8811", "protocol": "ws", "description": "The embedded stack (`make up`)."}},
        "channels": {
            "channel": {
                "address": "/ws/{ws-uuid}",
                "description": "Served as well at /user/ws/, /public/ws/ and /public/user/ws/.",
                "parameters": {"ws-uuid": {"description": "The channel: 1 to 128 characters of A-Z a-z 0-9 . _ -"}},
                "messages": messages,
                "bindings": {"ws": {"method": "GET", "query": {"type": "object", "properties": {"token": _TOKEN}}}},
            }
        },
        "operations": {
            "tell": {
                "action": "send",
                "channel": {"$ref": "#/channels/channel"},
                "summary": "History first, then live. What a client sends is dropped.",
                "messages": [{"$ref": f"#/channels/channel/messages/{name}"} for name in messages],
            }
        },
        "components": {"messages": components, "schemas": schemas},
    }


def examples() -> list[dict[str, Any]]:
    """The messages that stand in events.md, in their order."""
    fences = re.findall(r"^```json\n(.*?)^```", (FOLDER / "events.md").read_text(), re.DOTALL | re.MULTILINE)
    return [message for fence in fences if "event" in (message := json.loads(fence))]


def _schemas() -> dict[str, Any]:
    models = EVENT.json_schema(mode="serialization", ref_template="#/components/schemas/{model}")["$defs"]
    return {name: _published(schema) for name, schema in sorted(models.items())}


def _published(model: dict[str, Any]) -> dict[str, Any]:
    """The model as a reader sees it: None is never written, every other default is; and there may be more keys one day."""
    if "properties" not in model:
        return model  # an enumeration
    properties, required = {}, []
    for name, schema in model["properties"].items():
        kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
        if not kinds:
            required.append(name)
        whole = {**(kinds[0] if kinds else {}), **{key: value for key, value in schema.items() if key not in {"anyOf", "default", "title"}}}
        properties[name] = whole
    kept = {key: value for key, value in model.items() if key not in {"properties", "required", "additionalProperties"}}
    return {**kept, "required": required, "properties": properties}


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    stale = [path for path, text in documents().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        print(f"{path.relative_to(FOLDER.parent)} {'is stale' if '--check' in arguments else 'written'}")  # noqa: T201 - what a script is for
        if "--check" not in arguments:
            path.write_text(documents()[path])
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
