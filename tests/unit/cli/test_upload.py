import json

import pytest
from rich.console import Console

from app.cli import feed
from app.cli.bars import Bar, bars


def failure(source):
    return {"result": "Error", "error": "File is empty", "code": "empty", "source-uuid": source, "status": "failure", "attempt": 1}


@pytest.fixture
def report(tmp_path):
    file = tmp_path / "report.pdf"
    file.write_bytes(b"%PDF-" + b"x" * 200_000)
    return file


def test_a_file_is_sent_whole_and_its_result_is_told(fake, run, report):
    done = run("upload", str(report))
    assert done.exit_code == 0, done.output
    (sent,) = fake.uploads
    assert sent["file"] == ("report.pdf", report.read_bytes())
    assert sent["filename"] == "report.pdf"
    assert fake.registered == [{"ws-uuid": sent["ws-uuid"], "keep-open": True}]
    assert (fake.headers["x-api-key"], fake.headers["x-user-id"]) == ("hr_k", "anna")
    (line,) = done.stdout.splitlines()
    assert line.startswith("report.pdf  ━━━━━━━━━━━━━━━━━━━━  100 %  receive  ")
    assert line.endswith(" s  12 pages, 5,204 words")


def test_a_url_is_sent_as_content(fake, run):
    assert run("upload", "https://a.example/x.pdf").exit_code == 0
    assert fake.uploads[0]["content"] == "https://a.example/x.pdf"
    assert "file" not in fake.uploads[0]


def test_any_failure_makes_the_exit_code_1(fake, run, report, tmp_path):
    (tmp_path / "empty.txt").touch()
    fake.story = lambda source: [failure(source) if fake.uploads[-1]["filename"] == "empty.txt" else {"source-uuid": source, "status": "success", "result": {}}]
    done = run("upload", str(report), str(tmp_path / "empty.txt"))
    assert done.exit_code == 1
    assert "failed: File is empty (empty)" in done.stdout


def test_many_files_go_over_one_channel_four_at_once(fake, run, tmp_path):
    files = [tmp_path / f"{number}.txt" for number in range(12)]
    for file in files:
        file.write_text(file.name)
    assert run("upload", *map(str, files)).exit_code == 0
    assert sorted(sent["filename"] for sent in fake.uploads) == sorted(file.name for file in files)
    assert len({sent["ws-uuid"] for sent in fake.uploads}) == len(fake.registered) == 1
    assert len({sent["source-uuid"] for sent in fake.uploads}) == 12
    assert fake.most_at_once <= 4


def test_json_prints_the_messages_and_nothing_else(fake, run, report):
    fake.story = lambda source: [{"step": "Hello", "source-uuid": source, "status": 200}, {"source-uuid": source, "status": "success", "result": {}}]
    done = run("upload", "--json", str(report))
    assert [json.loads(line).get("status") for line in done.stdout.splitlines()] == [200, "success"]
    assert done.stderr == ""


def test_a_refusal_is_said_without_what_steers_the_terminal(fake, run, report):
    fake.answers = [409]
    done = run("upload", str(report))
    assert done.exit_code == 1
    assert "409 conflict: other bytes [2J" in done.stdout


def test_503_and_429_are_tried_again_under_the_same_id(fake, run, report):
    fake.answers = [503, 429]
    assert run("upload", str(report)).exit_code == 0
    assert len(fake.uploads) == 3
    assert len({sent["source-uuid"] for sent in fake.uploads}) == 1
    assert all(sent["file"][1] == report.read_bytes() for sent in fake.uploads)


def test_a_dropped_socket_is_joined_again_without_repeat(fake, run, report, monkeypatch):
    monkeypatch.setattr(feed, "_PAUSE_SECONDS", 0.01)
    fake.story = lambda source: [
        {"event-id": "e:1", "source-uuid": source, "status": 200},
        {"event-id": "e:2", "source-uuid": source, "status": "processing", "progress": 10, "attempt": 1},
        None,
        {"event-id": "e:3", "source-uuid": source, "status": "success", "result": {}},
    ]
    done = run("upload", "--json", str(report))
    assert fake.sockets == 2
    assert [json.loads(line).get("event-id") for line in done.stdout.splitlines() if "event-id" in line] == ["e:1", "e:2", "e:3"]


