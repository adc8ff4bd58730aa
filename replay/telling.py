"""Which dialect the lines of one log are in, and what they are wrapped in: from the first line on, and wherever that changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mmlist.replay.dialect import Dialect, explain, foreign
from mmlist.replay.errors import InputError
from mmlist.replay.log import Block
from mmlist.replay.wrapping import PLAIN, Sample, tell_wrapped

_WINDOW = 8192  # bytes that are looked at, at a time
_UNTOLD = 4 * 1024 * 1024  # bytes of text in which no dialect was found, before it is no log
_PATIENT = 1000  # lines in a row of which none began another dialect
_SELDOM = 16  # after that, so many lines are one that is looked at
_BUFFERS = 64  # names of trace-cmd's buffers at most
_TITLE = b"# tracer:"


class Telling:
    """What is known of one log's language. `dialect` is None until one was found, `wrapping` that of the lines.

    `timeless`: what is printed as a time is none. `again`: a header came, and nothing behind it yet that tells.
    """

    def __init__(self, name: str, *, crlf: bool, wanted: Callable[[bytes], bool] | None) -> None:
        """`name` of the log; `wanted`: whether an event of that name is asked for, None if all are."""
        self.dialect: Dialect | None = None
        self.wrapping = PLAIN
        self.timeless = False
        self.again = False
        self.refusal: InputError | None = None
        self._name = name
        self._crlf = crlf
        self._wanted = wanted
        self._untold = 0
        self._tried = 0
        self._headers = 0
        self._wrapped_at = 0

    def first(self, block: Block) -> None:
        """Tell from the block's first lines that are no notes; mere notes tell no dialect.

        The kernel's log is searched through for a dump; any other text is no log if nothing is found for too long, which
        raises InputError; `refusal` is that error if the log ends before.
        """
        start = 0
        while start < len(block.data):
            end = block.data.find(b"\n", start + _WINDOW) + 1 or len(block.data)
            window = block.data[start:end]
            found = tell_wrapped(window, crlf=self._crlf, loose=not start and block.line == 1)
            told = found.told.dialect
            if told is not None and told.form.loose and not self._believed(told, window, found):
                told = None
            if told is not None or (found.wrapping is not PLAIN and not found.lines):
                self.wrapping = found.wrapping
                self._adopt(told, found)
                return
            if self.again or not found.lines:
                return
            self.wrapping = found.wrapping
            self._refuse(block.line + block.data.count(b"\n", 0, start), found.lines)
            start = end

    def behind_header(self, data: bytes, start: int) -> bool:
        """Whether another dialect or another wrapping begins with the header at `start`."""
        self._headers += 1
        if self._headers > _PATIENT and self._headers % _SELDOM:
            return False
        found = tell_wrapped(data[start : start + _WINDOW], crlf=self._crlf)
        told = found.told.dialect
        self.again = not found.lines
        if told is None or (told is self.dialect and found.wrapping is PLAIN):
            return False
        return self._change(found)

    def another(self, data: bytes, start: int, number: int) -> bool:
        """Whether line `number` at `start` and most of what follows is wrapped in another way, or in another dialect."""
        self._tried += 1
        if self._tried > _PATIENT and self._tried % _SELDOM:
            return False  # a log with this much junk is in one dialect, or changes it for long
        line = data[start : data.index(b"\n", start) + 1]
        alone = tell_wrapped(line, crlf=self._crlf, loose=False, apart_from=self.dialect)
        told, wrapping = alone.told.dialect, alone.wrapping
        if told is None and wrapping is PLAIN:
            return False
        if wrapping is not PLAIN and number == self._wrapped_at:
            return False  # one line changes it once, or it would peel itself off
        if self.wrapping.buffers and wrapping.buffers and told is self.dialect:
            if len(self.wrapping.buffers) >= _BUFFERS:
                return False
            self._wrapped_at = number
            self.wrapping = self.wrapping._replace(buffers=self.wrapping.buffers | wrapping.buffers)
            return True
        found = tell_wrapped(data[start : start + _WINDOW], crlf=self._crlf, loose=False)
        if found.wrapping != wrapping or (wrapping is PLAIN and found.told.dialect is not told):
            return False
        self._wrapped_at = number
        return self._change(found)

    def _change(self, found: Sample) -> bool:
        self._tried = 0
        if found.wrapping is not PLAIN:
            self.wrapping = found.wrapping
        self._adopt(found.told.dialect, found)
        return True

    def _adopt(self, told: Dialect | None, found: Sample) -> None:
        self.again = False
        if told is not None and told is not self.dialect:
            self.dialect = told
            self.timeless = told.differences([text for _, text in found.lines])

    def _believed(self, loose: Dialect, window: bytes, found: Sample) -> bool:
        """Whether a text that a loose dialect reads is a log: a tracer's header says so, or an event that is wanted."""
        if self._wanted is None or window.startswith(_TITLE):
            return True
        read = (loose.line.fullmatch(text) for _, text in found.lines)
        return any(self._wanted(one["name"]) for one in read if one is not None and one["name"] is not None)

    def _refuse(self, line: int, lines: Sequence[tuple[int, bytes]]) -> None:
        """Keep what is to be said if no dialect is found at all; say it at once if it was sought for long enough."""
        if self.refusal is None:
            texts = [text for _, text in lines]
            column, expected = explain("tracefs", texts[0], reason=False)
            message = f"no known dialect: {len(lines)} lines were tried"
            if (known := foreign(texts)) is not None:
                column, message, expected = 1, f"is {known[0]}", known[1]
            elif self.wrapping.kernel_log:
                column, message, expected = 1, "is the kernel's log", "a dump of ftrace in it (Dumping ftrace buffer:)"
            where = {"file": self._name, "line": line + lines[0][0], "column": column}
            self.refusal = InputError(message, **where, text=texts[0], expected=expected)  # type: ignore[arg-type]
        self._untold += _WINDOW
        if self._untold > _UNTOLD and not self.wrapping.kernel_log:
            raise self.refusal
