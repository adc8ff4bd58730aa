"""What a log's text may be packed in: told by the first bytes of the decompressed file, unpacked as it is read.

A container yields pieces of text, and between them how many lines of the file are no part of the trace (a page around it).
All of them work in bounded memory; what is no trace in them is never kept.
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Callable, Iterable, Iterator

from mmlist.replay.errors import InputError

Piece = bytes | int
"""Text, or the number of lines that stand outside of the trace."""

Unpack = Callable[[Iterable[bytes]], Iterator[Piece]]

_PIECE = 256 * 1024
_LINE = 1024 * 1024  # bytes of a page's line that are kept
_UTF8 = codecs.BOM_UTF8
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_ZLIB = re.compile(rb"(?:[^\n]*\n){0,20}?TRACE:\r?\n(?=\x78[\x01\x5e\x9c\xda])")
_HTML = re.compile(rb"\s*(?:<!DOCTYPE html|<html|<!--)", re.IGNORECASE)
_JSON = re.compile(rb'\s*\{\s*"')


def unpacking(head: bytes) -> Unpack | None:
    """What unpacks a file that begins with `head`; None for mere text."""
    for mark, encoding in _UTF16.items():
        if head.startswith(mark):
            return lambda chunks: _utf16(chunks, encoding, len(mark))
    if head.startswith(_UTF8):
        return _without_mark
    even, odd = head[0:512:2], head[1:512:2]
    for encoding, zeros, letters in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if len(zeros) > 16 and zeros.count(b"\0") > len(zeros) * 9 // 10 and b"\0" not in letters:
            return lambda chunks, encoding=encoding: _utf16(chunks, encoding, 0)  # type: ignore[misc]
    if _ZLIB.match(head):
        return _inflated
    if _HTML.match(head):
        return lambda chunks: Page().unpack(chunks)
    if _JSON.match(head):
        return _json
    return None


def _without_mark(chunks: Iterable[bytes]) -> Iterator[Piece]:
    yield from _behind(chunks, len(_UTF8))


def _behind(chunks: Iterable[bytes], skip: int) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[skip:]
        skip = max(0, skip - len(chunk))


def _utf16(chunks: Iterable[bytes], encoding: str, skip: int) -> Iterator[Piece]:
    """As PowerShell writes what it is piped. Half a surrogate pair becomes a question mark."""
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for chunk in _behind(chunks, skip):
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", True).encode("utf-8", "replace")


def _inflated(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """`atrace -z`: its own lines, then one zlib stream. Raises zlib.error for a damaged one, EOFError for one cut short."""
    stream = zlib.decompressobj()
    begun = False
    for chunk in chunks:
        if not begun:
            lead = _ZLIB.match(chunk)
            assert lead is not None
            yield lead[0]
            chunk, begun = chunk[lead.end() :], True
        while chunk and not stream.eof:
            yield stream.decompress(chunk, _PIECE)
            chunk = stream.unconsumed_tail
    yield stream.flush()
    if not stream.eof:
        raise EOFError("the zlib stream ends too early")


# --- JSON ----------------------------------------------------------------------------------------------------------------

_KEY = re.compile(rb'"systemTraceEvents"\s*:\s*"')
_KEY_WIDTH = 256
_PART = re.compile(rb'[^"\\]+|\\(?:u[0-9a-fA-F]{4}|[^u])')
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"b": b"\b", b"f": b"\f"}
_LONGEST_ESCAPE = 12  # a surrogate pair


def _json(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """The text under "systemTraceEvents"; its lines are numbered as if it stood alone. Raises InputError without one."""
    rest, inside = b"", False
    for chunk in chunks:
        rest += chunk
        if not inside:
            found = _KEY.search(rest)
            if found is None:
                rest = rest[-_KEY_WIDTH:]
                continue
            inside, rest = True, rest[found.end() :]
        text, rest, ended = _unescaped(rest)
        yield text
        if ended:
            return
    if not inside:
        raise InputError("is JSON without a log", expected='"systemTraceEvents", as perfetto and catapult write it')
    raise EOFError("the JSON string ends too early")


def _unescaped(text: bytes) -> tuple[bytes, bytes, bool]:
    """A JSON string's beginning without escapes, what is left for later, and whether the string ended."""
    out: list[bytes] = []
    place = 0
    while (found := _PART.match(text, place)) is not None:
        part = found[0]
        if part[0] == 0x5C and len(text) - place < _LONGEST_ESCAPE and b'"' not in text[place + 2 :]:
            break  # the other half of a pair may follow
        place = found.end()
        if part[0] != 0x5C:
            out.append(part)
        elif part[1:2] != b"u":
            out.append(_ESCAPES.get(part[1:], part[1:]))
        else:
            code = int(part[2:], 16)
            if 0xD800 <= code < 0xDC00 and (low := _LOW.match(text, place)) is not None:
                place = low.end()
                code = 0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00
            out.append(chr(code).encode("utf-8", "replace"))
    return b"".join(out), text[place:], text[place : place + 1] == b'"'


