"""Opens a log: decompresses and unpacks it, gives its lines with their numbers and byte offsets, in bounded memory.

A log can be read as often as wanted; standard input is spooled to a temporary file for that. Lines end at `\\n` alone:
comms and markers may hold what other conventions call a line's end. Size and hash are of the decompressed file, offsets of
the text that was unpacked from it, which mostly is the same.
"""

from __future__ import annotations

import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

from mmlist.grammars import stored
from mmlist.replay import parts
from mmlist.replay.bundle import LONGEST as LONGEST_PART
from mmlist.replay.compressed import damage, is_compressed, opener
from mmlist.replay.container import Piece, unpacking
from mmlist.replay.converted import Tool, converted, tool_for
from mmlist.replay.digest import Digest
from mmlist.replay.errors import InputError

BLOCK = 256 * 1024
LONGEST = 1024 * 1024
"""Bytes of a line beyond which it is no log line."""

_KEPT = 1024
_PACKED = 10
"""Times as long as it is stored: about what a compressed log is, or more."""
_HEAD = 4096
_TAR_HEAD = 512
_TAR_DAMAGE = (tarfile.TarError, EOFError, OSError)
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\r"))
_NUL_RUN = re.compile(rb"\0{16,}")
_WRONG = (
    (b"\x7fELF", "is a program (ELF)", "the text of a trace"),
    (b"PK\x03\x04", "is a zip archive", "the log inside it"),
    (
        b"SQLite format 3\0",
        "is a SQLite database",
        "a log; databases are read by `mmlist sql`",
    ),
)


class Block(NamedTuple):
    """Whole lines: `data` ends in a newline. `line` (1-based) and `offset` are its first line's.

    `overlong` is 0, or the length of the one line of which `data` is but the beginning. `ended` is False where the log's
    last line had no newline (`data` has one all the same). `outside`: the lines are no part of the trace (the page around
    it), and their text is left out.
    """

    line: int
    offset: int
    data: bytes
    overlong: int = 0
    ended: bool = True
    outside: bool = False


