"""Two owners attack each other with every call that docs/openapi.json has, and with the sockets: neither reads, changes or ends anything of the other's.

The calls are read from the document, so a new one is attacked without being named here; only a parameter of a new name fails, until it is said what an
attacker would put there.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from app.adapters.api_keys import hash_key
from tests.client import Client, eventually, until_closed
from tests.stack import ROOT, Origin, Stack

SECRET = "0123456789abcdef0123456789abcdef"
PREFIXES = ("/public", "/public/user", "/api/v1")
SOCKETS = ("/ws", "/public/ws", "/public/user/ws")

DOCUMENT = json.loads((ROOT / "docs/openapi.json").read_text())
CALLS = [(method, path, call) for path, methods in DOCUMENT["paths"].items() for method, call in methods.items()]
LEFT_OUT = {"content", "url", "callback-url", "keep-open", "expect", "profile", "options", "generate-embedding", "types", "count", "max-bytes", "scopes"}
"""Fields of bodies that name nobody's thing. Of `content` and `file`, `url` and `data` only one may be there."""


def rival_key(number: int) -> str:
    """Of another organisation for each call: what one call brought, the next must not take for what it looks for."""
    return f"hr_a_key_of_rival_{number}"


@dataclass
class Estate:
    """All that one owner has. `secret` stands in everything of it that could be read."""

    client: Client
    secret: str = field(default_factory=lambda: f"secret{uuid.uuid4().hex}")
    channel: str = field(default_factory=lambda: f"channel-{uuid.uuid4()}")
    sources: dict[str, str] = field(default_factory=dict)
    address: str = ""
    link: str = ""

    def settle(self, origin: Origin) -> None:
        answer = self.client.http.post("/public/sources/ws", json={"ws-uuid": self.channel, "keep-open": True})
        self.address = answer.json()["ws-address"]
        for name in ("ended", "failed", "open"):
            self.sources[name] = f"{name}-{uuid.uuid4()}"
        self.upload(self.sources["ended"], f"words of {self.secret}")
        self.upload(self.sources["failed"], "")
        self.client.upload(self.channel, source=self.sources["open"], url=origin.url("/drip"))
        assert origin.asked.acquire(timeout=60)
        assert [self.client.wait(self.sources[name])["state"] for name in ("ended", "failed")] == ["succeeded", "failed"]
        self.link = self.client.show(self.sources["ended"])["result"]["url"]
        assert self.secret in httpx.get(self.link, trust_env=False).text

    def upload(self, source: str, text: str) -> None:
        form = {"ws-uuid": self.channel, "source-uuid": source, "metadata": json.dumps({"of": self.secret})}
        answer = self.client.http.post("/public/sources/upload-source", data=form, files={"file": (f"{self.secret}.txt", text.encode())})
        assert answer.status_code == 200, answer.text

    def seen(self) -> list[Any]:
        """What its owner sees of it: all but links, which are made anew with each answer, and how far the open one is."""
        listed = self.client.http.get("/public/sources").json()["sources"]
        shown = [self.client.show(source) for source in self.sources.values()]
        text = self.client.http.get(f"/public/sources/{self.sources['ended']}/text", follow_redirects=True).text
        kept = [{name: each[name] for name in ("source-uuid", "state", "run", "filename", "size", "ws-uuid", "code")} for each in shown]
        return [listed, kept, text, self.client.http.get("/public/webhooks").json()]


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, origin: Origin) -> Iterator[Stack]:
    keys_file = tmp_path_factory.mktemp("keys") / "api_keys"
    keys_file.write_text("".join(f"rival-{number}:{hash_key(rival_key(number), SECRET)}\n" for number in range(len(CALLS))))
    running = Stack(
        tmp_path_factory.mktemp("owners"), secret_keys=SECRET, api_keys_file=str(keys_file), workers="4", lease_seconds="30",
        import_allow_nets="127.0.0.0/8", import_ports=str(origin.port), import_timeout_seconds="600", task_timeout_seconds="600",
    ).start()  # fmt: skip
    yield running
    origin.let_go.set()
    running.stop()


@pytest.fixture(scope="module")
def estates(stack: Stack, origin: Origin) -> Iterator[dict[str, Estate]]:
    """Ada and Bob are users of one organisation: nothing but the user's name is between them."""
    with stack.client("ada") as ada, stack.client("bob") as bob:
        both = {"ada": Estate(ada), "bob": Estate(bob)}
        for estate in both.values():
            estate.settle(origin)
        # Before the inbox was looked through once, nobody can say that a name is nobody's.
        eventually(lambda: ada.http.get("/public/channels/absent/events").status_code == 404)
        yield both


def headers_of(stack: Stack, attacker: str, victim: str, how: str, rival: int = 0) -> list[tuple[str, str]]:
    key = [("X-API-Key", stack.api_key), ("X-User-ID", attacker)]
    if how == "key":
        return key
    if how == "another organisation's key and the victim's name":
        return [("X-API-Key", rival_key(rival)), ("X-User-ID", victim)]
    if how == "both names":
        return [*key, ("X-User-ID", victim)]
    asked = {"scopes": ["upload", "read", "delete"]}
    token = httpx.post(f"{stack.base_url}/public/tokens", json=asked, headers=dict(key), trust_env=False).raise_for_status().json()["token"]
    return [("Authorization", f"Bearer {token}"), ("X-User-ID", victim)]


