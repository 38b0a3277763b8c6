import pytest

from app.services.mailbox import Closed, Mailbox

pytestmark = pytest.mark.anyio


async def taken(mailbox):
    return [message async for message in mailbox.taken()]


async def test_what_waits_is_taken_before_the_end():
    mailbox = Mailbox()
    assert [mailbox.send(body) for body in (b"1", b"2")] == [True, True]
    mailbox.close(1000)
    mailbox.close(1011)
    assert await taken(mailbox) == [b"1", b"2"]


@pytest.mark.parametrize("code", [1011, 1012, 1013])
async def test_who_takes_is_told_that_it_was_closed_before_all_was_told(code):
    mailbox = Mailbox()
    mailbox.send(b"1")
    mailbox.close(code)
    mailbox.close(1000)
    heard = []
    with pytest.raises(Closed) as closed:
        async for message in mailbox.taken():
            heard.append(message)
    assert (heard, closed.value.code) == ([b"1"], code)


async def test_what_is_closed_takes_nothing_more():
    mailbox = Mailbox()
    mailbox.close(1000)
    assert (mailbox.send(b"1"), await taken(mailbox)) == (False, [])


async def test_what_failed_is_raised_after_what_waits():
    mailbox = Mailbox()
    mailbox.send(b"1")
    mailbox.fail(ZeroDivisionError())
    heard = []
    with pytest.raises(ZeroDivisionError):
        async for message in mailbox.taken():
            heard.append(message)
    assert heard == [b"1"]


async def test_there_is_room_again_when_half_was_taken():
    mailbox = Mailbox()
    for _ in range(200):
        mailbox.send(b"1")
    assert mailbox.is_full
    messages = mailbox.taken()
    for _ in range(101):
        await anext(messages)
        assert not mailbox._room.is_set()
    await anext(messages)
    assert (mailbox._room.is_set(), mailbox.is_full, mailbox.waiting) == (True, False, 99)
