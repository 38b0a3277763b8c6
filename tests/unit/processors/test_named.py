import pytest

from worker.processors import named
from worker.processors.command import CommandProcessor
from worker.processors.endpoint import EndpointProcessor


def read(tmp_path, text):
    (tmp_path / "named.toml").write_text(text)
    return named.read(tmp_path / "named.toml")


def test_commands_and_endpoints_are_read_in_the_order_of_the_file(tmp_path):
    text = '[b]\nmedia-types = ["a/*"]\ncommand = ["x", "-y"]\n[a]\nmedia-types = ["b/c"]\nurl = "https://h/p"\npriority = -1\nversion = "2"\n'
    assert read(tmp_path, text) == [CommandProcessor("b", "1", ("a/*",), 10, ("x", "-y")), EndpointProcessor("a", "2", ("b/c",), -1, "https://h/p")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[a", "Expected"),
        ("[a]\n", "a.media-types: Field required"),
        ('[a]\nmedia-types = []\ncommand = ["x"]', "media-types"),
        ('[a]\nmedia-types = ["x/y"]\n', "either command or url"),
        ('[a]\nmedia-types = ["x/y"]\ncommand = ["x"]\nurl = "http://h"\n', "either command or url"),
        ('[a]\nmedia-types = ["x/y"]\nurl = "file:///etc/passwd"\n', "http"),
        ('[a]\nmedia-types = ["x/y"]\ncommand = ["x"]\ncolour = 1\n', "colour"),
        ('["A b"]\nmedia-types = ["x/y"]\ncommand = ["x"]\n', "no name"),
    ],
)
def test_what_is_wrong_with_the_file_is_said(tmp_path, text, says):
    with pytest.raises(ValueError, match=says):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        named.read(tmp_path / "absent.toml")
