"""HEADRACE_ANSWER_HOSTS: which names are answered to."""

import pytest

from tests.unit.api.asgi import WHO, request
from tests.unit.api.conftest import application

pytestmark = pytest.mark.anyio

NAMES = ["Uploads.example.com", "10.0.0.7", "[::1]"]


@pytest.mark.parametrize("host", ["uploads.example.com", "UPLOADS.EXAMPLE.COM:8443", "10.0.0.7:80", "[::1]:8811"])
async def test_a_request_under_one_of_our_names_is_served(house, host):
    app = application(house, answer_hosts=NAMES)
    assert (await request(app, "GET", "/public/sources", headers=WHO | {"host": host})).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "uploads.example.com.evil.example", "uploads.example.com@evil.example", "evil.example:80", "", "127.0.0.1", "uploads.example.com:x"],
)
async def test_any_other_is_refused_before_it_is_read_or_known(house, host):
    app = application(house, answer_hosts=NAMES)
    refused = await request(app, "POST", "/public/sources/upload-source", [b"x" * 100], headers={"host": host, "content-length": "100"})
    assert (refused.status, refused.json()["code"], refused.received_before_answer) == (421, "misdirected", 0)
    assert refused.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("hosts", [[], [("host", "uploads.example.com"), ("host", "uploads.example.com")], [("host", "evil.example"), ("host", "10.0.0.7")]])
async def test_no_name_and_two_names_are_none_of_ours(house, hosts):
    assert (await request(application(house, answer_hosts=NAMES), "GET", "/public/sources", headers=[*WHO.items(), *hosts])).status == 421


async def test_a_forwarded_host_does_not_stand_in_for_it(house):
    app = application(house, answer_hosts=NAMES, trusted_proxies=["127.0.0.1"])
    answer = await request(app, "GET", "/public/sources", headers=WHO | {"host": "evil.example", "x-forwarded-host": "uploads.example.com"})
    assert answer.status == 421


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_told_under_any_name(house, path):
    assert (await request(application(house, answer_hosts=NAMES), "GET", path, headers={"host": "10.1.2.3:8811"})).status == 200


async def test_by_default_every_name_is_answered_to(app):
    assert (await request(app, "GET", "/public/sources", headers=WHO | {"host": "any.example"})).status == 200
