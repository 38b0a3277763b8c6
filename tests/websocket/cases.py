"""What the cases of sections 1 to 7 and 10 send. Numbers and payloads are those of the published suite."""

from __future__ import annotations

from collections.abc import Iterator

from tests.websocket import utf8
from tests.websocket.case import Case, Part, chopped, one_by_one, together
from tests.websocket.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, closing

HELLO, WORLD = Frame(TEXT, b"Hello, world!"), Frame(TEXT, b"Hello World!")
BYTES = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
SIZES = (0, 125, 126, 127, 128, 65535, 65536)
CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
BAD_CODES = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)
WAYS = (together, one_by_one, chopped)


def number(prefix: str, sent: Iterator[Part] | list[Part]) -> Iterator[Case]:
    yield from (Case(f"{prefix}.{index}", [part]) for index, part in enumerate(sent, start=1))


def fragments(*payloads: bytes, opcode: int = TEXT) -> list[Frame]:
    """One message, a frame for each payload."""
    last = len(payloads) - 1
    return [Frame(CONTINUATION if index else opcode, payload, final=index == last) for index, payload in enumerate(payloads)]


def framing() -> Iterator[Case]:
    for section, opcode, byte in (("1.1", TEXT, b"*"), ("1.2", BINARY, b"\xfe")):
        messages = [Frame(opcode, byte * size) for size in SIZES]
        yield from number(section, [*map(together, messages), chopped(messages[-1], size=997)])


def pings() -> Iterator[Case]:
    full = Frame(PING, b"\xfe" * 125)
    unasked = Frame(PONG, b"unsolicited pong payload")
    ten = [Frame(PING, b"payload-%d" % index) for index in range(10)]
    yield from number("2", [
        together(Frame(PING)), together(Frame(PING, b"Hello, world!")), together(Frame(PING, BYTES)), together(full),
        together(Frame(PING, b"\xfe" * 126)), chopped(full), together(Frame(PONG), closing(1000)), together(unasked, closing(1000)),
        together(unasked, Frame(PING, b"ping payload")), together(*ten), chopped(*ten),
    ])  # fmt: skip


def reserved_bits() -> Iterator[Case]:
    set_to = [Frame(TEXT, HELLO.payload, reserved=bits) for bits in range(7)]
    yield from number("3", [
        together(set_to[1]), *(send(HELLO, set_to[bits], Frame(PING)) for bits, send in enumerate(WAYS, start=2)),
        together(Frame(BINARY, BYTES, reserved=5)), together(Frame(BINARY, HELLO.payload, reserved=6)), together(Frame(CLOSE, reserved=7)),
    ])  # fmt: skip


def opcodes() -> Iterator[Case]:
    for section, first in (("4.1", 3), ("4.2", 11)):
        empty, long, third, fourth, fifth = (
            Frame(first + index, payload) for index, payload in enumerate((b"", b"reserved opcode payload", b"", HELLO.payload, HELLO.payload))
        )
        yield from number(section, [
            together(empty), together(long), together(HELLO, third, Frame(PING)), together(HELLO, fourth, Frame(PING)), chopped(HELLO, fifth, Frame(PING)),
        ])  # fmt: skip


def fragmentation() -> Iterator[Case]:
    names = [b"fragment%d" % index for index in range(1, 6)]
    two = fragments(*names[:2])
    with_ping = [two[0], Frame(PING, b"ping payload"), two[1]]
    lonely = [Frame(CONTINUATION, b"non-continuation payload", final=final) for final in (True, False)]
    astray = [[Frame(CONTINUATION, names[0], final=final), *fragments(*names[1:3])] * 2 for final in (False, True)]
    yield from number("5", [
        together(*fragments(*names[:2], opcode=PING)), together(*fragments(*names[:2], opcode=PONG)),
        *(send(*two) for send in WAYS), *(send(*with_ping) for send in WAYS),
        *(send(frame, HELLO) for frame in lonely for send in WAYS),
        together(*two, Frame(CONTINUATION, names[2], final=False), Frame(TEXT, names[3])),
        *(together(*frames) for frames in astray),
        together(Frame(TEXT, names[0], final=False), Frame(TEXT, names[1])),
    ])  # fmt: skip
    one, *more, last = fragments(*names)
    ping, again = Frame(PING, b"pongme 1!"), Frame(PING, b"pongme 2!")
    for name, send in (("5.19", together), ("5.20", one_by_one)):
        yield Case(name, [send(one, more[0], ping), send(more[1], more[2], again, last)])


def closes() -> Iterator[Case]:
    normal, begun, rest = closing(1000), *fragments(b"fragment1", b"fragment2")
    yield from number("7.1", [
        together(WORLD), together(normal, closing()), together(normal, Frame(PING)), together(normal, WORLD), together(begun, normal, rest),
        together(Frame(TEXT, (b"BAsd7&jh23" * 26215)[: 1 << 18]), WORLD, normal, Frame(PING)),
    ])  # fmt: skip
    yield from number("7.3", [
        together(closing()), together(Frame(CLOSE, b"a")), together(normal), *(together(closing(1000, reason)) for reason in (b"Hello World!", b"*" * 123, b"*" * 124)),
    ])  # fmt: skip
    yield from number("7.5", [together(closing(1000, utf8.BROKEN))])
    for section, codes in (("7.7", CODES), ("7.9", BAD_CODES), ("7.13", (5000, 65535))):
        yield from number(section, [together(closing(code)) for code in codes])


def auto_fragmentation() -> Iterator[Case]:
    whole = b"*" * 65536
    yield Case("10.1.1", [together(*fragments(*(whole[at : at + 1300] for at in range(0, len(whole), 1300))))])


def text() -> Iterator[Case]:
    for section, payloads in utf8.FRAGMENTED.items():
        yield from number(section, [together(*fragments(*pieces)) for pieces in payloads])
    for index, (head, middle, tail) in enumerate(utf8.FAIL_FAST, start=1):
        yield Case(f"6.4.{index}", [together(frame) for frame in fragments(head, middle, tail)])
    for index, pieces in enumerate(utf8.FAIL_FAST, start=3):
        begun, end = (frame.masked() for frame in fragments(b"".join(pieces), b""))
        first, second = len(begun) - len(b"".join(pieces[1:])), len(begun) - len(pieces[2])
        yield Case(f"6.4.{index}", [[begun[:first]], [begun[first:second]], [begun[second:] + end]])
    for section, payloads in utf8.WHOLE.items():
        yield from number(section, [together(Frame(TEXT, payload)) for payload in payloads])


CASES = [case for section in (framing, pings, reserved_bits, opcodes, fragmentation, text, closes, auto_fragmentation) for case in section()]
