"""What a way of transport put before each line of a log: told from the lines, taken away from blocks.

A dump in dmesg has the printk stamp before it, a mail its quotes, grep the file's name, `trace-cmd report` of several
buffers the buffer's. The columns behind are told by their place, so exactly what was put there must go.
"""

from __future__ import annotations

import functools
import re
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

from mmlist import grammars
from mmlist.replay.clock import Suspect
from mmlist.replay.dialect import Dialect, Told, tell
from mmlist.replay.log import Block
from mmlist.replay.record import Loss, Record, Unparsed

LAYERS = ("quote", "grep", "syslog", "printk", "buffer")
"""The rules of wrapping.lark."""

_NEWLINE = re.compile(rb"\n")
_DEEP = 3  # layers at most: a mail's quote of journalctl's output of a dump
_SAMPLE = 64  # lines that a dialect is told from


class Wrapping(NamedTuple):
    """The layers of one log, the outermost first. `buffers`: the names of trace-cmd's buffers, padded, with their colon."""

    layers: tuple[str, ...] = ()
    buffers: frozenset[bytes] = frozenset()

    @property
    def width(self) -> int:
        """How wide a buffer's name is with colon and blank; 0 without one."""
        return max(map(len, self.buffers), default=0)

    @property
    def kernel_log(self) -> bool:
        """Whether the log is the kernel's own, in which all sorts of messages stand."""
        return "printk" in self.layers or "syslog" in self.layers

    def strip(self, data: bytes) -> bytes:
        """Lines without what was put before them; a line that has none of it stays as it is."""
        for layer in self.layers:
            data = (_named(self.buffers) if layer == "buffer" else _layer(layer)).sub(b"", data)
        return data


PLAIN = Wrapping()


class Places:
    """Where the lines of wrapped blocks begin in the log: what was read has offsets without what was wrapped."""

    def __init__(self) -> None:
        """No block was wrapped yet."""
        self.buffers: set[bytes] = set()
        """The names of trace-cmd's buffers that records stood in; b"" is the main one."""
        self._blocks: deque[tuple[Block, list[int]]] = deque(maxlen=2)  # a line may begin in the one before
        self._width = 0

    def of(self, raw: Block, width: int) -> None:
        """A block as it stands in the log is about to be unwrapped; `width` of a buffer's name in it."""
        self._width = width
        if not self._blocks or self._blocks[-1][0].line != raw.line:
            self._blocks.append((raw, [0, *(found.end() for found in _NEWLINE.finditer(raw.data))]))

    def set_right(self, out: Iterable[Record | Loss | Unparsed | Suspect]) -> None:
        """Set right the offsets of what was read of these blocks."""
        if not self._blocks:
            return
        for item in out:
            at = item.unparsed.at if isinstance(item, Suspect) else item.at
            for raw, places in self._blocks:
                if not raw.line <= at.line < raw.line + len(places) - 1:
                    continue
                start = places[at.line - raw.line]
                at.offset = raw.offset + start
                if self._width and isinstance(item, Record):
                    self.buffers.add(raw.data[start : start + self._width].strip(b": "))

    def moved(self, line: int, text: bytes) -> bool:
        """Whether the line as it stands in the log has something before `text`."""
        raw, places = self._blocks[-1]
        if not raw.line <= line < raw.line + len(places) - 1:
            return True
        return raw.data[places[line - raw.line] : places[line - raw.line + 1]].rstrip(b"\r\n") != text


class Sample(NamedTuple):
    """What a block's first lines tell: how they are `wrapped`, in which dialect, and which `lines` said so.

    `lines` are (place in the block from 0, text), without notes and blank lines.
    """

    wrapping: Wrapping
    told: Told
    lines: Sequence[tuple[int, bytes]]


def sample(data: bytes, wrapping: Wrapping, *, crlf: bool = False) -> list[tuple[int, bytes]]:
    """(place, text) of the first lines of `data` that are neither notes nor blank, as a `wrapping` leaves them."""
    notes = grammars.load("notes").pattern
    found = []
    for place, raw in enumerate(wrapping.strip(data).split(b"\n")):
        text = (raw[:-1] if crlf and raw.endswith(b"\r") else raw).lstrip(b"\0")
        if text and notes.fullmatch(text) is None:
            found.append((place, text))
            if len(found) == _SAMPLE:
                break
    return found


def tell_wrapped(data: bytes, *, crlf: bool = False, loose: bool = True, apart_from: Dialect | None = None) -> Sample:
    """How the lines of `data` are wrapped and in which dialect they are; layers that help no dialect are none.

    A block of mere notes has no dialect, nor has the kernel's log where no dump is in it, but both may be wrapped.
    Unwrapped lines of the dialect `apart_from` do not count.
    """
    best = _sampled(data, PLAIN, crlf, loose, apart_from)
    if best.told.printed * 2 > len(best.lines):
        return best
    lines = [line for line in data.split(b"\n") if line]
    for wrapping in _wrappings(data, PLAIN):
        found = _sampled(data, wrapping, crlf, loose and best.told.dialect is None and not wrapping.kernel_log)
        if found.told.dialect is None and found.lines:
            if wrapping.kernel_log and best.told.dialect is None:
                best = found
            continue
        notes_alone = not found.lines and len(best.lines) * 2 > len(lines)
        if (
            found.told[:2] > best.told[:2]
            or notes_alone
            or (found.told[:2] == best.told[:2] == (0, best.told.moved or 1))
        ):
            best = found
    return best


def _sampled(data: bytes, wrapping: Wrapping, crlf: bool, loose: bool, apart_from: Dialect | None = None) -> Sample:
    lines = sample(data, wrapping, crlf=crlf)
    return Sample(wrapping, tell([text for _, text in lines], loose=loose, apart_from=apart_from), lines)


def _wrappings(data: bytes, outer: Wrapping) -> list[Wrapping]:
    """All the layers that most of the lines of `data` have, one in another."""
    rest = outer.strip(data)
    count = sum(1 for line in rest.split(b"\n") if line and not line.startswith(b"#"))
    found = []
    for layer in LAYERS:
        if layer in outer.layers:
            continue
        written = [match[0] for match in _layer(layer).finditer(rest)]
        if len(written) * 2 <= count or not written:
            continue
        buffers = outer.buffers
        if layer == "buffer":
            width = max(Counter(map(len, written)).items(), key=itemgetter(1))[0]
            buffers = frozenset(name for name in written if len(name) == width)
        inner = Wrapping((*outer.layers, layer), buffers)
        found.append(inner)
        if len(inner.layers) < _DEEP:
            found.extend(_wrappings(data, inner))
    return found


@functools.cache
def _layer(name: str) -> re.Pattern[bytes]:
    return re.compile(b"^" + grammars.load("wrapping", name).expression.encode("latin-1"), re.MULTILINE)


@functools.lru_cache(maxsize=64)
def _named(buffers: frozenset[bytes]) -> re.Pattern[bytes]:
    """One of the names, or as many blanks before a task's column: trace-cmd leaves those before the main buffer's lines."""
    names = b"|".join(map(re.escape, sorted(buffers)))
    width = max(map(len, buffers))
    return re.compile(rb"^(?:%s|[ ]{%d}(?=[^\n]{16}-[0-9]+ +\[))" % (names, width), re.MULTILINE)