def test_when_history_was_lost_the_source_itself_is_asked(fake, run, report):
    def story(source):
        fake.sources[source] = {"source-uuid": source, "state": "failed", "code": "crash"}
        return [{"recovered": False}]

    fake.story = story
    done = run("upload", str(report))
    assert done.exit_code == 1
    assert "(crash)" in done.stdout


def test_the_story_of_a_lost_worker_is_shown(fake, run, report):
    fake.story = lambda source: [
        {"source-uuid": source, "status": "processing", "stage": "sniff", "progress": 34, "attempt": 1},
        {"source-uuid": source, "status": "processing", "stage": "extract", "progress": 60, "attempt": 2},
        {"source-uuid": source, "status": "success", "result": {"pages": 1}, "attempt": 2},
    ]
    assert "worker lost · attempt 2 extract" in run("upload", str(report)).stdout


def test_a_server_that_closes_early_is_no_success(fake, run, report):
    fake.story = lambda source: ["close"]
    done = run("upload", str(report))
    assert done.exit_code == 1
    assert "closed the socket before the end" in done.stdout


@pytest.mark.parametrize("target", ["absent.pdf", "."])
def test_what_is_not_a_file_is_said_before_anything_is_sent(fake, run, report, target):
    done = run("upload", str(report), target)
    assert done.exit_code == 1
    assert done.stderr == f"headrace: {target} is not a file\n"
    assert fake.registered == []


def test_nobody_there_is_one_line(run, report, monkeypatch):
    done = run("upload", str(report), "--url", "http://127.0.0.1:1", "--key", "k")
    assert done.exit_code == 1
    assert done.stderr.startswith("headrace: http://127.0.0.1:1: ")
    assert done.stderr.count("\n") == 1


def test_messages_that_overtake_the_answer_are_not_undone_by_it():
    with bars(Console(quiet=True)) as progress:
        bar = Bar(progress, "x")
        bar.take({"stage": "sniff", "progress": 34, "attempt": 2})
        bar.received()
        assert progress.tasks[0].completed == 34
        assert progress.tasks[0].fields["said"] == "worker lost · attempt 2 sniff"


def test_a_roll_up_of_the_channel_and_receipts_disturb_no_bar(fake, run, report):
    fake.story = lambda source: [
        {"event": "source.receiving", "source-uuid": source, "stage": "receive", "received": 9, "size": 10, "stage-progress": 90},
        {"event": "batch", "event-id": "e:1", "done": 1, "failed": 0, "total": 2, "percent": 50},
        {"event": "source.succeeded", "event-id": "e:2", "source-uuid": source, "status": "success", "result": {}},
    ]
    done = run("upload", str(report))
    assert done.exit_code == 0, done.output
    (line,) = done.stdout.splitlines()
    assert line.startswith("report.pdf  ━━━━━━━━━━━━━━━━━━━━  100 %  receive  ")


def test_a_bar_shows_what_the_server_has_once_it_says_so_and_begins_anew_with_another_try():
    with bars(Console(quiet=True)) as progress:
        bar = Bar(progress, "a.txt")

        def shown():
            (task,) = progress.tasks
            return task.completed, task.fields["said"]

        bar.begin()
        bar.sent(90, 100)
        assert shown() == (90, "sending")
        bar.receiving({"stage-progress": 20})
        bar.sent(95, 100)
        assert shown() == (20, "receive")
        bar.receiving({"received": 10})
        assert shown() == (20, "receive"), "a length that the server does not know moves nothing"
        bar.begin()
        bar.sent(5, 100)
        assert shown() == (5, "sending")
        bar.received()
        bar.receiving({"stage-progress": 99})
        assert shown() == (0, "receive"), "one that comes late"
