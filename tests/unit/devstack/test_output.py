import pytest

from devstack.output import Output, to_terminal


@pytest.fixture
def shown():
    return []


@pytest.fixture
def output(tmp_path, shown):
    made = Output("api1", tmp_path / "api1.log", lambda name, line: shown.append((name, line)))
    made.release()
    yield made
    made.close()


def test_everything_goes_to_the_log_and_only_warnings_and_errors_to_the_terminal(output, shown, tmp_path):
    output.feed(b'INFO all is well\n[2026-01-01: WARNING/MainProcess] look out\n{"level": "error", "event": "broken"}\nno errors here\n')
    assert shown == [("api1", "[2026-01-01: WARNING/MainProcess] look out"), ("api1", '{"level": "error", "event": "broken"}')]
    assert (tmp_path / "api1.log").read_text().count("\n") == 4


def test_a_traceback_is_shown_to_its_last_line(output, shown):
    output.feed(b"Traceback (most recent call last):\n  File x\n    boom()\nKeyError: 'k'\nINFO next\n")
    assert [line for _, line in shown] == ["Traceback (most recent call last):", "  File x", "    boom()", "KeyError: 'k'"]


def test_a_line_that_comes_in_pieces_is_one_line(output, shown):
    for piece in (b"ERR", b"OR half", b" and half\nERROR wi", b"thout newline"):
        output.feed(piece)
    output.end()
    assert [line for _, line in shown] == ["ERROR half and half", "ERROR without newline"]


def test_an_endless_line_is_cut_and_not_held(output, tmp_path):
    for _ in range(10):
        output.feed(b"x" * 60_000)
    assert (tmp_path / "api1.log").stat().st_size >= 9 * 60_000


def test_the_ready_line_is_told_and_not_shown(output, shown):
    assert not output.feed(b"WARNING not yet\n", "worker ready: ")
    assert output.feed(b"WARNING worker ready: one\nINFO more\n", "worker ready: ")
    assert [line for _, line in shown] == ["WARNING not yet"]


def test_before_it_is_ready_nothing_is_shown_and_then_all_that_was_held(tmp_path, shown):
    starting = Output("api1", tmp_path / "log", lambda name, line: shown.append(line))
    starting.feed(b"WARNING early\nINFO nothing\n")
    assert shown == []
    assert list(starting.tail) == ["WARNING early", "INFO nothing"]
    starting.release()
    starting.feed(b"WARNING late\n")
    starting.close()
    assert shown == ["WARNING early", "WARNING late"]


def test_a_quiet_process_shows_nothing(tmp_path, shown):
    quiet = Output("redis", tmp_path / "redis.log", lambda name, line: shown.append(line), quiet=True)
    quiet.release()
    quiet.feed(b"WARNING overcommit\n")
    quiet.close()
    assert shown == []
    assert "overcommit" in (tmp_path / "redis.log").read_text()


def test_bytes_that_steer_a_terminal_do_not_reach_it(capsys):
    to_terminal("api1", "ERROR file \x1b[2Jgone\r.pdf")
    assert capsys.readouterr().out == "api1       | ERROR file  [2Jgone .pdf\n"
