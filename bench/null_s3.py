"""A null S3: takes all that boto3 and obstore send, keeps what is small, forgets the rest. It measures a client, never a store.

    python bench/null_s3.py [PORT]        127.0.0.1; prints `ready: http://127.0.0.1:PORT`; SIGTERM ends it

Objects up to 64 KiB are kept, so that records and results work and the whole API can run on it; of larger ones only size, type and
metadata, and reading them gives zeros. Create-only holds. Signatures are not looked at. `GET /__stats` tells what has come.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import signal
import sys
import uuid
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import cast
from urllib.parse import parse_qs, quote, unquote
from xml.sax.saxutils import escape, unescape

KEPT_BYTES = 64 * 1024
BUFFER_BYTES = 1 << 20
ZEROS = bytes(BUFFER_BYTES)
DELETED_KEY = re.compile(r"<Key>(.*?)</Key>", re.DOTALL)
ENTITIES = {"&quot;": '"', "&apos;": "'"}


@dataclass(slots=True)
class Object:
    size: int
    body: bytes | None
    """None: too large to be kept."""
    headers: dict[str, str] = field(default_factory=dict)
    """Content type and metadata."""
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def etag(self) -> str:
        return hashlib.md5(self.body or b"", usedforsecurity=False).hexdigest()


class Bucket:
    """All keys of all buckets, sorted: a listing is a slice."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.order: list[str] = []
        self.uploads: dict[str, tuple[str, dict[str, str], dict[int, int]]] = {}
        self.stats = dict.fromkeys(("puts", "parts", "completes", "aborts", "gets", "heads", "lists", "deletes", "bytes"), 0)

    def put(self, key: str, stored: Object) -> None:
        if key not in self.objects:
            insort(self.order, key)
        self.objects[key] = stored

    def delete(self, key: str) -> None:
        if self.objects.pop(key, None) is not None:
            del self.order[bisect_right(self.order, key) - 1]

    def below(self, prefix: str, after: str, delimiter: str) -> Iterator[str]:
        """Keys, or common prefixes where the delimiter follows, greater than `after`."""
        at = max(bisect_left(self.order, prefix), bisect_right(self.order, after))
        while at < len(self.order) and self.order[at].startswith(prefix):
            key = self.order[at]
            head, found, _ = key.removeprefix(prefix).partition(delimiter) if delimiter else (key, "", "")
            if not found:
                yield key
                at += 1
                continue
            common = prefix + head + delimiter
            if common > after:
                yield common
            at = bisect_right(self.order, common + "\U0010ffff")


@dataclass(slots=True)
class Request:
    method: str
    key: str
    """Bucket and key; ends at the bucket when there is no slash."""
    query: dict[str, str]
    headers: dict[str, str]
    size: int


