import pytest

from tests.documents import zipped
from tests.readings import read
from worker.processors.archive import ArchiveProcessor
from worker.processors.base import Failed, Limits


def test_members_are_listed_with_their_sizes():
    found = read(ArchiveProcessor(), zipped({"a.txt": b"12345", "folder/": b"", "folder/ž.txt": b""}))
    assert found.text == "a.txt\t5\nfolder/ž.txt\t0\n"
    assert found.extracted.details == {"members": 2, "unpacked_bytes": 5}
    assert not found.warnings


@pytest.mark.parametrize("name", ["../up", "/root", "a/../../up", "C:\\x", "..\\up"])
def test_names_that_lead_out_are_said(name):
    assert read(ArchiveProcessor(), zipped({name: b"x"})).codes == ["unsafe_member"]


def test_archives_in_it_are_said_and_not_opened():
    assert read(ArchiveProcessor(), zipped({"inner.ZIP": b"no archive"})).codes == ["nested_archive"]


def test_a_password_on_a_member_is_said():
    data = bytearray(zipped({"a": b"x"}))
    data[data.index(b"PK\1\2") + 8] |= 1
    assert read(ArchiveProcessor(), bytes(data)).codes == ["encrypted"]


def test_an_empty_archive_says_so():
    assert read(ArchiveProcessor(), zipped({})).codes == ["no_text"]


def test_a_name_is_one_line():
    assert read(ArchiveProcessor(), zipped({"a\n\tb\x1b": b""})).text == "a\ufffd\ufffdb\ufffd\t0\n"


def test_a_member_may_be_without_a_name():
    found = read(ArchiveProcessor(), zipped({"a.txt": b"12345"}).replace(b"a.txt", b"\0.txt"))
    assert (found.text, found.extracted.details["members"]) == ("\t5\n", 1)


def test_the_list_is_cut_at_the_limit():
    found = read(ArchiveProcessor(), zipped({f"{n:04}": b"" for n in range(100)}), limits=Limits(text_characters=70))
    assert (len(found.text), found.codes, found.extracted.details["members"]) == (70, ["truncated"], 100)


@pytest.mark.parametrize("data", [b"PK\3\4", zipped({"a": b"x"})[:-30]], ids=["nothing follows", "without its end"])
def test_damage_is_malformed(data):
    with pytest.raises(Failed) as failure:
        read(ArchiveProcessor(), data)
    assert failure.value.code == "malformed"
