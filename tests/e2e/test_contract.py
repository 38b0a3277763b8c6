"""The contract of the existing clients, over the running stack: word for word, and each of their quirks."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import uuid

import pytest
from websockets.sync.client import connect

from tests.client import Client, ends, eventually, milestones, until_closed
from tests.documents import encrypted_pdf, pdf

PREFIXES = ["/public/sources", "/public/user/sources", "/api/v1/sources"]
SOCKETS = ["/ws/", "/user/ws/", "/public/ws/", "/public/user/ws/"]


def contract_part(event: dict) -> dict:
    """The event without our additions."""
    theirs = {"step", "status", "step-status", "message", "type", "source-uuid", "result", "error"}
    part = {key: value for key, value in event.items() if key in theirs}
    if "step" in part:
        del part["source-uuid"]
    if isinstance(part.get("result"), dict):
        part["result"] = {key: part["result"][key] for key in ("source-id", "filename", "url", "size")}
    return part


def assert_contract_order(events: list[dict], source: str, filename: str, size: int, kind: str = "file-upload") -> None:
    parts = [contract_part(event) for event in milestones(events)]
    processing = {"type": kind, "source-uuid": source, "status": "processing"}
    hello = {"step": f"Hello, I start to process this source: {source}", "status": 200, "step-status": "processing"}
    received = {"message": "Source received. Starting to processing", **processing}
    uploading = {"message": "Uploading to S3...", **processing}
    assert parts[0] == hello
    assert parts.index(received) < parts.index(uploading) < len(parts) - 1
    end = parts[-1]
    url = end["result"]["url"]
    assert end == {
        "result": {"source-id": source, "filename": filename, "url": url, "size": size}, "type": kind, "source-uuid": source, "status": "success",
    }  # fmt: skip
    assert len(ends(events)) == 1


def test_quick_start_register_connect_upload_watch(client: Client) -> None:
    channel = client.register()
    document = pdf(["Hello world", "A second page"])
    with client.socket(channel) as ws:
        source = client.upload(channel, document, filename="document.pdf")
        events = until_closed(ws)
    assert_contract_order(events, source, "document.pdf", len(document))
    result = events[-1]["result"]
    assert (result["media_type"], result["pages"]) == ("application/pdf", 2)
    assert "Hello world" in result["text"]["preview"]


def test_upload_first_connect_later_misses_nothing(client: Client) -> None:
    channel = str(uuid.uuid4())
    source = client.upload(channel, b"some words", filename="a.txt")
    client.wait(source)
    assert_contract_order(client.watch(channel), source, "a.txt", 10)


def test_registering_after_the_upload_hides_nothing(client: Client) -> None:
    channel = str(uuid.uuid4())
    source = client.upload(channel, b"some words")
    client.wait(source)
    client.register(channel)
    assert_contract_order(client.watch(channel), source, "a.txt", 10)


def test_dropped_and_reconnected_misses_nothing(client: Client) -> None:
    channel = client.register()
    with client.socket(channel) as ws:
        source = client.upload(channel, b"some words")
        first = json.loads(ws.recv(timeout=30))
    assert first["step"].endswith(source)
    assert_contract_order(client.watch(channel), source, "a.txt", 10)


@pytest.mark.parametrize("path", SOCKETS)
def test_every_socket_alias(client: Client, path: str) -> None:
    channel = client.register()
    client.upload(channel, b"words")
    assert len(ends(client.watch(channel, path))) == 1


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_call_alias(client: Client, prefix: str) -> None:
    channel, source = str(uuid.uuid4()), str(uuid.uuid4())
    answer = client.http.post(f"{prefix}/ws", json={"ws-uuid": channel})
    assert answer.json().keys() == {"ws-address"}
    assert answer.json()["ws-address"].startswith(f"ws{client.base_url.removeprefix('http')}/ws/{channel}?token=")
    files = {"ws-uuid": (None, channel), "source-uuid": (None, source), "file": ("a.txt", b"x")}
    assert client.http.post(f"{prefix}/upload-source", files=files).json() == {"message": f"Processing file: {source}"}
    client.wait(source)
    assert source in [item["source-uuid"] for item in client.http.get(prefix, params={"limit": 100}).json()["sources"]]
    assert client.http.delete(f"{prefix}/{source}").status_code == 204
    assert client.http.get(f"{prefix}/{source}").status_code == 404


def test_the_first_curl_sends_json_as_a_form(client: Client) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.http.post("/public/sources/ws", content='{"ws-uuid": "abc-123"}', headers=headers)
    address = answer.json()["ws-address"]
    assert (answer.status_code, address.partition("?")[0]) == (200, f"ws{client.base_url.removeprefix('http')}/ws/abc-123")
    source = client.upload("abc-123", b"some words")
    with connect(address, proxy=None) as ws:
        assert_contract_order(until_closed(ws), source, "a.txt", 10)


def test_curl_uploads_a_pdf(client: Client, tmp_path) -> None:
    channel, source = client.register(), str(uuid.uuid4())
    file = tmp_path / "document.pdf"
    file.write_bytes(pdf(["By curl"]))
    key = client.http.headers["X-API-Key"]
    said = subprocess.run(
        ["curl", "-sS", "-X", "POST", f"{client.base_url}/public/sources/upload-source", "-H", f"X-API-Key: {key}", "-H", "X-User-ID: e2e",
         "-F", f"file=@{file}", "-F", f"ws-uuid={channel}", "-F", f"source-uuid={source}"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    assert json.loads(said.stdout) == {"message": f"Processing file: {source}"}
    assert_contract_order(client.watch(channel), source, "document.pdf", file.stat().st_size)


def test_a_url_source(client: Client, origin) -> None:
    channel = client.register()
    source = client.upload(channel, url=origin.url("/report.pdf"))
    events = client.watch(channel)
    assert_contract_order(events, source, "report.pdf", len(pdf(["Hello from the origin", "Second page"])), "url-upload")
    assert events[-1]["result"]["pages"] == 2


def test_a_url_that_is_not_there_fails_with_a_code(client: Client, origin) -> None:
    channel = client.register()
    source = client.upload(channel, url=origin.url("/nothing"))
    end = client.watch(channel)[-1]
    assert contract_part(end) == {
        "result": "Error", "error": "The URL could not be fetched", "type": "url-upload", "source-uuid": source, "status": "failure",
    }  # fmt: skip
    assert (end["code"], end["retryable"]) == ("fetch_failed", True)


@pytest.mark.parametrize(("body", "filename", "code"), [
    (b"", "a.txt", "empty"),
    (b"%PDF-1.7\n" + b"this is no PDF at all\n" * 40, "a.pdf", "malformed"),
    (encrypted_pdf(), "a.pdf", "encrypted"),
])  # fmt: skip
def test_a_bad_document_ends_in_one_failure(client: Client, body: bytes, filename: str, code: str) -> None:
    channel = client.register()
    source = client.upload(channel, body, filename=filename)
    events = client.watch(channel)
    assert [end["code"] for end in ends(events)] == [code]
    shown = client.show(source)
    assert (shown["state"], shown["code"], shown["retryable"]) == ("failed", code, False)


def test_several_uploads_share_one_socket(client: Client) -> None:
    channel = client.register(**{"keep-open": True})
    with client.socket(channel) as ws:
        sources = {client.upload(channel, f"text {n}".encode()) for n in range(5)}
        ended = set()
        while ended != sources:
            event = json.loads(ws.recv(timeout=60))
            if event["status"] == "success":
                ended.add(event["source-uuid"])


def test_download_url_gives_the_bytes_as_an_attachment(client: Client) -> None:
    channel = client.register()
    client.upload(channel, b"the very bytes", filename="n\u00e4me.txt")
    result = client.watch(channel)[-1]["result"]
    answer = client.http.get(result["url"], follow_redirects=True)
    assert answer.content == b"the very bytes"
    assert answer.headers["content-disposition"] == "attachment; filename=\"n_me.txt\"; filename*=UTF-8''n%C3%A4me.txt"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.http.get(result["text"]["url"], follow_redirects=True).text == "the very bytes"
    assert client.http.get(result["url"][:-2] + "xx").status_code == 404


def test_synchronous_file(client: Client) -> None:
    source = str(uuid.uuid4())
    files = {"source-id": (None, source), "filename": (None, "b.txt"), "file": ("a.txt", b"sync words")}
    answer = client.http.post("/public/sources/upload-source/file", files=files)
    assert answer.status_code == 200
    said = answer.json()
    assert said == {"source-id": source, "filename": "b.txt", "download_url": said["download_url"]}
    assert client.http.get(said["download_url"], follow_redirects=True).content == b"sync words"


def test_synchronous_json_stores_a_document(client: Client) -> None:
    source = str(uuid.uuid4())
    body = {"source-id": source, "filename": "d.json", "tags": [{"a": "b"}], "generate-embedding": True, "data": {"k": [1, "zwei"]}}
    answer = client.http.post("/public/sources/upload-source/sync", json=body)
    said = answer.json()
    assert answer.status_code == 200
    assert set(said) == {"source-id", "filename", "download_url", "embedding-status"}
    assert said["embedding-status"] == "DISABLED"
    assert client.http.get(said["download_url"], follow_redirects=True).json() == {"k": [1, "zwei"]}


def test_synchronous_failure_is_422_with_the_code(client: Client) -> None:
    files = {"source-id": (None, str(uuid.uuid4())), "filename": (None, "a.txt"), "file": ("a.txt", b"")}
    answer = client.http.post("/public/sources/upload-source/file", files=files)
    assert (answer.status_code, answer.json()["code"]) == (422, "empty")
    assert answer.headers["content-type"] == "application/problem+json"


def test_other_bytes_under_a_used_id_are_refused(client: Client) -> None:
    channel, source = client.register(), str(uuid.uuid4())
    client.upload(channel, b"one", source=source)
    assert client.try_upload(channel, source, b"two").status_code == 409
    client.wait(source)
    assert client.try_upload(channel, source, b"two").status_code == 409
    assert client.try_upload(channel, source, b"one").status_code == 200


def test_another_owners_things_are_not_there(client: Client, stack) -> None:
    channel = client.register()
    source = client.upload(channel, b"mine")
    client.wait(source)
    with stack.client("someone-else") as other:
        assert other.http.get(f"/public/sources/{source}").status_code == 404
        assert other.http.delete(f"/public/sources/{source}").status_code == 404
        assert other.http.post("/public/sources/ws", json={"ws-uuid": channel}).status_code == 404
        assert other.try_upload(channel, str(uuid.uuid4()), b"x").status_code == 404
        assert other.http.get("/public/sources").json()["sources"] == []


def test_a_file_over_the_limit_is_refused_also_in_chunks(client: Client) -> None:
    channel, source = client.register(), str(uuid.uuid4())
    assert client.try_upload(channel, source, b"x" * (33 * 1024 * 1024)).status_code == 413
    boundary = "b" * 20

    def chunks():
        for name, value in (("ws-uuid", channel), ("source-uuid", source)):
            yield f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        yield f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'.encode()
        for _ in range(33 * 16):
            yield b"x" * 65536

    try:
        answer = client.http.post("/public/sources/upload-source", content=chunks(), headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
        assert answer.status_code == 413
    except OSError:
        pytest.fail("the connection was reset before the answer")
    assert client.http.get(f"/public/sources/{source}").status_code == 404


def test_refused_before_a_byte_of_the_body_is_read(client: Client) -> None:
    host, _, port = client.base_url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(
            b"POST /public/sources/upload-source HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 999999999\r\n\r\n"
        )
        head = raw.recv(65536)
    assert head.startswith(b"HTTP/1.1 401 ")
    assert b"application/problem+json" in head


def test_paging_covers_every_source_once(client: Client, stack) -> None:
    with stack.client("pager") as pager:
        channel = pager.register()
        sources = {pager.upload(channel, b"x", source=f"page-{n}-{uuid.uuid4()}") for n in range(7)}
        found, cursor = [], ""
        while True:
            page = pager.http.get("/public/sources", params={"limit": 3, "cursor": cursor}).json()
            found += [item["source-uuid"] for item in page["sources"]]
            cursor = page["next-cursor"]
            if not cursor:
                break
    assert sorted(sources) == found


def test_the_api_describes_the_form_and_the_events(client: Client) -> None:
    document = client.http.get("/openapi.json").json()
    form = document["paths"]["/public/sources/upload-source"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert {"ws-uuid", "source-uuid", "file", "content"} <= set(form["properties"])
    assert set(document["webhooks"]) >= {"source.accepted", "source.processing", "source.progress", "source.succeeded", "source.failed"}


def test_a_large_file_goes_in_parts_and_comes_back_whole(client: Client) -> None:
    channel = client.register()
    body = bytes(range(256)) * (20 * 4096 + 17)
    with client.socket(channel) as ws:
        client.upload(channel, body, filename="big.bin")
        end = until_closed(ws)[-1]
    assert (end["result"]["size"], end["result"]["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert client.http.get(end["result"]["url"], follow_redirects=True).content == body


@pytest.mark.parametrize("share", [0.05, 0.5, 0.999])
def test_a_body_that_is_cut_leaves_nothing(client: Client, stack, share: float) -> None:
    channel, source = client.register(), str(uuid.uuid4())
    fields = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in (("ws-uuid", channel), ("source-uuid", source))
    )
    body = f'{fields}--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'.encode() + b"x" * 18_000_000 + b"\r\n--b--\r\n"
    head = (
        "POST /public/sources/upload-source HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        f"X-API-Key: {client.http.headers['X-API-Key']}\r\nX-User-ID: e2e\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    before = store_files(stack)
    host, _, port = client.base_url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(head.encode() + body[: int(len(body) * share)])
    eventually(lambda: store_files(stack) == before)
    assert client.http.get(f"/public/sources/{source}").status_code == 404


def store_files(stack) -> set[str]:
    """Objects and temporary files of the folder store."""
    return {str(path) for path in (stack.folder / "store").rglob("*") if path.is_file() and ("objects" in path.parts or "+tmp" in path.parts)}
