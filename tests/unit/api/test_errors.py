import inspect
import json

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from app.api import errors as api_errors
from app.api.errors import from_error, problem
from app.domain import errors
from app.domain.errors import HeadraceError, Unavailable
from tests.unit.api.asgi import WHO, request

pytestmark = pytest.mark.anyio

KINDS = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, HeadraceError) and kind not in {HeadraceError, errors.ProcessingFailed}
]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_error_is_a_problem_with_type_title_status_detail_and_code(kind):
    answer = from_error(kind(detail="so it is"))
    body = json.loads(answer.body)
    assert (answer.status_code, answer.headers["content-type"]) == (kind.status, "application/problem+json")
    assert body == {
        "type": f"urn:headrace:problem:{kind.code}", "title": body["title"], "status": kind.status, "detail": "so it is", "code": kind.code,
    }  # fmt: skip
    assert body["title"]


async def test_what_is_away_says_when_to_ask_again_and_401_says_how_to_ask():
    assert from_error(Unavailable(retry_after_seconds=7)).headers["retry-after"] == "7"
    assert from_error(errors.Unauthorized()).headers["www-authenticate"].startswith("ApiKey")
    assert "retry-after" not in from_error(errors.Conflict()).headers


async def test_an_error_s_fields_stand_in_the_problem():
    assert b'"limit":5' in from_error(errors.TooLarge(limit=5)).body
    assert b'"status-url":"x"' in problem(504, "c", "d", **{"status-url": "x"}).body


async def ask(path, method="GET", **options):
    """The answer of a small application that goes wrong in several ways."""
    api = FastAPI()
    api_errors.install(api)

    @api.get("/boom")
    async def boom() -> None:
        raise RuntimeError("secret words")

    @api.get("/number")
    async def number(n: int) -> int:
        return n

    async with AsyncClient(transport=ASGITransport(api, raise_app_exceptions=False), base_url="http://h") as client:
        return await client.request(method, path, **options)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/boom", 500, "internal"),
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/boom", 405, "method_not_allowed"),
        ("GET", "/number?n=x", 400, "invalid_request"),
        ("GET", "/number", 400, "invalid_request"),
    ],
)
async def test_what_the_framework_refuses_is_a_problem_too(method, path, status, code):
    answer = await ask(path, method)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (answer.json()["status"], answer.json()["code"]) == (status, code)
    assert "secret" not in answer.text
    assert status != 405 or answer.headers["allow"] == "GET"


@pytest.mark.parametrize("origin", ["http://front.example", None])
@pytest.mark.parametrize(
    ("status", "path", "headers"), [(401, "/public/sources", {}), (404, "/public/sources/none", WHO), (404, "/nowhere", {}), (500, "/public/sources", WHO)]
)
async def test_error_answers_carry_the_cors_headers_too(app, house, monkeypatch, status, path, headers, origin):
    if status == 500:
        monkeypatch.setattr(type(house.sources), "page", None)
    answer = await request(app, "GET", path, headers=headers | ({"origin": origin} if origin else {}))
    assert (answer.status, bool(answer.raised)) == (status, status == 500)
    assert answer.headers.get("access-control-allow-origin") == origin
    assert answer.json()["code"]
