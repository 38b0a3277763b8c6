"""The HTTP calls of the contract. Each parses, calls one service, and answers; docs/events.md has the other half."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from app.api.deps import BodyCut, Deleter, Reader, Services, TheServices, Uploader, body, content_length, declared_bytes
from app.api.errors import problem
from app.api.form import FormReader
from app.api.openapi import JSON_REGISTER, JSON_REPROCESS, JSON_SYNC, PROBLEMS, UPLOAD_FILE_FORM, UPLOAD_FORM
from app.api.schemas import (
    Accepted,
    ChannelAddress,
    Processed,
    ProcessedSync,
    RegisterChannel,
    Reprocess,
    Reprocessed,
    SourcePage,
    SourceState,
    SyncSource,
    answered,
    state,
    summary,
)
from app.api.submission import described, submit, submit_several
from app.domain.errors import InvalidRequest, TooLarge
from app.domain.ids import OwnerId, channel_id, source_id
from app.domain.policy import JSON_BODY_BYTES
from app.domain.quota import Kind
from app.domain.results import RunResult
from app.domain.source import State
from app.domain.wire import parse
from app.services.principal import Principal
from app.services.sources import PAGE
from app.services.synchronous import LONGEST_WAIT_SECONDS, StillProcessing, own_channel
from app.services.upload import Submission

PREFIXES = ("/public/sources", "/public/user/sources", "/api/v1/sources")
"""Every call is served under each of them; the documents show the first."""

Asked = TypeVar("Asked", RegisterChannel, Reprocess, SyncSource)

router = APIRouter(tags=["sources"], responses=PROBLEMS)


async def _json(request: Request, services: Services) -> Any:
    """The body as JSON, whatever its content type says: the contract's first curl sends it as a form."""
    content_length(request, JSON_BODY_BYTES)
    received = bytearray()
    async for chunk in body(request, stall_seconds=services.upload.policy.body_stall_seconds):
        received += chunk
        if len(received) > JSON_BODY_BYTES:
            raise TooLarge(detail=f"a JSON body may have {JSON_BODY_BYTES} bytes", limit=JSON_BODY_BYTES)
    try:
        return parse(received)
    except ValueError:
        raise InvalidRequest("malformed_json", "the body is not JSON") from None


def _parse(model: type[Asked], value: Any) -> Asked:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidRequest("invalid_field", f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}") from None


@router.post("/ws", openapi_extra=JSON_REGISTER)
async def register_channel(request: Request, response: Response, uploader: Uploader, services: TheServices) -> ChannelAddress:
    """Open a channel (a ws-uuid), and learn where to watch it."""
    response.headers.update(await services.pace.take(uploader, Kind.REGISTRATIONS))
    asked = _parse(RegisterChannel, await _json(request, services))
    channel = channel_id(asked.ws_uuid)
    if asked.expect is not None and asked.keep_open:
        raise InvalidRequest("expect_or_keep_open", "say either how many sources to expect, or keep-open", field="expect")
    await services.access.open(uploader.owner, channel, keep_open=asked.keep_open, expect=asked.expect)
    token = await services.admission.token(uploader.owner, channel)
    return ChannelAddress(ws_address=f"{services.addresses.ws_url(request)}/ws/{channel}?token={token}")


@router.post("/upload-source", openapi_extra=UPLOAD_FORM, response_model_exclude_none=True)
async def upload_source(request: Request, response: Response, uploader: Uploader, services: TheServices) -> Accepted:
    """Submit a document, as bytes (`file`) or as a URL (`content`). Answers when it is durable; the channel tells the rest.

    Several files go in one form, each with its own `source-uuid`: the first with the first, and so on. Each is accepted or refused by itself.
    """
    response.headers.update(await services.pace.take(uploader, Kind.UPLOADS, size_bytes=declared_bytes(request)))
    fields = ("ws-uuid", "source-uuid", "filename", "content", "metadata", "tags", "options", "profile", "callback-url")
    async with FormReader(request, uploader, services.upload, fields, each="source-uuid") as reader:
        form = await reader.read()
        channel = channel_id(form.field("ws-uuid"))
        pairs = form.pairs("source-uuid")
        await services.pace.more(uploader, Kind.UPLOADS, len(pairs) - 1, size_bytes=0 if declared_bytes(request) else form.size_bytes)
        if len(pairs) > 1:
            return await submit_several(request, services, uploader, form, channel)
        source, filename, file = pairs[0]
        submission = described(request, services, uploader, form, channel, source_id(source), filename, file)
        await submit(services, uploader, submission, file)
    return Accepted(message=f"Processing file: {submission.source}")


