import io
import logging

import pytest

from app.telemetry.logging import _Formatter


@pytest.fixture
def written():
    """What a logger of any name writes."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(_Formatter("%(name)s: %(message)s"))
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
