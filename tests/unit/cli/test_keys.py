import pytest

from app.adapters.api_keys import ApiKeys
from app.domain.identity import EVERYTHING, Scope

PEPPER = "p" * 43


@pytest.fixture
def file(folder, tmp_path):
    (folder / "secrets").mkdir()
    (folder / "secrets" / "secret_keys").write_text(PEPPER + "\n")
    return tmp_path / "keys"


def known(file, key):
    return ApiKeys(file=file, peppers=[PEPPER]).find(key)


def test_a_created_key_is_in_the_file_and_opens_what_its_scopes_say(run, file):
    everything = run("keys", "create", "acme", "--file", str(file)).stdout.splitlines()[0]
    some = run("keys", "create", "acme", "--scope", "upload", "--scope", "read", "--file", str(file)).stdout.splitlines()[0]
    assert known(file, everything).scopes == EVERYTHING
    assert known(file, some).scopes == {Scope.UPLOAD, Scope.READ}
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_stands_in_the_file_stays(run, file):
    file.write_text("# ours\nother:" + "0" * 64)
    key = run("keys", "create", "acme", "--file", str(file)).stdout.splitlines()[0]
    assert file.read_text().startswith("# ours\nother:" + "0" * 64 + "\n")
    assert known(file, key).organisation == "acme"


def test_two_keys_live_side_by_side_and_a_third_wants_one_revoked(run, file):
    first, second = (run("keys", "create", "acme", "--file", str(file)).stdout.splitlines()[0] for _ in range(2))
    refused = run("keys", "create", "acme", "--file", str(file))
    assert refused.exit_code == 1
    assert run("keys", "create", "acme", "--scope", "read", "--file", str(file)).exit_code == 0
    ids = [line.split("  ")[0] for line in run("keys", "list", "--file", str(file)).stdout.splitlines()]
    assert ids[0] in refused.stderr
    assert "acme" in run("keys", "revoke", ids[0], "--file", str(file)).stdout
    assert known(file, first) is None
    assert known(file, second) is not None
    assert run("keys", "create", "acme", "--file", str(file)).exit_code == 0


def test_revoking_leaves_the_other_keys_of_a_line_and_the_comments(run, file):
    file.write_text(f"# a\na:{'1' * 64},b:{'2' * 64}  # two\nc:{'3' * 64}\n\n# end\n")
    assert run("keys", "revoke", "2" * 8, "--file", str(file)).exit_code == 0
    assert run("keys", "revoke", "3" * 8, "--file", str(file)).exit_code == 0
    assert file.read_text() == f"# a\na:{'1' * 64}\n\n# end\n"


@pytest.mark.parametrize("name", ["", "1", "1111111", "22222222", "zzzzzzzz"])
def test_no_key_is_revoked_by_chance(run, file, name):
    text = f"a:{'1' * 64}\nb:{'1' * 8}{'2' * 56}\n"
    file.write_text(text)
    assert run("keys", "revoke", name or "x", "--file", str(file)).exit_code == 1
    assert run("keys", "revoke", "11111111", "--file", str(file)).exit_code == 1
    assert file.read_text() == text


def test_without_a_file_a_list_is_refused_and_a_new_key_is_printed(run, file):
    assert "--file" in run("keys", "list").stderr
    assert len(run("keys", "create", "acme").stdout.splitlines()) == 2


def test_the_stacks_own_file_is_found(run, folder, file):
    own = folder / "api_keys"
    own.touch()
    key = run("keys", "create", "acme").stdout.splitlines()[0]
    assert known(own, key).organisation == "acme"


def test_a_file_that_makes_no_sense_is_left_alone(run, file):
    file.write_text("nonsense\n")
    assert "line 1" in run("keys", "create", "acme", "--file", str(file)).stderr
    assert file.read_text() == "nonsense\n"
