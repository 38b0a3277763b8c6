"""From a form that was read to what is submitted: one source, or several that are accepted or refused each by itself."""

from __future__ import annotations

from fastapi import Request

from app.api.deps import Services
from app.api.form import Form, FormFile
from app.api.schemas import Accepted, answered
from app.domain.errors import Forbidden, HeadraceError, InvalidRequest
from app.domain.ids import ChannelId, SourceId, source_id
from app.services.principal import Principal
from app.services.staging import Staging
from app.services.upload import Submission

_SHOWN = 128
"""Characters of a wrong id that are shown to who sent it: as long as an id may be."""


def described(
    request: Request, services: Services, principal: Principal, form: Form, channel: ChannelId, source: SourceId, filename: str | None, file: FormFile | None
) -> Submission:
    """What the form says of one source. Raises InvalidRequest, Forbidden."""
    return Submission(
        source, channel, services.addresses.base_url(request), filename=filename or (file.filename if file else None),
        declared_type=file.media_type if file else None, url=form.field("content"), tags=form.json_field("tags", list),
        metadata=form.json_field("metadata", dict), options=form.json_field("options", dict), terms=services.upload.terms(principal, form.field("profile")),
        traceparent=request.headers.get("traceparent"), callback_url=_callback(principal, form.field("callback-url")), organisation=principal.organisation,
    )  # fmt: skip


def _callback(principal: Principal, url: str | None) -> str | None:
    if url and principal.token is not None:
        raise InvalidRequest("unexpected_field", "an upload token names no callback-url", field="callback-url")
    return url


async def submit(services: Services, principal: Principal, submission: Submission, file: FormFile | None) -> None:
    """One source, as a file or a URL. Raises what refuses it; then nothing is left behind."""
    if (file is None) == (not submission.url):
        raise InvalidRequest("file_or_content", "send either a file or a URL (content)")
    if file is not None and file.refusal is not None:
        raise file.refusal
    await services.pace.spend(principal, submission.source)
    if file is None:
        await services.upload.url(principal.owner, submission)
    else:
        await services.upload.file(principal.owner, submission, file.staging)


async def submit_several(request: Request, services: Services, principal: Principal, form: Form, channel: ChannelId) -> Accepted:
    """Each file is accepted or refused by itself. When none is accepted, the first one's error is raised, with `sources` in it.

    Raises InvalidRequest for what is wrong with the form as a whole; then nothing is accepted.
    """
    if form.field("content"):
        raise InvalidRequest("file_or_content", "send either files or a URL (content)")
    answers: list[tuple[str, HeadraceError | None]] = []
    good: list[tuple[int, Submission, Staging]] = []
    taken: set[SourceId] = set()
    for number, (text, filename, file) in enumerate(form.pairs("source-uuid")):
        refusal: HeadraceError | None = file.refusal if file else None
        try:
            source = _untaken(text, taken)
            await services.pace.spend(principal, source)
        except (InvalidRequest, Forbidden) as error:
            refusal = error
        else:
            submission = described(request, services, principal, form, channel, source, filename, file)
            if file is not None and refusal is None:
                good.append((number, submission, file.staging))
        if file is not None and refusal is not None:
            await file.staging.abort()
        answers.append(((text or "")[:_SHOWN], refusal))
    for (number, submission, _), refusal in zip(good, await services.upload.files(principal.owner, [each[1:] for each in good]), strict=True):
        answers[number] = (submission.source, refusal)
    return _answer(answers)


def _untaken(text: str | None, taken: set[SourceId]) -> SourceId:
    """The id, which is now taken in this request."""
    source = source_id(text)
    if source in taken:
        raise InvalidRequest("repeated_source", "another file of this request has the same source-uuid", field="source-uuid")
    taken.add(source)
    return source


def _answer(answers: list[tuple[str, HeadraceError | None]]) -> Accepted:
    sources = [answered(*answer) for answer in answers]
    refused = [error for _, error in answers if error is not None]
    if len(refused) == len(answers):
        refused[0].fields["sources"] = [source.model_dump(by_alias=True, exclude_none=True) for source in sources]
        raise refused[0]
    return Accepted(message=f"Processing {len(answers) - len(refused)} of {len(answers)} files", sources=sources)
