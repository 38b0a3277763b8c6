import pytest

from tests.unit.api.asgi import WHO, request
from tests.unit.api.conftest import application

pytestmark = pytest.mark.anyio

STRICT = "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/healthz", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("GET", "/public/sources", WHO, 200),
        ("GET", "/public/sources", {}, 401),
        ("GET", "/public/sources/unknown", WHO, 404),
        ("GET", "/no/such/path", {}, 404),
        ("PUT", "/public/sources", WHO, 405),
        ("GET", "/d/no-link", {}, 404),
    ],
)
async def test_every_answer_is_kept_nowhere_guessed_at_never_and_framed_by_nobody(app, method, path, headers, status):
    answer = await request(app, method, path, headers=headers)
    assert answer.status == status
    wanted = {"x-content-type-options": "nosniff", "cache-control": "no-store", "referrer-policy": "no-referrer", "content-security-policy": STRICT}
    assert wanted.items() <= answer.headers.items()
    assert "server" not in answer.headers


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_pages_of_the_documents_work_and_are_framed_by_nobody(app, path):
    answer = await request(app, "GET", path)
    policy = answer.headers["content-security-policy"]
    assert answer.status == 200
    assert "frame-ancestors 'none'" in policy
    assert "connect-src 'self'" in policy
    for source in ("https://cdn.jsdelivr.net", "'unsafe-inline'"):
        assert source in policy
    assert b"https://cdn.jsdelivr.net/" in answer.body
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_what_an_answer_says_itself_stands_and_is_said_once(house):
    async def told(path, **headers):
        answer = await request(application(house), "GET", path, headers=headers | WHO)
        start = next(message for message in answer.sent if message["type"] == "http.response.start")
        return [name for name, _ in start["headers"]]

    for path in ("/healthz", "/docs", "/public/sources"):
        names = await told(path)
        assert len(names) == len(set(names))


async def test_no_host_header_of_a_strangers_is_repeated(app):
    answer = await request(app, "GET", "/healthz", headers={"host": "evil.example"})
    assert b"evil.example" not in answer.body
    assert "evil.example" not in str(answer.headers)
