import hashlib
import hmac
import os

import pytest

from app.adapters.api_keys import ApiKeys, BadKeys, hash_key, parse
from app.domain.identity import ApiKey, Scope

NEW, OLD = "n" * 32, "o" * 32


def line(organisation, key, pepper=NEW):
    return f"{organisation}:{hash_key(key, pepper)}"


def test_the_hash_is_hmac_sha256_in_hex():
    assert hash_key("hr_ä", NEW) == hmac.new(NEW.encode(), "hr_ä".encode(), hashlib.sha256).hexdigest()


def test_a_key_names_its_organisation_and_any_other_none():
    keys = ApiKeys(lines=f"{line('acme', 'hr_a')},{line('other', 'hr_b')}", peppers=[NEW])
    assert keys.find("hr_a") == ApiKey("acme")
    assert keys.find("hr_b") == ApiKey("other")
    for wrong in ("", "hr_c", "hr_a ", hash_key("hr_a", NEW), "\udc80", "ä"):
        assert keys.find(wrong) is None


def test_one_organisation_may_have_several_keys():
    keys = ApiKeys(lines="\n".join([line("acme", "hr_a"), line("acme", "hr_b")]), peppers=[NEW])
    assert keys.find("hr_a") == keys.find("hr_b") == ApiKey("acme")


def test_keys_of_the_previous_secret_are_known_and_of_an_older_one_not():
    keys = ApiKeys(lines=f"{line('acme', 'hr_a', OLD)}\n{line('gone', 'hr_b', 'x' * 32)}", peppers=[NEW, OLD])
    assert keys.find("hr_a") == ApiKey("acme")
    assert keys.find("hr_b") is None


def test_the_development_key_is_of_organisation_dev():
    assert ApiKeys(dev_key="hr_dev_x", peppers=[NEW]).find("hr_dev_x") == ApiKey("dev")
    assert ApiKeys(dev_key="", peppers=[NEW]).find("") is None


def test_a_changed_file_is_read_again(tmp_path):
    file = tmp_path / "keys"
    file.write_text(line("acme", "hr_a"))
    keys = ApiKeys(file=file, peppers=[NEW])
    assert keys.find("hr_a") == ApiKey("acme")
    file.write_text("# acme has left\n" + line("other", "hr_b"))
    os.utime(file, (1, 1))
    assert keys.find("hr_a") is None
    assert keys.find("hr_b") == ApiKey("other")


def test_an_unchanged_file_is_not_read_again(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text(line("acme", "hr_a"))
    keys = ApiKeys(file=file, peppers=[NEW])
    monkeypatch.setattr("app.adapters.api_keys.parse", lambda text: pytest.fail("read again"))
    assert keys.find("hr_a") == ApiKey("acme")


@pytest.mark.parametrize(
    "spoil",
    [lambda file: file.unlink(), lambda file: file.write_text("acme:nonsense"), lambda file: file.write_bytes(b"\xff")],
    ids=["gone", "nonsense", "no text"],
)
def test_a_file_that_goes_bad_leaves_the_keys_and_is_said_once(tmp_path, caplog, spoil):
    file = tmp_path / "keys"
    file.write_text(line("acme", "hr_a"))
    keys = ApiKeys(file=file, peppers=[NEW])
    spoil(file)
    assert keys.find("hr_a") == ApiKey("acme")
    assert keys.find("hr_a") == ApiKey("acme")
    assert len(caplog.records) == 1
    file.write_text(line("acme", "hr_new"))
    assert keys.find("hr_new") == ApiKey("acme")


def test_a_bad_file_at_the_start_is_refused(tmp_path):
    with pytest.raises(OSError):
        ApiKeys(file=tmp_path / "absent", peppers=[NEW])


def test_without_a_secret_nothing_can_be_hashed():
    with pytest.raises(BadKeys):
        ApiKeys(lines="", peppers=[])


def test_comments_and_empty_lines_are_skipped():
    assert parse(f"# keys\n\n  {line('acme', 'hr_a')}  # the first\n,\n") == {hash_key("hr_a", NEW): ApiKey("acme")}


@pytest.mark.parametrize("text", ["acme", "acme:", ":" + "0" * 64, "acme:" + "0" * 63, "acme:" + "G" * 64, "a\0b:" + "0" * 64, "acme " + "0" * 64])
def test_a_line_that_is_none_is_named_by_its_number_and_not_repeated(text):
    with pytest.raises(BadKeys, match="line 2: expected organisation:hash") as caught:
        parse("# first\n" + text)
    assert "acme" not in str(caught.value)


def test_one_key_of_two_organisations_is_refused():
    with pytest.raises(BadKeys, match="line 2"):
        parse(f"{line('acme', 'hr_a')}\n{line('other', 'hr_a')}")


def test_a_key_may_be_for_some_scopes_alone():
    found = parse(line("acme", "hr_a") + ":upload+read")
    assert found == {hash_key("hr_a", NEW): ApiKey("acme", frozenset({Scope.UPLOAD, Scope.READ}))}


@pytest.mark.parametrize("scopes", ["fly", "upload+", "+", "upload+fly"])
def test_scopes_that_are_none_are_refused(scopes):
    with pytest.raises(BadKeys, match="line 1: scopes are upload"):
        parse(f"{line('acme', 'hr_a')}:{scopes}")


def test_one_key_with_two_lists_of_scopes_is_refused():
    with pytest.raises(BadKeys, match="line 2"):
        parse(f"{line('acme', 'hr_a')}\n{line('acme', 'hr_a')}:read")
