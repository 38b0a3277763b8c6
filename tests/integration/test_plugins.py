"""The three ways in which somebody else's processor is used, each through the parser host, as a worker uses it."""

import base64
import json
import sys

import pytest

from app.domain import media
from app.domain.errors import ProcessingFailed, Unavailable
from headrace_plugin import Limits
from tests.plugins.endpoint import Endpoint
from tests.plugins.installed import PLUGINS, install
from worker.isolation.parser import Request
from worker.isolation.parser_host import ParserHost


class Worker:
    """Reads as a worker does, with this file of commands and endpoints."""

    def __init__(self, folder, named=""):
        self._folder = folder
        self._number = 0
        (folder / "processors.toml").write_text(named)
        self.host = ParserHost(folder / "processors.toml")
        self.told = []

    def read(self, body, media_type, **more):
        self._number += 1
        self.made = self._folder / str(self._number)
        self.made.mkdir()
        (self._folder / "source").write_bytes(body)
        return self.host.extract(Request(self._folder / "source", media_type, self.made, filename="a.odd", **more), self.told.append)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.host.close()


# ------------------------------------------------------------------------------------------------ installed with pip


@pytest.fixture(scope="module")
def shout(tmp_path_factory):
    return install("shout", tmp_path_factory.mktemp("site"))


def test_a_plugin_that_pip_installed_reads_what_it_takes_and_leaves_the_rest(shout, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(shout))
    with Worker(tmp_path) as worker:
        answer = worker.read(b"HEAR\nME", media.PLAIN)
        assert (answer.processor, answer.version, answer.extracted.pages, answer.extracted.document) == ("shout", "1.0", 1, {"title": "HEAR"})
        assert (worker.made / "text.txt").read_text() == "Hear\nme"
        assert worker.read(b"quiet", media.PLAIN).processor == "text"
        with pytest.raises(ProcessingFailed) as failure:
            worker.read(b"SECRET", media.PLAIN)
        assert failure.value.code == "encrypted"


def test_its_crash_is_a_failure_of_its_source_alone(shout, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(shout))
    with Worker(tmp_path) as worker:
        with pytest.raises(ProcessingFailed) as failure:
            worker.read(b"CRASH", media.PLAIN)
        assert failure.value.code == "crash"
        assert worker.read(b"HEAR", media.PLAIN).processor == "shout"


# ------------------------------------------------------------------------------------------------ a command


@pytest.fixture
def command(tmp_path):
    with Worker(tmp_path, f'[odd]\nmedia-types = ["text/*"]\ncommand = {json.dumps([sys.executable, str(PLUGINS / "command.py")])}\nversion = "3"\n') as worker:
        yield worker


def test_a_command_reads(command):
    answer = command.read(b"some words", media.PLAIN, options={"tone": "loud"}, limits=Limits(pixels=7))
    assert (answer.processor, answer.version, answer.extracted.pages) == ("odd", "3", 1)
    assert answer.extracted.details == {"schema": 1, "options": {"tone": "loud"}, "pixels": 7}
    assert (answer.files, answer.text.preview) == (["text.txt", "thumbnail.webp"], "SOME WORDS")
    assert [(warning.code, warning.message) for warning in answer.warnings] == [("no_text", "from a.odd as text/plain")]
    assert [(told.done, told.total, told.unit) for told in command.told if told] == [(1, 2, "words")]


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [(b"crash", "crash", "it fell over"), (b"failed", "malformed", "as it says"), (b"nonsense", "crash", "no sense"), (b"no json", "crash", "no JSON")],
)
def test_a_command_that_fails_fails_its_source_alone(command, body, code, detail):
    with pytest.raises(ProcessingFailed, match=detail) as failure:
        command.read(body, media.PLAIN)
    assert failure.value.code == code
    assert command.read(b"words", media.PLAIN).processor == "odd"


def test_what_a_command_does_not_want_goes_to_the_next(command):
    answer = command.read(b"unsupported", media.PLAIN)
    assert (answer.processor, answer.text.preview) == ("text", "unsupported")


