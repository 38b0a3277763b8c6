"""What boto3 and obstore raise, as the errors of the port. Their texts name hosts and keys, so only status and S3's code go on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from obstore.exceptions import BaseError
from urllib3.exceptions import HTTPError

from app.domain.errors import ObjectNotFound, Unavailable

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")


@contextmanager
def s3_refusals(key: str | None = None) -> Iterator[None]:
    """Unavailable on whatever S3, or the way to it, says; but ObjectNotFound when `key` is given and it is the object that is missing."""
    try:
        yield
    # obstore says that something is missing by Python's own error, which is an OSError.
    except (BaseError, ClientError, BotoCoreError, HTTPError, OSError) as error:
        status, code = refusal(error)
        if key is not None and status == "404" and code in {"", "404", "NoSuchKey"}:
            raise ObjectNotFound(detail=key) from error
        said = " ".join(part for part in (status, code) if part) or "no answer"
        raise Unavailable("storage_unavailable", f"the object store does not serve: {said}") from error


def refusal(error: BaseException) -> tuple[str, str]:
    """HTTP status and S3's error code; empty where there was no answer."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
        return str(status), str(error.response.get("Error", {}).get("Code", ""))
    text = str(error)
    status_found, code_found = _STATUS.search(text), _CODE.search(text)
    return status_found[1] if status_found else "", code_found[1] if code_found else ""