class Log:
    """One log file. `name` is the path as given (`bundle.tar:member` in an archive), `size` the decompressed file's bytes.

    `beside`: the other parts of a capture's bundle that it came in, by name (parts.py); empty if it came in none.
    `archived`: it came out of an archive, maybe with others. `damage` says why a compressed file could not be read to its
    end (None: it could), once it was tried.
    """

    def __init__(self, name: str, path: str, spooled: IO[bytes] | None = None, *, archived: bool = False) -> None:
        """`path` is what is opened; use `Log.open`."""
        self.name = name
        self.archived = archived
        self.beside: dict[str, bytes] = {}
        self.damage: str | None = None
        self.position = 0  # bytes of the decompressed content that the pass now going on has read
        self._path = path
        self._spooled = spooled
        self._size: int | None = None
        self._sha256: str | None = None
        self._opener = opener(name, path)
        head = next(iter(self._chunks()), b"")
        if (tool := tool_for(head)) is not None:
            self._convert(tool)
            head = next(iter(self._chunks()), b"")
        self._unpack = unpacking(head)
        self.crlf = self._look()

    @classmethod
    def open(cls, path: str) -> Log:
        """Open the log at `path`, `-` being standard input. Raises InputError if it is none that can be read.

        An archive is opened if it holds one log alone.
        """
        logs = cls.open_all(path)
        first = next(logs)
        if (second := next(logs, None)) is None:
            return first
        names = f"{first.name}, {second.name}"
        first.close()
        second.close()
        logs.close()
        raise InputError("is an archive of several logs", file=path, expected=f"one of them: {names} ...")

    @classmethod
    def open_all(cls, path: str, passed: Callable[[str], None] | None = None) -> Generator[Log, None, None]:
        """All logs at `path`: one, or those of a tar archive, each to be closed by who takes it.

        What is no log in an archive is passed over, and told to `passed`; raises InputError if nothing in it is one.
        """
        spooled = _spooled(sys.stdin.buffer) if path == "-" else None
        try:
            place = path if spooled is None else spooled.name
            if not _is_tar(path, place):
                yield cls(path, place, spooled)
                spooled = None  # the log closes it
                return
            yield from _members(path, place, passed or (lambda _: None))
        finally:
            if spooled is not None:
                spooled.close()

    def __enter__(self) -> Log:
        """The log itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Delete what was spooled."""
        if self._spooled is not None:
            self._spooled.close()

    @property
    def size(self) -> int:
        """Bytes of the decompressed content."""
        self._read_through()
        assert self._size is not None
        return self._size

    @property
    def about(self) -> int:
        """Bytes of the content, or an estimate that costs no pass where it was not read to its end yet."""
        if self._size is not None:
            return self._size
        stored = Path(self._path).stat().st_size
        return stored * _PACKED if is_compressed(self._path) else stored

    def sha256(self) -> str:
        """The hash of the decompressed content, in hex; costs a pass where none went to the end yet."""
        self._read_through()
        assert self._sha256 is not None
        return self._sha256

    def blocks(self) -> Iterator[Block]:
        """All lines in blocks of some 256 KiB; each call reads anew. A damaged file ends where its content does."""
        line, offset, rest = 1, 0, b""
        dropped = 0  # bytes seen of an overlong line; its beginning is in `rest` then
        scanner = stored.scanner()
        for chunk in self._pieces():
            if isinstance(chunk, int):
                yield Block(line, offset, b"\n" * chunk, outside=True)
                line += chunk
                continue
            if dropped:
                end = chunk.find(b"\n") + 1
                dropped += end or len(chunk)
                if not end:
                    continue
                yield Block(line, offset, rest + b"\n", dropped - 1)
                line, offset, rest, dropped = line + 1, offset + dropped, b"", 0
                chunk = chunk[end:]
            cut = chunk.rfind(b"\n") + 1
            if cut:
                data = rest + chunk[:cut]
                yield Block(line, offset, data)
                line += data.count(b"\n") if scanner is None else scanner.newlines(data)
                offset += len(data)
                rest = chunk[cut:]
            else:
                rest += chunk
            if len(rest) > LONGEST:
                dropped, rest = len(rest), rest[:_KEPT]
        if rest:
            yield Block(line, offset, rest + b"\n", dropped, ended=False)

    def lines(self) -> Iterator[tuple[int, int, bytes]]:
        """(number from 1, byte offset, bytes without the newline) of each line; an overlong one is cut."""
        for block in self.blocks():
            if block.outside:
                continue
            offset = block.offset
            for number, text in enumerate(block.data.split(b"\n")[:-1], block.line):
                yield number, offset, text[:-1] if self.crlf and text.endswith(b"\r") else text
                offset += len(text) + 1

    def texts(self, offsets: Iterable[int]) -> dict[int, bytes]:
        """The lines that begin at `offsets`, in one pass that stops after the last; unknown offsets are left out."""
        wanted = sorted(set(offsets), reverse=True)
        found: dict[int, bytes] = {}
        for block in self.blocks():
            end = block.offset if block.outside else block.offset + len(block.data)
            while wanted and wanted[-1] < end:
                start = wanted.pop() - block.offset
                text = block.data[start : block.data.index(b"\n", start)]
                found[start + block.offset] = text[:-1] if self.crlf and text.endswith(b"\r") else text
            if not wanted:
                break
        return found

    def _chunks(self) -> Iterator[bytes]:
        digest, size = None if self._sha256 is not None else Digest(), 0
        with self._opener() as file:
            read = getattr(file, "read1", file.read)
            more = True
            while more:
                # Each is full: where blocks end depends on the content alone, not on how it is packed or piped.
                pieces: list[bytes] = []
                missing = BLOCK
                while more and missing:
                    try:
                        piece = read(missing)
                    except damage() as error:
                        self.damage, piece = str(error) or "it ends too early", b""
                    more = bool(piece)
                    pieces.append(piece)
                    missing -= len(piece)
                chunk = b"".join(pieces)
                if digest is not None:
                    digest.update(chunk)
                size += len(chunk)
                self.position = size
                if chunk:
                    yield chunk
        if digest is not None:
            self._size, self._sha256 = size, digest.hexdigest()

    def _pieces(self) -> Iterator[Piece]:
        """The text of the log, unpacked."""
        if self._unpack is None:
            yield from self._chunks()
            return
        try:
            yield from self._unpack(self._chunks())
        except damage() as error:
            self.damage = str(error) or "it ends too early"
        except InputError as error:
            error.file = self.name
            raise

    def _convert(self, tool: Tool) -> None:
        """Let `tool` make a text of what is no text."""
        binary = self._path
        with tempfile.NamedTemporaryFile(prefix="mmlist-") as copy:
            if not _begins_as(self._path, tool):  # it is compressed, or in what the tool does not know
                for chunk in self._chunks():
                    copy.write(chunk)
                copy.flush()
                binary = copy.name
            text = converted(self.name, binary, tool)
        self.close()
        self._spooled, self._path = text, text.name
        self._opener = opener(self.name, text.name)

    def _read_through(self) -> None:
        if self._sha256 is None:
            for _ in self._chunks():
                pass

    def _look(self) -> bool:
        """Refuse what is no log; whether its lines end in CR LF by majority."""
        head = next((piece for piece in self._pieces() if isinstance(piece, bytes) and piece), b"")
        if not head:
            if self.damage is not None:
                raise InputError(f"is damaged, nothing of it can be read: {self.damage}", file=self.name)
            raise InputError("is empty", file=self.name, expected="a log of ftrace, trace-cmd or perf")
        for magic, what, expected in _WRONG:
            if head.startswith(magic):
                raise InputError(what, file=self.name, expected=expected)
        # A hole in a sparse copy is a run of NULs; NULs and other controls here and there are no text.
        dense = _NUL_RUN.sub(b"", head[:_HEAD])
        if dense.count(b"\0") > len(dense) // 50 or len(dense.translate(None, _CONTROLS)) < len(dense) * 19 // 20:
            raise InputError("is a binary file", file=self.name, expected="the text of a trace")
        return head.count(b"\r\n") * 2 > head.count(b"\n")


