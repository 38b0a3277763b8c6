"""Every error answer is a problem (RFC 9457, application/problem+json): type, title, status, detail, and our `code`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.domain.errors import HeadraceError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


def problem(status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **fields: object) -> JSONResponse:
    body = {"type": f"urn:headrace:problem:{code}", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, "code": code, **fields}
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def from_error(error: HeadraceError) -> JSONResponse:
    headers = {"Retry-After": str(error.retry_after_seconds)} if error.retry_after_seconds is not None else None
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers = {"WWW-Authenticate": 'ApiKey realm="headrace"'}
    return problem(error.status, error.code, error.detail, headers=headers, **error.fields)


def _on_headrace_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HeadraceError)  # noqa: S101 - registered for this class only
    return from_error(error)


def _on_http_exception(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    return problem(error.status_code, HTTPStatus(error.status_code).name.lower(), str(error.detail), headers=error.headers)


def _on_validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    first = error.errors()[0]
    return problem(400, "invalid_request", f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")


def _on_any(_request: Request, error: Exception) -> JSONResponse:
    log.error("unexpected %s", type(error).__name__, exc_info=error)
    return problem(500, "internal", "something went wrong on our side")


def install(app: FastAPI) -> None:
    app.add_exception_handler(HeadraceError, _on_headrace_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(Exception, _on_any)
