import stat

import pytest

from app.cli import stack
from devstack.datadir import DataDir, Refused


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_second_stack_on_the_same_data_is_refused_in_one_line(tmp_path):
    with DataDir(tmp_path / "data") as data:
        stack.write(data.path, stack.Stack("http://127.0.0.1:1", "k", pid=42))
        with pytest.raises(Refused, match=r"^HEADRACE_DATA_DIR: another stack runs on .*data \(process 42, http://127.0.0.1:1\)[^\n]*$"):
            DataDir(tmp_path / "data")
    with DataDir(tmp_path / "data"):
        pass


def test_a_secret_is_made_once_and_kept_for_its_owner_only(tmp_path):
    with DataDir(tmp_path / "data") as data:
        assert data.kept("dev_key", lambda: "first") == "first"
        assert data.kept("dev_key", lambda: "second") == "first"
        assert mode(data.path) == 0o700
        assert mode(data.path / "secrets") == 0o700
        assert mode(data.path / "secrets" / "dev_key") == 0o600
    with DataDir(tmp_path / "data") as again:
        assert again.kept("dev_key", lambda: "third") == "first"


def test_somebody_elses_folder_is_refused_and_left_as_it_was(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "letter").touch()
    with pytest.raises(Refused, match="is not empty, and no data folder"):
        DataDir(tmp_path)
    assert mode(tmp_path) == 0o755
    assert [file.name for file in tmp_path.iterdir()] == ["letter"]


def test_a_folder_that_cannot_be_is_refused_by_name(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Refused, match="HEADRACE_DATA_DIR: .*file"):
        DataDir(tmp_path / "file" / "data")


def test_a_log_is_fresh_and_the_former_one_is_kept(tmp_path):
    with DataDir(tmp_path / "data") as data:
        data.log("api1").write_text("before")
        assert not data.log("api1").exists()
        assert (data.path / "logs" / "api1.log.1").read_text() == "before"