_LOW = re.compile(rb"\\u([dD][c-fC-F][0-9a-fA-F]{2})")


# --- a page --------------------------------------------------------------------------------------------------------------

_OLD = re.compile(rb'linuxPerfData\s*=\s*"')
_NEW = re.compile(rb'<script\b[^>]*class="trace-data"[^>]*>')
_NO_TRACE = re.compile(rb"\s*(?:PROCESS DUMP|CGROUP DUMP|USER DUMP|\{|\[)")
_ESCAPED = re.compile(rb"\s*(?:&lt;[^;\s]*&gt;-[0-9]|[^\n]{0,40}&lt;[^\s;]*&gt;-[0-9])")
_JS = re.compile(rb"\\(.)", re.DOTALL)
_ENTITIES = ((b"&lt;", b"<"), (b"&gt;", b">"), (b"&quot;", b'"'), (b"&#39;", b"'"), (b"&amp;", b"&"))


class Page:
    """systrace's and catapult's HTML, which holds the trace as a string of a script, or as text of some."""

    def __init__(self) -> None:
        """Outside of any trace."""
        self._read: Callable[[bytes], bytes | None] = self._outside
        self._escaped = False

    def unpack(self, chunks: Iterable[bytes]) -> Iterator[Piece]:
        """The lines of the trace, and how many others stand between."""
        outside = 0
        inside: list[bytes] = []
        for line in _lines(chunks):
            text = self._read(line)
            if text is None:
                if inside:
                    yield b"".join(inside)
                    inside = []
                outside += 1
                continue
            if outside:
                yield outside
                outside = 0
            inside.append(text + b"\n")
            if len(inside) >= 2000:
                yield b"".join(inside)
                inside = []
        yield b"".join(inside)
        if outside:
            yield outside

    def _outside(self, line: bytes) -> bytes | None:
        if (found := _OLD.search(line)) is not None:
            self._read = self._old
        elif (found := _NEW.search(line)) is not None:
            self._read = self._first
        else:
            return None
        rest = line[found.end() :]
        return None if rest.strip(b"\\ \t\r") == b"" else self._read(rest)

    def _old(self, line: bytes) -> bytes | None:
        """A line of a JavaScript string: it ends in \\n\\, the last one in \\n"; or "; alone."""
        line = line.rstrip(b"\r")
        if line.endswith(b"\\n\\"):
            return _JS.sub(rb"\1", line[:-3])
        if line.endswith((b'";', b'"')):
            self._read = self._outside
            text = line.rstrip(b";")[:-1].removesuffix(b"\\n")
            return _JS.sub(rb"\1", text) if text else None
        return _JS.sub(rb"\1", line.removesuffix(b"\\"))

    def _first(self, line: bytes) -> bytes | None:
        """The first line of a script of class trace-data says which of systrace's texts it is."""
        if not line.strip():
            return None
        self._read = self._passed_over if _NO_TRACE.match(line) else self._new
        return self._read(line)

    def _passed_over(self, line: bytes) -> None:
        if b"</script>" in line:
            self._read = self._outside

    def _new(self, line: bytes) -> bytes | None:
        text, end, _ = line.partition(b"</script>")
        if end:
            self._read = self._outside
            if not text.strip():
                return None
        if not self._escaped and b"&lt;" in text:
            self._escaped = _ESCAPED.match(text) is not None
        if self._escaped:
            for entity, character in _ENTITIES:
                text = text.replace(entity, character)
        return text


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends; of one longer than _LINE only the beginning."""
    rest, dropped = b"", False
    for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        if whole:
            yield rest if dropped else rest + whole[0]
            yield from whole[1:]
            rest, dropped = last, False
        elif not dropped:
            rest += last
        if len(rest) > _LINE:
            rest, dropped = rest[:_LINE], True
    if rest:
        yield rest