class Connection(asyncio.BufferedProtocol):
    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.head = bytearray()
        self.left = 0
        self.body: bytearray | None = None
        self.request: Request | None = None
        self.space = memoryview(bytearray(BUFFER_BYTES))
        self.writable = asyncio.Event()
        self.writable.set()
        self.sending: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self.writable.set()
        if self.sending:
            self.sending.cancel()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self.space

    def buffer_updated(self, nbytes: int) -> None:
        if self.left > nbytes and self.body is None:  # the hot path: a large body, forgotten
            self.left -= nbytes
            return
        came = self.space[:nbytes]
        while len(came):
            if self.request is None:
                self.head += came
                end = self.head.find(b"\r\n\r\n")
                if end < 0:
                    return
                rest = bytes(self.head[end + 4 :])
                self.begin(bytes(self.head[:end]).decode("latin-1"))
                self.head.clear()
                came = memoryview(rest)
            taken = min(self.left, len(came))
            if self.body is not None:
                self.body += came[:taken]
            self.left -= taken
            came = came[taken:]
            if self.left == 0:
                self.finish()

    def begin(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        path, _, query = target.partition("?")
        values = {name: value[0] for name, value in parse_qs(query, keep_blank_values=True).items()}
        size = int(headers.get("content-length", 0))
        self.request = Request(method, unquote(path).lstrip("/"), values, headers, size)
        self.left = size
        self.body = bytearray() if size <= KEPT_BYTES or "delete" in values or ("uploadId" in values and method == "POST") else None
        self.bucket.stats["bytes"] += size
        if headers.get("expect", "").lower() == "100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def finish(self) -> None:
        assert self.request is not None
        request, self.request = self.request, None
        body, self.body = bytes(self.body) if self.body is not None else None, None
        getattr(self, f"do_{request.method.lower()}", self.unknown)(request, body)

    # -------------------------------------------------------------------------------------------- what is asked

    def do_put(self, request: Request, body: bytes | None) -> None:
        if "content-length" not in request.headers or "x-amz-decoded-content-length" in request.headers:
            return self.refuse(411, "MissingContentLength")  # a body in chunks of AWS's own kind would be kept with its framing
        kept = {name: value for name, value in request.headers.items() if name == "content-type" or name.startswith("x-amz-meta-")}
        if "uploadId" in request.query:
            self.bucket.stats["parts"] += 1
            upload = self.bucket.uploads.get(request.query["uploadId"])
            if upload is None:
                return self.refuse(404, "NoSuchUpload")
            number = int(request.query["partNumber"])
            upload[2][number] = request.size
            return self.answer(200, headers={"ETag": f'"{number:032x}"'})
        if "/" not in request.key.rstrip("/"):
            return self.answer(200)  # the bucket
        self.bucket.stats["puts"] += 1
        if request.headers.get("if-none-match") == "*" and request.key in self.bucket.objects:
            return self.refuse(412, "PreconditionFailed")
        stored = Object(request.size, body, kept)
        self.bucket.put(request.key, stored)
        return self.answer(200, headers={"ETag": f'"{stored.etag}"'})

    def do_post(self, request: Request, body: bytes | None) -> None:
        name, _, key = request.key.partition("/")
        place = f"<Bucket>{escape(name)}</Bucket><Key>{escape(key)}</Key>"
        if "delete" in request.query:
            deleted_keys = DELETED_KEY.findall((body or b"").decode())
            for deleted in deleted_keys:
                self.bucket.stats["deletes"] += 1
                self.bucket.delete(f"{name}/{unescape(deleted, ENTITIES)}")
            return self.xml("DeleteResult", "".join(f"<Deleted><Key>{deleted}</Key></Deleted>" for deleted in deleted_keys))
        if "uploads" in request.query:
            upload = uuid.uuid4().hex
            kept = {name: value for name, value in request.headers.items() if name == "content-type" or name.startswith("x-amz-meta-")}
            self.bucket.uploads[upload] = (request.key, kept, {})
            return self.xml("InitiateMultipartUploadResult", f"{place}<UploadId>{upload}</UploadId>")
        found = self.bucket.uploads.pop(request.query.get("uploadId", ""), None)
        if found is None:
            return self.refuse(404, "NoSuchUpload")
        self.bucket.stats["completes"] += 1
        self.bucket.put(request.key, Object(sum(found[2].values()), None, found[1]))
        return self.xml("CompleteMultipartUploadResult", f'{place}<ETag>"{"0" * 32}-{len(found[2])}"</ETag>')

    def do_delete(self, request: Request, body: bytes | None) -> None:  # noqa: ARG002
        if "uploadId" in request.query:
            self.bucket.stats["aborts"] += 1
            if self.bucket.uploads.pop(request.query["uploadId"], None) is None:
                return self.refuse(404, "NoSuchUpload")
        else:
            self.bucket.stats["deletes"] += 1
            self.bucket.delete(request.key)
        return self.answer(204)

    def do_head(self, request: Request, body: bytes | None) -> None:  # noqa: ARG002
        self.bucket.stats["heads"] += 1
        stored = self.bucket.objects.get(request.key)
        if "/" not in request.key.rstrip("/"):
            self.answer(200)
        elif stored is None:
            self.answer(404)
        else:
            self.answer(200, length=stored.size, headers=self.described(stored))

    def do_get(self, request: Request, body: bytes | None) -> None:  # noqa: ARG002
        if request.key == "__stats":
            return self.answer(200, json.dumps(self.bucket.stats).encode(), {"Content-Type": "application/json"})
        if "/" not in request.key.rstrip("/"):
            return self.listed(request)
        self.bucket.stats["gets"] += 1
        stored = self.bucket.objects.get(request.key)
        if stored is None:
            return self.refuse(404, "NoSuchKey")
        start, stop, status = 0, stored.size, 200
        asked = {name.removeprefix("response-"): value for name, value in request.query.items() if name.startswith("response-content-")}
        headers = self.described(stored) | asked
        if span := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", "")):
            start = int(span[1])
            stop = min(stored.size, int(span[2]) + 1) if span[2] else stored.size
            if start >= stored.size:
                return self.refuse(416, "InvalidRange")
            status = 206
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{stored.size}"
        if stored.body is not None:
            return self.answer(status, stored.body[start:stop], headers)
        self.answer(status, length=stop - start, headers=headers)
        self.sending = asyncio.get_running_loop().create_task(self.send_zeros(stop - start))
        return None

    def unknown(self, request: Request, body: bytes | None) -> None:  # noqa: ARG002
        self.refuse(405, "MethodNotAllowed")

    def listed(self, request: Request) -> None:
        name = request.key.rstrip("/")
        if "uploads" in request.query:
            found = ((upload, key.removeprefix(f"{name}/")) for upload, (key, *_) in self.bucket.uploads.items())
            entries = (f"<Upload><Key>{escape(key)}</Key><UploadId>{upload}</UploadId></Upload>" for upload, key in found)
            return self.xml("ListMultipartUploadsResult", "".join(entries))
        self.bucket.stats["lists"] += 1
        query = request.query
        limit = int(query.get("max-keys", 1000))
        after = query.get("continuation-token") or query.get("start-after", "")
        keys = self.bucket.below(f"{name}/{query.get('prefix', '')}", f"{name}/{after}" if after else "", query.get("delimiter", ""))
        shown = quote if query.get("encoding-type") == "url" else escape
        entries, count, last, more = [], 0, "", False
        for key in keys:
            if count == limit:
                more = True
                break
            last = key.removeprefix(f"{name}/")
            count += 1
            stored = self.bucket.objects.get(key)
            if stored is None or (query.get("delimiter") and key.endswith(query["delimiter"])):
                entries.append(f"<CommonPrefixes><Prefix>{shown(last)}</Prefix></CommonPrefixes>")
                continue
            when = stored.modified.strftime("%Y-%m-%dT%H:%M:%S.000Z")
            entries.append(
                f"<Contents><Key>{shown(last)}</Key><LastModified>{when}</LastModified><ETag>&quot;0&quot;</ETag><Size>{stored.size}</Size></Contents>"
            )
        token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if more else ""
        facts = f"<Name>{escape(name)}</Name><KeyCount>{count}</KeyCount><MaxKeys>{limit}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>{token}"
        if "encoding-type" in query:
            facts += "<EncodingType>url</EncodingType>"
        return self.xml("ListBucketResult", facts + "".join(entries))

    # -------------------------------------------------------------------------------------------- what is answered

    def described(self, stored: Object) -> dict[str, str]:
        return {"ETag": f'"{stored.etag}"', "Last-Modified": format_datetime(stored.modified, usegmt=True), "Accept-Ranges": "bytes", **stored.headers}

    def xml(self, element: str, content: str) -> None:
        self.answer(200, f'<?xml version="1.0"?><{element}>{content}</{element}>'.encode(), {"Content-Type": "application/xml"})

    def refuse(self, status: int, code: str) -> None:
        self.answer(status, f"<Error><Code>{code}</Code><Message>null</Message></Error>".encode(), {"Content-Type": "application/xml"})

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None, length: int | None = None) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        size = "" if status == 204 else f"Content-Length: {len(body) if length is None else length}\r\n"
        self.transport.write(f"HTTP/1.1 {status} X\r\nx-amz-request-id: 0\r\n{lines}{size}\r\n".encode() + body)

    async def send_zeros(self, count: int) -> None:
        while count and not self.transport.is_closing():
            await self.writable.wait()
            self.transport.write(ZEROS[: min(count, BUFFER_BYTES)])
            count -= min(count, BUFFER_BYTES)


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    bucket = Bucket()
    server = await loop.create_server(lambda: Connection(bucket), "127.0.0.1", port, backlog=512)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    print(f"ready: http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.install()
    asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
