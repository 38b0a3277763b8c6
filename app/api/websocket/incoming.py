"""What a client sends, read by wsproto. It lives while something is unfinished: an idle socket has none."""

from __future__ import annotations

from collections.abc import Iterator

from wsproto.frame_protocol import CloseReason, FrameProtocol, Opcode, ParseFailed


class _Frames(FrameProtocol):
    @property
    def is_idle(self) -> bool:
        """Neither a frame nor a message is unfinished, so nothing would be lost with this object."""
        reading = self._frame_decoder
        return reading.header is None and not len(reading.buffer) and self._message_decoder.opcode is None


class Incoming:
    __slots__ = ("_frames", "_max_bytes", "_parts", "_size")

    def __init__(self, max_bytes: int) -> None:
        self._frames = _Frames(client=False, extensions=[])
        self._max_bytes = max_bytes
        self._parts: list[str] | list[bytes] = []
        self._size = 0

    @property
    def is_idle(self) -> bool:
        return self._frames.is_idle

    def receive(self, data: bytes, *, keep: bool) -> Iterator[tuple[Opcode, str | bytes | int | None]]:
        """Yields what is whole: TEXT and BINARY with the message, PING and PONG with the payload, CLOSE with the code (None: it had none).

        Without `keep` messages are checked and dropped, and only their size is known meanwhile. Nothing comes after a CLOSE. Raises
        ParseFailed with the close code that the RFC wants: 1002, 1007, and 1009 for a message over the bound.
        """
        self._frames.receive_bytes(data)
        for opcode, payload, _, is_whole in self._frames.received_frames():
            if opcode is Opcode.CLOSE:
                code = int(payload[0])
                yield opcode, None if code == CloseReason.NO_STATUS_RCVD else code
            elif opcode.iscontrol():
                yield opcode, bytes(payload)  # type: ignore[arg-type]  # bytes, on a control frame other than CLOSE
            else:
                self._add(payload, keep=keep)  # type: ignore[arg-type]  # str or bytes, on a frame of data
                if is_whole:
                    message = ("" if opcode is Opcode.TEXT else b"").join(self._parts)  # type: ignore[arg-type]  # one kind in one message
                    self._parts, self._size = [], 0
                    if keep:
                        yield opcode, message

    def _add(self, part: str | bytes, *, keep: bool) -> None:
        self._size += len(part.encode() if isinstance(part, str) else part)
        if self._size > self._max_bytes:
            raise ParseFailed(f"the message has more than {self._max_bytes} bytes", CloseReason.MESSAGE_TOO_BIG)
        if keep and part:
            self._parts.append(part)  # type: ignore[arg-type]  # one kind in one message