@router.post("/upload-source/file", openapi_extra=UPLOAD_FILE_FORM, response_model=Processed)
async def upload_file(request: Request, uploader: Uploader, services: TheServices) -> Response:
    """Submit a document and wait for the end of its processing (422 when that fails, 504 when it takes long: it then goes on)."""
    await services.pace.take(uploader, Kind.UPLOADS, size_bytes=declared_bytes(request))
    async with FormReader(request, uploader, services.upload, ("source-id", "filename")) as reader:
        form = await reader.read()
        await services.pace.more(uploader, Kind.UPLOADS, 0, size_bytes=0 if declared_bytes(request) else form.size_bytes)
        source, filename, file = form.pairs("source-id")[0]
        submission = described(request, services, uploader, form, own_channel(), source_id(source, "source-id"), filename, file)
        await submit(services, uploader, submission, file)
    return await _processed(request, services, uploader.owner, submission, Processed)


@router.post("/upload-source/sync", openapi_extra=JSON_SYNC, response_model=ProcessedSync)
async def upload_sync(request: Request, uploader: Uploader, services: TheServices) -> Response:
    """Submit any JSON as a document, or a URL, and wait for the end of its processing."""
    await services.pace.take(uploader, Kind.UPLOADS, size_bytes=declared_bytes(request))
    asked = _parse(SyncSource, await _json(request, services))
    source = source_id(asked.source_id, "source-id")
    has_data = "data" in asked.model_fields_set
    if has_data == bool(asked.url):
        raise InvalidRequest("data_or_url", "send either data or url")
    submission = Submission(
        source, own_channel(), services.addresses.base_url(request), filename=asked.filename, url=asked.url, tags=asked.tags,
        metadata=asked.metadata, options={"generate-embedding": asked.generate_embedding}, traceparent=request.headers.get("traceparent"),
        terms=services.upload.terms(uploader, None),
    )  # fmt: skip
    await services.pace.spend(uploader, submission.source)
    if has_data:
        submission.filename = asked.filename or f"{source}.json"
        submission.declared_type = "application/json"
        await services.upload.document(uploader.owner, submission, _document(asked.data))
    else:
        await services.upload.url(uploader.owner, submission)
    return await _processed(request, services, uploader.owner, submission, ProcessedSync)


@router.get("")
async def list_sources(
    reader: Reader,
    services: TheServices,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 50,
    cursor: Annotated[str, Query()] = "",
    dead: Annotated[bool, Query(description="dead letters only: sources that were tried too often")] = False,  # noqa: FBT002 - a query
) -> SourcePage:
    """This user's sources, in the order of their ids, by pages."""
    after = source_id(cursor, "cursor") if cursor else ""
    views, following = await services.sources.page(reader.owner, after=after, limit=limit, dead=dead)
    return SourcePage(sources=[summary(view) for view in views], next_cursor=following)


@router.get("/{source}")
async def show_source(
    source: str,
    reader: Reader,
    services: TheServices,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_SECONDS, description="answer when the run has ended, or after so many seconds")] = 0,
) -> SourceState:
    """One source: its state, its timeline, and its result once there is one."""
    view = await services.synchronous.settled(services.sources, reader.owner, source_id(source, "id"), wait)
    return state(view, reader.owner, services.sources.announcer)


@router.post("/{source}/cancel")
async def cancel_source(source: str, uploader: Uploader, services: TheServices) -> SourceState:
    """End a source that is open, as `cancelled`: at once, whoever works on it. 409 when it has succeeded or failed."""
    named = source_id(source, "id")
    await services.runs.cancel(uploader.owner, named)
    return state(await services.sources.show(uploader.owner, named), uploader.owner, services.sources.announcer)


