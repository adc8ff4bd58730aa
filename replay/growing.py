"""A log that still grows: what has come of it is kept in a file, and its whole lines are given as they come.

Why a copy: a log is read more than once (survey.py), a pipe can be read but once, and a file may be cut short or go on
behind the end of what was followed. The replay of the copy is that of a log that ended there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO

from mmlist.replay.container import unpacking
from mmlist.replay.converted import tool_for
from mmlist.replay.errors import InputError
from mmlist.replay.log import BLOCK, LONGEST, Block, Log

TICK = None
"""Among the pieces of a source: a moment has gone by."""

_HEAD = 4096
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")


class Packed(InputError):
    """A log that is packed in something: it is not to be followed."""


class Kept:
    """What a source has said so far, in `file`. `whole`: bytes up to the end of the last whole line, `size`: all.

    `ended`: there comes no more. `idle`: nothing came since the last tick.
    """

    def __init__(self, name: str, source: Iterator[bytes | None], file: IO[bytes]) -> None:
        """`source` gives bytes as they come and `TICK`s between them; it ends where the log does. `file` is empty."""
        self.name = name
        self.file = file
        self.size = self.whole = 0
        self.ended = self.idle = False
        self._source = source
        self._head = b""

    def pull(self) -> bytes | None:
        """Take one piece of the source: the bytes, `TICK`, or b"" where it has ended.

        Raises Packed if the log is packed in something.
        """
        piece = next(self._source, b"")
        self.idle = piece is TICK
        if piece is TICK:
            return TICK
        if not piece:
            self.ended = True
            self._refuse()
            return b""
        if len(self._head) < _HEAD:
            self._head += piece[: _HEAD - len(self._head)]
            if len(self._head) >= _HEAD or b"\n" in piece:
                self._refuse()
        self.file.seek(0, 2)
        self.file.write(piece)
        self.file.flush()
        if cut := piece.rfind(b"\n") + 1:
            self.whole = self.size + cut
        self.size += len(piece)
        return piece

    def at(self, offset: int) -> bytes:
        """Whole lines from `offset` on, a block at most, unless a single line is longer; b"" where there is none yet."""
        self.file.seek(offset)
        data = self.file.read(min(BLOCK, self.whole - offset))
        while data and not data.endswith(b"\n"):
            if cut := data.rfind(b"\n") + 1:
                return data[:cut]
            data += self.file.read(min(BLOCK, self.whole - offset - len(data)))
        return data

    def _refuse(self) -> None:
        head = self._head
        packed = head.startswith(_PACKED) or head[257:262] == b"ustar" or tool_for(head) is not None
        if packed or unpacking(head) is not None:
            raise Packed("is packed, which cannot be followed", file=self.name, expected="the text of a trace")


class Growing(Log):
    """The log of what is kept. At first its blocks are those that are there; once it is `live`, they go on as it grows."""

    def __init__(self, kept: Kept, more: Callable[[], bool]) -> None:
        """`more` waits for what comes next: False where the log has ended. Raises InputError for what is no log."""
        self.live = False
        self._kept = kept
        self._more = more
        super().__init__(kept.name, kept.file.name)

    def blocks(self) -> Iterator[Block]:
        """As Log.blocks; a live log has a block without data, too, wherever nothing came for a tick."""
        line, offset = 1, 0
        until = self._kept.whole
        while True:
            if (self.live or offset < until) and (data := self._kept.at(offset)):
                overlong = len(data) - 1 if len(data) > LONGEST and data.count(b"\n") == 1 else 0
                yield Block(line, offset, data[:1024] + b"\n" if overlong else data, overlong)
                line += data.count(b"\n")
                offset += len(data)
            elif not self.live:
                return
            else:
                if self._kept.idle:
                    yield Block(line, offset, b"")
                if not self._more():
                    return
