from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.adapters.folder import FolderObjectStore
from app.adapters.storage import StorageSettings, open_store
from app.domain.errors import StoreUnfit

S3 = {"s3_access_key_id": "key", "s3_secret_access_key": "topsecret"}


def test_file_opens_a_folder(tmp_path: Path) -> None:
    store = open_store(StorageSettings(url=f"file://{tmp_path}/a%20b"))
    assert isinstance(store, FolderObjectStore)
    assert (tmp_path / "a b").is_dir()


def test_s3_opens_a_bucket() -> None:
    from app.adapters.s3 import S3ObjectStore

    store = open_store(StorageSettings(url="s3://bucket/some/prefix/", s3_endpoint_url="http://127.0.0.1:1", **S3))
    assert isinstance(store, S3ObjectStore)
    link = store.link("a", filename="a", media_type="text/plain", seconds=1)
    assert link.startswith("http://127.0.0.1:1/bucket/some/prefix/a?")
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "folder",
        "/folder",
        "file://folder/x",
        "file:folder",
        "file://",
        "file:///a?b",
        "file:///a#b",
        "file:///a%00b",
        "s3://",
        "s3:///prefix",
        "s3://bucket/../x",
        "s3://bucket/a b",
        "s3://k:s@bucket",
        "s3://bucket?x",
        "http://bucket",
        "gs://bucket",
    ],
)
def test_another_address_is_refused_by_the_name_of_its_setting(url: str) -> None:
    with pytest.raises(StoreUnfit, match="HEADRACE_STORAGE_URL"):
        open_store(StorageSettings(url=url, **S3))


@pytest.mark.parametrize("name", ["s3_endpoint_url", "s3_public_endpoint_url"])
@pytest.mark.parametrize("url", ["localhost:9000", "ftp://x", "http://", "x"])
def test_an_endpoint_is_a_web_address(name: str, url: str) -> None:
    with pytest.raises(StoreUnfit, match=f"HEADRACE_{name.upper()}"):
        open_store(StorageSettings(url="s3://bucket", **S3, **{name: url}))


def test_a_ca_bundle_that_is_not_there_is_refused() -> None:
    with pytest.raises(StoreUnfit, match="S3"):
        open_store(StorageSettings(url="s3://bucket", **S3, s3_endpoint_url="https://127.0.0.1:1", s3_ca_bundle="/no/such/file.pem"))


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnfit, match="cannot hold objects"):
        open_store(StorageSettings(url=f"file://{tmp_path}/file/below"))


def test_secrets_are_not_shown() -> None:
    assert "topsecret" not in repr(StorageSettings(url="s3://bucket", **S3))


def test_a_stack_on_a_folder_does_not_load_the_s3_libraries(tmp_path: Path) -> None:
    script = (
        "import sys; from app.adapters.storage import *; open_store(StorageSettings(url=sys.argv[1]));"
        "print([m for m in ('boto3', 'botocore', 'obstore') if m in sys.modules])"
    )
    command = [sys.executable, "-c", script, f"file://{tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.strip() == "[]"