HOW = ("key", "upload token", "another organisation's key and the victim's name", "both names")


def forged(own: str, other: str) -> list[str]:
    """Links to what is another's: his words under our signature, and his link with one character changed."""
    (mine, signature), (his, his_signature) = own.split("."), other.split(".")
    named = json.loads(base64.urlsafe_b64decode(his + "=" * (-len(his) % 4)))
    named[3] = "text"
    rewritten = base64.urlsafe_b64encode(json.dumps(named, separators=(",", ":")).encode()).rstrip(b"=").decode()
    return [f"{his}.{signature}", f"{mine}.{his_signature}", f"{rewritten}.{his_signature}", his, f"{his}.", f"{own}.{other}"]


class Attack:
    """One call of the document, with what names the victim's things wherever the document has a parameter."""

    def __init__(self, estates: dict[str, Estate], attacker: str, victim: str, source: str, channel: str) -> None:
        self.own, self.other = estates[attacker], estates[victim]
        self._values: dict[str, Any] = {
            "source": source, "ws_uuid": channel, "cursor": source, "limit": 100, "dead": "false", "wait": 0.1, "run": 1,
            "Last-Event-ID": "x:1", "ws-uuid": channel, "source-uuid": source, "source-id": source, "filename": "mine.txt",
            "tags": [], "metadata": {}, "data": {"mine": True}, "expires-in-seconds": 60,
            "state": "succeeded", "media-types": ["*/*"], "ended-after": "2000-01-01T00:00:00Z", "ended-before": "2100-01-01T00:00:00Z",
        }  # fmt: skip

    def _value(self, name: str) -> Any:
        assert name in self._values, f"say in tests/e2e/test_two_owners.py what an attacker puts into {name}, which the document has anew"
        return self._values[name]

    def requests(self, method: str, path: str, call: dict[str, Any], prefixes: tuple[str, ...] = PREFIXES[:1]) -> Iterator[dict[str, Any]]:
        asked: dict[str, Any] = {"params": {}, "headers": [("Range", "bytes=0-99")] if method == "get" else []}
        paths = [path]
        for parameter in call.get("parameters", []):
            name, where = parameter["name"], parameter["in"]
            if where == "path" and name == "token":
                own, other = (link.rpartition("/d/")[2] for link in (self.own.link, self.other.link))
                paths = [path.replace("{token}", token) for token in forged(own, other)]
            elif where == "path":
                paths = [each.replace(f"{{{name}}}", self._value(name)) for each in paths]
            elif where == "query":
                asked["params"][name] = self._value(name)
            else:
                assert where == "header", where
                asked["headers"].append((name, self._value(name)))
        asked |= self._body(call)
        for each in paths:
            for prefix in prefixes if each.startswith("/public/") else ("",):
                yield {"method": method, "url": prefix + each.removeprefix("/public") if prefix else each, **asked}

    def _body(self, call: dict[str, Any]) -> dict[str, Any]:
        content = call.get("requestBody", {}).get("content", {})
        if not content:
            return {}
        [(kind, body)] = content.items()
        schema = body["schema"]
        if "$ref" in schema:
            schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        names = [name for name in schema["properties"] if name not in LEFT_OUT]
        if kind == "application/json":
            return {"json": {name: self._value(name) for name in names}}
        assert kind == "multipart/form-data", kind
        fields = {name: value if isinstance(value := self._value(name), str) else json.dumps(value) for name in names if name != "file"}
        return {"data": fields, "files": {"file": ("mine.txt", b"mine")}}


def said(answer: httpx.Response) -> tuple[int, Any]:
    """Status and code: what tells one refusal from another."""
    return answer.status_code, answer.json()["code"] if answer.headers["content-type"] == "application/problem+json" else None


def names(call: dict[str, Any]) -> set[str]:
    return {parameter["name"] for parameter in call.get("parameters", [])}


@pytest.mark.parametrize(("attacker", "victim"), [("ada", "bob"), ("bob", "ada")])
@pytest.mark.parametrize("number", range(len(CALLS)), ids=[f"{method} {path}" for method, path, _ in CALLS])
def test_a_call_that_names_what_is_anothers_reads_and_changes_nothing(stack, estates, number, attacker, victim) -> None:
    method, path, call = CALLS[number]
    his = estates[victim]
    before = his.seen()
    # Who brings a source of that name has one afterwards, and asks for his own with it: so each such call is another user's.
    user = f"{attacker}-{uuid.uuid4()}" if "requestBody" in call else attacker
    for how in HOW:
        headers, prefixes = headers_of(stack, user, victim, how, number), PREFIXES if how == "key" else PREFIXES[:1]
        with httpx.Client(base_url=stack.base_url, headers=headers, trust_env=False, timeout=30, follow_redirects=True) as http:
            nobody = [http.request(**asked) for asked in Attack(estates, attacker, victim, "absent", "absent").requests(method, path, call, prefixes)]
            for source in his.sources.values():
                for asked, of_nothing in zip(
                    Attack(estates, attacker, victim, source, his.channel).requests(method, path, call, prefixes), nobody, strict=True
                ):
                    answer = http.request(**asked)
                    assert answer.status_code < 500, answer.text
                    assert his.secret not in answer.text + str(answer.headers), f"{asked} reads what is {victim}'s"
                    if "{" in path:
                        assert said(answer) == said(of_nothing), f"{asked}: it tells a name of another's from a name of nobody"
                        assert answer.status_code in {401, 403, 404}, answer.text
    assert his.seen() == before


