"""What is particular to S3: answers that get lost, conflicts, signatures, forks."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from app.adapters.s3 import S3ObjectStore
from app.adapters.s3_client import S3Location, boto_client, boto_session
from app.domain.errors import StoreUnfit, Unavailable
from tests.contract.faulty_proxy import CONFLICT, FaultyProxy, faulty_proxy

PART = 5 * 1024 * 1024
REAL = [pytest.param("rgw-http", marks=pytest.mark.s3), pytest.param("rgw-https", marks=pytest.mark.s3)]
PLAIN = ["moto", REAL[0]]


@pytest.fixture
def proxied(request: pytest.FixtureRequest, location_of, open_s3) -> Iterator[tuple[S3ObjectStore, FaultyProxy]]:
    location = location_of(request.param)
    with faulty_proxy(location.endpoint_url) as proxy:
        yield open_s3(replace(location, endpoint_url=proxy.url)), proxy


def open_uploads(location: S3Location) -> list[dict]:
    client = boto_client(boto_session(location), location, location.endpoint_url)
    try:
        return client.list_multipart_uploads(Bucket=location.bucket, Prefix=location.prefix).get("Uploads", [])
    finally:
        client.close()


# ------------------------------------------------------------------------------------------------ lost answers


@pytest.mark.parametrize("proxied", PLAIN, indirect=True)
def test_a_creator_whose_answer_was_lost_may_be_refused_by_its_own_object(proxied) -> None:
    """As the port says: the library repeats the request by itself, and meets what the first one wrote."""
    store, proxy = proxied
    proxy.chosen = lambda method, path: method == "PUT"
    proxy.faults = [(500, b"", True)]
    assert store.create("inbox/a", b"mine") is False
    assert store.get("inbox/a") == b"mine"


@pytest.mark.parametrize("proxied", PLAIN, indirect=True)
@pytest.mark.parametrize("conflicts", [1, 3])
def test_a_conflict_is_not_taken_for_a_taken_key(proxied, conflicts: int) -> None:
    store, proxy = proxied
    proxy.chosen = lambda method, path: method == "PUT"
    proxy.faults = [(409, CONFLICT, False)] * conflicts
    assert store.create("inbox/a", b"mine") is True
    assert store.get("inbox/a") == b"mine"


@pytest.mark.parametrize("proxied", ["moto"], indirect=True)
def test_endless_conflicts_are_unavailable(proxied) -> None:
    store, proxy = proxied
    proxy.chosen = lambda method, path: method == "PUT"
    proxy.faults = [(409, CONFLICT, False)] * 50
    with pytest.raises(Unavailable, match="409"):
        store.create("inbox/a", b"mine")


@pytest.mark.parametrize("proxied", PLAIN, indirect=True)
@pytest.mark.parametrize(
    "answers",
    [
        [(500, b"", True)],  # heard; the library repeats it
        [(500, b"", True), (404, b"<Error><Code>NoSuchUpload</Code></Error>", False)],  # as AWS may answer the repetition
        [(500, b"", True)] + [(503, b"", False)] * 2,  # no answer at all
    ],
)
def test_a_completion_without_an_answer_is_settled_by_looking(proxied, answers: list) -> None:
    store, proxy = proxied
    transfer = store.start("objects/o/u", part_bytes=PART)
    transfer.put_part(1, b"all")
    proxy.chosen = lambda method, path: method == "POST" and "uploadId=" in path
    proxy.faults = list(answers)
    transfer.complete()
    assert store.get("objects/o/u") == b"all"


@pytest.mark.parametrize("proxied", PLAIN, indirect=True)
def test_a_completion_that_did_not_happen_is_not_claimed(proxied) -> None:
    """Another object of the same key and size is there: the mark tells them apart."""
    store, proxy = proxied
    store.put("objects/o/u", b"old")
    transfer = store.start("objects/o/u", part_bytes=PART)
    transfer.put_part(1, b"new")
    proxy.chosen = lambda method, path: method == "POST" and "uploadId=" in path
    proxy.faults = [(404, b"<Error><Code>NoSuchUpload</Code></Error>", False)]
    with pytest.raises(Unavailable):
        transfer.complete()
    assert store.get("objects/o/u") == b"old"
    transfer.abort()


@pytest.mark.parametrize("proxied", ["moto"], indirect=True)
@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_store_that_refuses_is_unavailable_and_says_no_secrets(proxied, status: int) -> None:
    store, proxy = proxied
    store.put("objects/o/there", b"x")
    proxy.chosen = lambda method, path: True
    for call in (
        lambda: store.put("objects/o/u", b"x"),
        lambda: store.create("objects/o/u", b"x"),
        lambda: store.get("objects/o/there"),
        lambda: store.stat("objects/o/there"),
        lambda: store.names("objects/"),
        lambda: store.start("objects/o/u", part_bytes=PART),
        lambda: store.delete(["objects/o/there"]),
    ):
        proxy.faults = [(status, b"<Error><Code>AccessDenied</Code><Resource>/secret/place</Resource></Error>", False)] * 5
        with pytest.raises(Unavailable) as raised:
            call()
        assert str(status) in str(raised.value)
        assert "objects/o" not in str(raised.value)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize("kind", ["moto", *REAL])
def test_a_bucket_that_is_gone_is_not_a_missing_object(kind: str, location_of, open_s3) -> None:
    store = open_s3(replace(location_of(kind), bucket="no-such-bucket"))
    for call in (lambda: store.get("a"), lambda: store.put("a", b""), lambda: store.names(""), lambda: store.delete(["a"])):
        with pytest.raises(Unavailable, match="NoSuchBucket"):
            call()
    with pytest.raises(StoreUnfit, match="NoSuchBucket"):
        store.probe()


# ------------------------------------------------------------------------------------------------ transfers


@pytest.mark.parametrize("kind", ["moto", *REAL])
def test_a_cut_upload_leaves_no_multipart_upload(kind: str, location_of, open_s3) -> None:
    location = location_of(kind)
    store = open_s3(location)
    transfer = store.start("objects/o/u", part_bytes=PART)
    transfer.put_part(1, bytes(PART))
    assert len(open_uploads(location)) == 1
    transfer.abort()
    assert open_uploads(location) == []


@pytest.mark.parametrize("proxied", PLAIN, indirect=True)
def test_a_part_on_its_way_at_the_abort_is_removed_too(proxied) -> None:
    """S3 keeps a part that arrives after the abort: so its sender aborts again."""
    store, proxy = proxied
    transfer = store.start("objects/o/u", part_bytes=PART)
    started = len(proxy.seen)

    def cut(method: str, path: str) -> bool:
        if [one for one, *_ in proxy.seen[started:]] == ["PUT"]:
            transfer.abort()
        return False

    proxy.chosen, proxy.faults = cut, [(500, b"", False)]
    with pytest.raises(Unavailable):
        transfer.put_part(1, b"x")
    methods = [method for method, *_ in proxy.seen[started:]]
    assert methods[:2] == ["PUT", "DELETE"]
    assert methods.count("DELETE") == 2
    assert methods[-1] == "DELETE"


# ------------------------------------------------------------------------------------------------ how requests are signed


@pytest.mark.parametrize("proxied", PLAIN, indirect=True)
def test_small_bodies_are_signed_and_parts_on_loopback_are_not(proxied) -> None:
    store, proxy = proxied
    store.put("objects/o/u", b"x")
    transfer = store.start("objects/o/v", part_bytes=PART)
    transfer.put_part(1, b"x")
    transfer.abort()
    small = next(headers for method, path, headers in proxy.seen if path.endswith("/objects/o/u"))
    part = next(headers for method, path, headers in proxy.seen if "partNumber=" in path)
    assert len(small["x-amz-content-sha256"]) == 64
    assert part["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert not any("checksum" in name or name == "x-amz-trailer" for name in part)


@pytest.mark.parametrize(
    ("endpoint", "signed"),
    [
        ("http://10.0.0.7:9000", True),
        ("http://storage.lan", True),
        ("https://storage.lan", False),
        ("http://[::1]:1", False),
        ("http://localhost:1", False),
        (None, False),
    ],
)
def test_parts_are_signed_where_the_way_is_neither_tls_nor_loopback(endpoint: str | None, signed: bool) -> None:
    location = S3Location("bucket", "", endpoint, "us-east-1", "key", "secret")
    client = boto_client(boto_session(location), location, endpoint)
    assert client.meta.config.s3["payload_signing_enabled"] is signed
    client.close()


@pytest.mark.s3
def test_the_default_checksums_of_boto3_break_uploads_over_https(real_s3, location_of, open_s3) -> None:
    """Why `when_required` is not redundant: should this fail one day, it may go."""
    location = location_of("rgw-https")
    settings = {"endpoint_url": location.endpoint_url, "verify": location.ca_bundle, "region_name": "us-east-1"}
    keys = {"aws_access_key_id": location.access_key_id, "aws_secret_access_key": location.secret_access_key}
    client = boto3.client("s3", **settings, **keys, config=Config(s3={"addressing_style": "path"}))
    with pytest.raises(ClientError, match="MissingContentLength"):
        client.put_object(Bucket=location.bucket, Key=f"{location.prefix}/a", Body=b"x")
    client.close()
    store = open_s3(location)
    store.put("a", b"x")
    transfer = store.start("b", part_bytes=PART)
    transfer.put_part(1, b"x")
    transfer.complete()
    assert store.keys("") == ["a", "b"]


@pytest.mark.s3
def test_a_wrong_key_or_another_users_bucket_is_unavailable(real_s3, location_of, open_s3) -> None:
    location = location_of("rgw-http")
    other = replace(location, access_key_id=real_s3.other_access_key_id, secret_access_key=real_s3.other_secret_access_key)
    for wrong in (replace(location, secret_access_key="wrong"), other):
        with pytest.raises(Unavailable, match="403"):
            open_s3(wrong).put("a", b"x")
        with pytest.raises(StoreUnfit, match="403"):
            open_s3(wrong).probe()


@pytest.mark.s3
def test_a_server_that_nobody_vouches_for_is_unavailable(location_of, open_s3) -> None:
    store = open_s3(replace(location_of("rgw-https"), ca_bundle=None))
    with pytest.raises(Unavailable):
        store.put("a", b"x")
    with pytest.raises(Unavailable):
        store.names("")


# ------------------------------------------------------------------------------------------------ links


def test_links_are_made_for_the_public_address(location_of, open_s3) -> None:
    store = open_s3(replace(location_of("moto"), public_endpoint_url="https://files.example.org"))
    link = store.link("objects/o/u", filename="a.pdf", media_type="application/pdf", seconds=30 * 86400)
    assert link.startswith("https://files.example.org/")
    assert "X-Amz-Expires=604800&" in link
    assert "Signature=" in link


# ------------------------------------------------------------------------------------------------ fitness, forks


@pytest.mark.parametrize("proxied", ["moto"], indirect=True)
def test_a_store_that_ignores_if_none_match_is_unfit(proxied) -> None:
    store, proxy = proxied
    proxy.dropped = {"if-none-match"}
    with pytest.raises(StoreUnfit, match="create-only"):
        store.probe()
    assert store.keys("") == []


def test_without_credentials_the_store_is_unfit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreUnfit, match="credentials"):
        S3ObjectStore(S3Location("bucket", "", "http://127.0.0.1:1"))


def test_credentials_are_not_shown() -> None:
    assert "topsecret" not in repr(S3Location("b", access_key_id="topsecret", secret_access_key="topsecret"))


FORK = """
    import os, sys, signal
    from app.adapters.s3 import S3ObjectStore
    from app.adapters.s3_client import S3Location
    from app.domain.errors import StoreUnfit
    location = S3Location(sys.argv[1], sys.argv[2], sys.argv[3], "us-east-1", "any", "thing")

    def child(check):
        pid = os.fork()
        if not pid:
            signal.alarm(30)
            os._exit(check())
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def works():
        store = S3ObjectStore(location)
        store.put("a", b"x")
        return 0 if store.get("a") == b"x" and store.names("") == ["a"] else 1

    def refused(call):
        try:
            call()
        except StoreUnfit as error:
            return 0 if "fork" in str(error) else 2
        return 1

    assert child(works) == 0
    assert child(works) == 0
    store = S3ObjectStore(location)
    store.put("a", b"x")
    for call in (
        lambda: store.put("a", b"x"),
        lambda: store.get("a"),
        lambda: store.names(""),
        lambda: store.start("a", part_bytes=2**23),
        lambda: store.link("a", filename="a", media_type="a/b", seconds=1),
        lambda: S3ObjectStore(location),
    ):
        assert child(lambda: refused(call)) == 0
    assert store.get("a") == b"x"
"""


def test_a_store_is_made_after_the_fork_or_refuses_to_work(location_of) -> None:
    location = location_of("moto")
    script = [sys.executable, "-c", textwrap.dedent(FORK), location.bucket, location.prefix, location.endpoint_url]
    done = subprocess.run(script, capture_output=True, text=True, timeout=100, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
