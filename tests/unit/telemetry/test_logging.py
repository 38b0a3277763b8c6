import io
import json
import logging
from datetime import datetime

import pytest

from app.telemetry.logging import _Json, _Text


@pytest.fixture
def written():
    """What a logger of any name writes."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(_Text("%(name)s: %(message)s"))
    logger = logging.Logger("uvicorn.error")  # noqa: LOG001 - one that nobody else shares
    logger.addHandler(handler)
    return logger, out


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ('%s - "WebSocket /ws/abc-123?token=SECRET.x_y-z" [accepted]', '"WebSocket /ws/abc-123?token=[...]" [accepted]'),
        ("%s /ws/a?after=e:1&token=SECRET&more=1", "/ws/a?after=e:1&token=[...]&more=1"),
        ("%s /ws/a?TOKEN=SECRET", "/ws/a?TOKEN=[...]"),
        ("%s headers: headrace, headrace.token.SECRET.x, y", "headers: headrace, headrace.token.[...], y"),
        ("%s (b'sec-websocket-protocol', b'headrace.token.SECRET')", "(b'sec-websocket-protocol', b'headrace.token.[...]')"),
        ("%s Authorization: Bearer SECRET.x", "Authorization: Bearer [...]"),
        ("%s /d/SECRET.x-y/more", "/d/[...]/more"),
        ("%s https://s3/x?X-Amz-Credential=SECRET%%2F1&X-Amz-Signature=SECRET&a=b", "X-Amz-Signature=[...]&a=b"),
        ("%s key hr_SECRET, hr_dev_SECRET and hrt_SECRET.x", "key hr_[...], hr_dev_[...] and hrt_[...]"),
        ("%s a tokenizer=fast, nothing to hide", "a tokenizer=fast, nothing to hide"),
    ],
)
def test_credentials_of_sockets_are_not_written(written, line, kept):
    logger, out = written
    logger.info(line, "127.0.0.1")
    assert "SECRET" not in out.getvalue()
    assert kept in out.getvalue()


def test_neither_in_a_traceback(written):
    logger, out = written
    try:
        raise ValueError("/ws/a?token=SECRET")
    except ValueError:
        logger.exception("bad")
    assert "ValueError: /ws/a?token=[...]" in out.getvalue()


def test_json_is_one_object_a_line_without_credentials(written):
    logger, out = written
    logger.handlers[0].setFormatter(_Json("api"))
    try:
        raise ValueError("/ws/a?token=SECRET")
    except ValueError:
        logger.exception("two\nlines of %s", "hr_SECRET")
    (line,) = out.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["process"], entry["logger"], entry["message"]) == ("error", "api", "uvicorn.error", "two\nlines of hr_[...]")
    assert entry["error"].endswith("ValueError: /ws/a?token=[...]")
    assert datetime.fromisoformat(entry["at"]).tzinfo is not None
    assert "SECRET" not in line