@pytest.mark.parametrize(("attacker", "victim"), [("ada", "bob"), ("bob", "ada")])
def test_a_name_that_both_have_is_each_ones_own(stack, estates, attacker, victim) -> None:
    own, other, twin = estates[attacker], estates[victim], f"twin-{uuid.uuid4()}"
    for estate in (own, other):
        estate.upload(twin, f"words of {estate.secret}")
        assert estate.client.wait(twin)["state"] == "succeeded"
    reached = 0
    with stack.client(attacker) as client:
        for method, path, call in sorted(CALLS, key=lambda each: each[0] == "delete"):
            if "source" not in names(call):
                continue
            for asked in Attack(estates, attacker, victim, twin, other.channel).requests(method, path, call, PREFIXES):
                answer = client.http.request(**asked, follow_redirects=True)
                assert answer.status_code < 500, answer.text
                assert other.secret not in answer.text + str(answer.headers)
                reached += own.secret in answer.text
    assert reached > 9, "none of its own was read"
    assert own.client.http.get(f"/public/sources/{twin}").status_code == 404, "it deleted its own"
    assert other.secret in other.client.http.get(f"/public/sources/{twin}/text", follow_redirects=True).text
    other.client.http.delete(f"/public/sources/{twin}")


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize(("attacker", "victim"), [("ada", "bob"), ("bob", "ada")])
def test_no_socket_of_anothers_opens(stack, estates, attacker, victim, path) -> None:
    own, other = estates[attacker], estates[victim]
    at = f"ws{stack.base_url.removeprefix('http')}{path}/{other.channel}"
    token = own.address.partition("token=")[2]
    uploads = dict(headers_of(stack, attacker, victim, "upload token"))["Authorization"].removeprefix("Bearer ")
    tries: list[tuple[str, dict[str, Any]]] = [
        *((at, {"additional_headers": headers_of(stack, attacker, victim, how)}) for how in HOW),
        (at, {}),
        *(
            (f"{at}?token={each}", {})
            for each in (token, uploads, own.link.rpartition("/d/")[2], "x", *forged_tokens(token, other.address.partition("token=")[2]))
        ),
        (at, {"subprotocols": ["headrace", f"headrace.token.{token}"]}),
        (f"{at}?token={token}&after=x:0", {"additional_headers": headers_of(stack, attacker, victim, "key")}),
    ]
    for url, more in tries:
        with pytest.raises(InvalidStatus) as refusal, connect(url, proxy=None, **more):
            pass
        assert refusal.value.response.status_code in {401, 403, 404}
        assert other.secret.encode() not in (refusal.value.response.body or b"")


def forged_tokens(own: str, other: str) -> list[str]:
    return [f"{other.partition('.')[0]}.{own.partition('.')[2]}", f"{own.partition('.')[0]}.{other.partition('.')[2]}"]


def test_a_channel_told_nothing_but_of_its_owners_sources(stack) -> None:
    """An upload, a registration and a cancellation by another, while the channel is open."""
    with stack.client("eve") as eve, stack.client(f"ada-{uuid.uuid4()}") as ada:
        channel = ada.register(f"channel-{uuid.uuid4()}", expect=1)
        address = ada.http.post("/public/sources/ws", json={"ws-uuid": channel, "expect": 1}).json()["ws-address"]
        source = str(uuid.uuid4())
        with connect(address, proxy=None) as socket:
            assert eve.try_upload(channel, source, b"hers").status_code == 404
            assert eve.http.post("/public/sources/ws", json={"ws-uuid": channel, "keep-open": True}).status_code == 404
            ada.upload(channel, b"mine", source=source)
            for call in ("cancel", "retry"):
                assert eve.http.post(f"/public/sources/{source}/{call}").status_code == 404
            events = until_closed(socket)
    assert {event["source-uuid"] for event in events if "source-uuid" in event} == {source}
    assert [event["status"] for event in events if event.get("status") in {"success", "failure"}] == ["success"]


def test_every_kind_of_thing_that_the_document_names_was_named_in_the_attack() -> None:
    """Or the test above would go through calls without ever meeting what is another's."""
    named = {name for _, _, call in CALLS for name in names(call)}
    assert {"source", "ws_uuid", "token", "cursor", "Last-Event-ID"} <= named
