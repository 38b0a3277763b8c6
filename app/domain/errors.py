"""Every way in which Headrace says no.

    HeadraceError                     code, status, retryable
    ├── InvalidRequest        400     the request itself is wrong
    ├── Unauthorized          401     no key, a wrong key, two of them
    ├── Forbidden             403     the socket is not opened like this, or the credential is not for this
    ├── NotFound              404     not there, or another owner's: the answer is the same
    ├── RequestTimeout        408     the body stopped coming
    ├── Conflict              409     the id is taken by other bytes, or was deleted
    ├── TooLarge              413     over a limit
    ├── Misdirected           421     it came under a name that is none of ours
    ├── TooManySockets        429     over a limit of open sockets; ask again after `retry_after_seconds`
    ├── RateLimited           429     over a quota of this user
    ├── TooManyGuesses        429     too many wrong keys from one address
    ├── Unavailable           503     a part of ours is away; ask again after `retry_after_seconds`
    │   └── Newer                    what is there was written by a later version: another process can read it
    └── ProcessingFailed      422     a run that ended in failure: FAILURES lists the codes

The same code stands in the HTTP problem, the terminal event, result.json, the log line and docs/errors.md.
"""

from __future__ import annotations

from typing import Final


class HeadraceError(Exception):
    """Base of all. `code` is stable and for programs; the text is for people and may change."""

    status = 500
    code = "internal"
    retryable = False
    retry_after_seconds: int | None = None

    def __init__(self, code: str | None = None, detail: str = "", **fields: object) -> None:
        self.code = code or type(self).code
        self.detail = detail or self.code.replace("_", " ")
        self.fields = fields
        super().__init__(self.detail)


class InvalidRequest(HeadraceError):
    status = 400
    code = "invalid_request"


class Unauthorized(HeadraceError):
    status = 401
    code = "unauthorized"

    def __init__(self, code: str | None = None, detail: str = "", *, is_guess: bool = False, **fields: object) -> None:
        super().__init__(code, detail, **fields)
        self.is_guess = is_guess
        """A key or a token came, and is none of ours."""


class Forbidden(HeadraceError):
    status = 403
    code = "forbidden"


class NotFound(HeadraceError):
    status = 404
    code = "not_found"


class RequestTimeout(HeadraceError):
    status = 408
    code = "request_timeout"
    retryable = True


class Conflict(HeadraceError):
    status = 409
    code = "conflict"


class TooLarge(HeadraceError):
    status = 413
    code = "too_large"


class Misdirected(HeadraceError):
    status = 421
    code = "misdirected"


class TooManySockets(HeadraceError):
    status = 429
    code = "too_many_sockets"
    retryable = True
    retry_after_seconds = 10


class RateLimited(HeadraceError):
    """Nothing was accepted. After `retry_after_seconds` there is room for a little; `quota` names what was used up."""

    status = 429
    code = "rate_limited"
    retryable = True

    def __init__(self, code: str | None = None, detail: str = "", *, retry_after_seconds: int = 60, **fields: object) -> None:
        super().__init__(code, detail, **fields)
        self.retry_after_seconds = retry_after_seconds


class TooManyGuesses(HeadraceError):
    status = 429
    code = "too_many_guesses"

    def __init__(self, code: str | None = None, detail: str = "", *, retry_after_seconds: int = 60, **fields: object) -> None:
        super().__init__(code, detail, **fields)
        self.retry_after_seconds = retry_after_seconds


class Unavailable(HeadraceError):
    """Nothing was accepted, nothing is left behind: the same request may be sent again."""

    status = 503
    code = "unavailable"
    retryable = True

    def __init__(self, code: str | None = None, detail: str = "", *, retry_after_seconds: int = 5, **fields: object) -> None:
        super().__init__(code, detail, **fields)
        self.retry_after_seconds = retry_after_seconds


class Newer(Unavailable, ValueError):
    """A record or a job of a later version of Headrace, which this process cannot read: it is left to one that can."""

    code = "newer_version"


# code -> (what the client is told, whether the same source may succeed when it is tried again)
FAILURES: Final[dict[str, tuple[str, bool]]] = {
    "empty": ("File is empty", False),
    "too_large": ("File too large", False),
    "malformed": ("File is damaged or not what it claims to be", False),
    "encrypted": ("File is encrypted", False),
    "fetch_failed": ("The URL could not be fetched", True),
    "url_refused": ("The URL is refused", False),
    "unsupported_type": ("Files of this type are not accepted", False),
    "infected": ("File is infected", False),
    "unscanned": ("File could not be checked for viruses", False),
    "bomb": ("File unpacks to far more than it is", False),
    "resource_limit": ("Processing needed more than it may use", False),
    "timeout": ("Processing took too long", True),
    "crash": ("Processing crashed", False),
    "storage_failed": ("Storage did not take the file", True),
    "cancelled": ("The source was cancelled", False),
    "internal": ("Something went wrong on our side", True),
}


class ProcessingFailed(HeadraceError):
    """A run ends in failure with this code. `detail` goes to the log only; the client gets FAILURES' text.

    Raised for what is wrong with the source. What is wrong with the world (Unavailable) is tried again instead.
    """

    status = 422

    def __init__(self, code: str, detail: str = "") -> None:
        message, self.retryable = FAILURES[code]
        self.message = message
        super().__init__(code, detail or message)


class ObjectNotFound(HeadraceError):
    """The store has no object of that key."""

    status = 404
    code = "object_not_found"


class StoreUnfit(HeadraceError):
    """The store cannot keep our promises (no create-only PUT, another deployment's bucket, no rights): do not start."""

    code = "store_unfit"