def test_a_command_that_is_not_there_fails_the_source(tmp_path):
    with Worker(tmp_path, '[odd]\nmedia-types = ["text/*"]\ncommand = ["/no/such/command"]\n') as worker, pytest.raises(ProcessingFailed) as failure:
        worker.read(b"x", media.PLAIN)
    assert failure.value.code == "crash"
    assert "No such file" in failure.value.detail


# ------------------------------------------------------------------------------------------------ an endpoint


@pytest.fixture
def endpoint():
    with Endpoint() as found:
        yield found


@pytest.fixture
def remote(tmp_path, endpoint):
    with Worker(tmp_path, f'[far]\nmedia-types = ["text/*"]\nurl = "{endpoint.address}"\n') as worker:
        yield worker


def test_an_endpoint_reads(remote, endpoint):
    picture = b"RIFF\0\0\0\0WEBP"
    endpoint.reply = {
        "extracted": {"pages": 2, "language": "en"}, "warnings": [{"code": "odd", "message": "said"}],
        "files": {"text.txt": "far words", "pages.jsonl": '{"page": 1}\n', "thumbnail.webp": base64.b64encode(picture).decode(), "../passwd": "x"},
    }  # fmt: skip
    answer = remote.read(bytes(range(256)) * 10_000, media.PLAIN, options={"tone": "loud"})
    assert (answer.processor, answer.extracted.pages, answer.extracted.language, answer.text.preview) == ("far", 2, "en", "far words")
    assert answer.files == ["text.txt", "pages.jsonl", "thumbnail.webp"]
    assert (remote.made / "thumbnail.webp").read_bytes() == picture
    assert [(warning.code, warning.message) for warning in answer.warnings] == [("odd", "said")]
    assert endpoint.asked["file"] == bytes(range(256)) * 10_000
    asked = json.loads(endpoint.asked["request"])
    assert (asked["schema"], asked["media_type"], asked["filename"], asked["options"]) == (1, media.PLAIN, "a.odd", {"tone": "loud"})
    assert not any(str(remote.made.parent) in str(value) for value in asked.values()), "no path of ours"


@pytest.mark.parametrize(
    ("status", "reply", "code"),
    [
        (500, {}, "crash"),
        (404, {}, "crash"),
        (200, b"<html>", "crash"),
        (200, [], "crash"),
        (200, {}, "crash"),
        (200, {"extracted": {}, "files": {"text.txt": 1}}, "crash"),
        (200, {"failed": {"code": "encrypted"}}, "encrypted"),
        (200, {"failed": {"code": "of tomorrow"}}, "crash"),
    ],
)
def test_an_endpoint_that_fails_fails_its_source_alone(remote, endpoint, status, reply, code):
    endpoint.status, endpoint.reply = status, reply
    with pytest.raises(ProcessingFailed) as failure:
        remote.read(b"x", media.PLAIN)
    assert failure.value.code == code


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_endpoint_that_is_away_for_now_is_no_fault_of_the_source(remote, endpoint, status):
    endpoint.status = status
    with pytest.raises(Unavailable, match=str(status)):
        remote.read(b"x", media.PLAIN)


def test_nobody_at_the_other_end_is_no_fault_of_the_source(tmp_path):
    with Endpoint() as gone:
        url = gone.address
    with Worker(tmp_path, f'[far]\nmedia-types = ["text/*"]\nurl = "{url}"\n') as worker, pytest.raises(Unavailable):
        worker.read(b"x", media.PLAIN)


def test_an_endpoint_that_does_not_answer_is_a_timeout(remote, endpoint):
    endpoint.let_go.clear()
    with pytest.raises(ProcessingFailed) as failure:
        remote.read(b"x", media.PLAIN, limits=Limits(wall_seconds=0.5))
    assert failure.value.code == "timeout"


def test_what_an_endpoint_does_not_want_goes_to_the_next_which_has_no_network(remote, endpoint):
    endpoint.reply = {"unsupported": True}
    assert remote.read(b"words", media.PLAIN).processor == "text"