def _spooled(stream: IO[bytes]) -> IO[bytes]:
    """A temporary file with all that `stream` says: a log is read more than once."""
    spool = tempfile.NamedTemporaryFile(prefix="mmlist-")  # noqa: SIM115 - closed by the log
    try:
        shutil.copyfileobj(stream, spool, BLOCK)
        spool.flush()
        return spool
    except BaseException:
        spool.close()
        raise


def _begins_as(path: str, tool: Tool) -> bool:
    with Path(path).open("rb") as file:
        return tool_for(file.read(_HEAD)) is tool


def _is_tar(name: str, path: str) -> bool:
    with opener(name, path)() as file:
        try:
            return file.read(_TAR_HEAD)[257:262] == b"ustar"
        except damage():
            return False


def _members(name: str, path: str, passed: Callable[[str], None]) -> Iterator[Log]:
    """The logs of a tar archive, in its order, each spooled by itself: nothing is written under a member's name."""
    refused: list[str] = []
    count = 0
    bundled: Log | None = None
    beside: dict[str, bytes] = {}
    with opener(name, path)() as file:
        try:
            with tarfile.open(fileobj=file, mode="r|") as archive:
                for member in archive:
                    if member.issparse():
                        passed(f"{name}:{member.name} has holes: passed over")  # it may be larger than any disk
                        continue
                    content = archive.extractfile(member) if member.isreg() else None
                    if content is None:
                        continue
                    part = member.name.rpartition("/")[2]
                    if part in parts.ALL and part != parts.TRACE:
                        beside[part] = content.read(LONGEST_PART)
                        continue
                    spool = _spooled(content)
                    try:
                        log = Log(f"{name}:{member.name}", spool.name, spool, archived=True)
                    except InputError as error:
                        spool.close()
                        refused.append(f"{member.name} {error.message}")
                        passed(f"{name}:{member.name} {error.message}: passed over")
                        continue
                    count += 1
                    if part == parts.TRACE and bundled is None:
                        bundled = log  # what stands beside it may come behind it
                    else:
                        yield log
            if bundled is not None:
                bundled.beside = beside
                yield bundled
        except _TAR_DAMAGE as error:
            raise InputError(f"is a damaged archive: {error}", file=name) from None
    if not count:
        what = "; ".join(refused[:5]) or "it is empty"
        raise InputError(f"is an archive without a log: {what}", file=name, expected="a log among its members")