MeantRun = Annotated[int | None, Query(ge=1, description="the run that is meant: the call may then be repeated, and begins one run only")]


@router.post("/{source}/retry")
async def retry_source(
    request: Request,
    source: str,
    uploader: Uploader,
    services: TheServices,
    run: MeantRun = None,
) -> SourceState:
    """Run a failed or cancelled source again, with the bytes that are here. 409 while it is open, and when it has succeeded."""
    return await _run_again(request, services, uploader, source, run, also_succeeded=False)


@router.post("/{source}/reprocess")
async def reprocess_source(
    request: Request,
    source: str,
    uploader: Uploader,
    services: TheServices,
    run: MeantRun = None,
) -> SourceState:
    """Run a source that has ended again, also one that succeeded, over the bytes that are here. What was read of it stays until the new run succeeds."""
    return await _run_again(request, services, uploader, source, run, also_succeeded=True)


async def _run_again(request: Request, services: Services, uploader: Principal, source: str, run: int | None, *, also_succeeded: bool) -> SourceState:
    await services.pace.take(uploader, Kind.UPLOADS)
    named = source_id(source, "id")
    base_url, traceparent = services.addresses.base_url(request), request.headers.get("traceparent")
    await services.runs.retry(uploader.owner, named, run=run, base_url=base_url, traceparent=traceparent, also_succeeded=also_succeeded)
    return state(await services.sources.show(uploader.owner, named), uploader.owner, services.sources.announcer)


@router.post("/reprocess", openapi_extra=JSON_REPROCESS, response_model_exclude_none=True)
async def reprocess_sources(request: Request, response: Response, uploader: Uploader, services: TheServices) -> Reprocessed:
    """Run again what is meant of this user's sources that have ended, by pages. Each is begun or refused by itself, and counts as an upload."""
    asked = _parse(Reprocess, await _json(request, services))
    after = source_id(asked.cursor, "cursor") if asked.cursor else ""

    async def room(count: int) -> None:
        response.headers.update(await services.pace.take(uploader, Kind.UPLOADS, count=count))

    base_url = services.addresses.base_url(request)
    answers, following = await services.reprocess(uploader.owner, asked.selection, after=after, limit=asked.limit, base_url=base_url, room=room)
    return Reprocessed(sources=[answered(*answer) for answer in answers], next_cursor=following)


@router.delete("/{source}", status_code=204)
async def delete_source(source: str, deleter: Deleter, services: TheServices) -> None:
    """Remove a source for good, whatever state it is in. Its id is not used again for a long time."""
    await services.sources.delete(deleter.owner, source_id(source, "id"))


def _document(data: Any) -> bytes:
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:  # 1e999 is JSON, but no number of ours
        raise InvalidRequest("invalid_field", "data: a number is out of range", field="data") from None


async def _processed(request: Request, services: Services, owner: OwnerId, submission: Submission, answer: type[Processed]) -> Response:
    status_url = f"{services.addresses.base_url(request)}{PREFIXES[0]}/{submission.source}"
    try:
        result: RunResult = await services.synchronous.end_of(owner, submission.channel, submission.source)
    except StillProcessing as error:
        where: dict[str, Any] = {"status-url": status_url}
        return problem(error.status, error.code, error.detail, headers={"Location": status_url}, **where)
    announcer = services.sources.announcer
    if result.state is not State.SUCCEEDED:
        failed = announcer.ended(owner, result)
        more: dict[str, Any] = {"source-id": submission.source, "retryable": bool(result.retryable)}
        return problem(422, result.code or "internal", getattr(failed, "error", ""), headers=None, **more)
    done = answer.of(result, announcer.link(owner, result, "original"))
    return JSONResponse(done.model_dump(mode="json", by_alias=True))


def on_body_cut(_request: Request, error: Exception) -> Response:
    """Nobody reads this answer; the status stands in the log (499, as nginx has it)."""
    assert isinstance(error, BodyCut)  # noqa: S101 - registered for this class only
    return Response(status_code=499)
