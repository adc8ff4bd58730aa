"""Opens a log: decompresses it, gives its lines with their numbers and byte offsets, in bounded memory.

A log can be read as often as wanted; standard input is spooled to a temporary file for that. Lines end at `\\n` alone:
comms and markers may hold what other conventions call a line's end. Offsets and hash are of the decompressed content.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import IO, BinaryIO, NamedTuple, cast

from mmlist.replay.errors import InputError

BLOCK = 256 * 1024
LONGEST = 1024 * 1024
"""Bytes of a line beyond which it is no log line."""

_KEPT = 1024
_HEAD = 4096
_DAMAGE = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
_CONTROLS = bytes(set(range(0x20)) - set(b"\t\n\r"))
_NUL_RUN = re.compile(rb"\0{16,}")
_WRONG = (
    (b"\x7fELF", "is a program (ELF)", "the text of a trace"),
    (b"\x17\x08\x44tracing", "is trace-cmd's binary trace.dat", "text: trace-cmd report -i FILE"),
    (b"PERFILE2", "is perf's binary perf.data", "text: perf script -i FILE"),
    (b"PK\x03\x04", "is a zip archive", "the log inside it"),
    (
        b"SQLite format 3\0",
        "is a SQLite database",
        "a log; databases are read by `mmlist sql`",
    ),
    (b"\xff\xfe", "is UTF-16 text", "bytes as the kernel printed them: iconv -f UTF-16 -t UTF-8 FILE"),
    (b"\xfe\xff", "is UTF-16 text", "bytes as the kernel printed them: iconv -f UTF-16 -t UTF-8 FILE"),
)


class Block(NamedTuple):
    """Whole lines: `data` ends in a newline. `line` (1-based) and `offset` are its first line's.

    `overlong` is 0, or the length of the one line of which `data` is but the beginning. `ended` is False where the log's
    last line had no newline (`data` has one all the same).
    """

    line: int
    offset: int
    data: bytes
    overlong: int = 0
    ended: bool = True
    outside: bool = False


class Log:
    """One log file. `name` is the path as given, `size` the bytes of its decompressed content, once read to the end.

    `damage` says why a compressed file could not be read to its end (None: it could), once it was tried.
    """

    def __init__(self, name: str, path: str, spooled: IO[bytes] | None = None) -> None:
        """`path` is what is opened; use `Log.open`."""
        self.name = name
        self.damage: str | None = None
        self._path = path
        self._spooled = spooled
        self._size: int | None = None
        self._sha256: str | None = None
        self._opener = _opener(name, path)
        self.crlf = self._look()

    @classmethod
    def open(cls, path: str) -> Log:
        """Open the log at `path`, `-` being standard input. Raises InputError if it is none that can be read."""
        if path != "-":
            return cls(path, path)
        spool = tempfile.NamedTemporaryFile(prefix="mmlist-")  # noqa: SIM115 - closed by close()
        try:
            shutil.copyfileobj(sys.stdin.buffer, spool, BLOCK)
            spool.flush()
            return cls("-", spool.name, spool)
        except BaseException:
            spool.close()
            raise

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

    def sha256(self) -> str:
        """The hash of the decompressed content, in hex; costs a pass where none went to the end yet."""
        self._read_through()
        assert self._sha256 is not None
        return self._sha256

    def blocks(self) -> Iterator[Block]:
        """All lines in blocks of some 256 KiB; each call reads anew. A damaged file ends where its content does."""
        line, offset, rest = 1, 0, b""
        dropped = 0  # bytes seen of an overlong line; its beginning is in `rest` then
        for chunk in self._chunks():
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
                line += data.count(b"\n")
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
            offset = block.offset
            for number, text in enumerate(block.data.split(b"\n")[:-1], block.line):
                yield number, offset, text[:-1] if self.crlf and text.endswith(b"\r") else text
                offset += len(text) + 1

    def texts(self, offsets: Iterable[int]) -> dict[int, bytes]:
        """The lines that begin at `offsets`, in one pass that stops after the last; unknown offsets are left out."""
        wanted = sorted(set(offsets), reverse=True)
        found: dict[int, bytes] = {}
        for block in self.blocks():
            end = block.offset + len(block.data)
            while wanted and wanted[-1] < end:
                start = wanted.pop() - block.offset
                text = block.data[start : block.data.index(b"\n", start)]
                found[start + block.offset] = text[:-1] if self.crlf and text.endswith(b"\r") else text
            if not wanted:
                break
        return found

    def _chunks(self) -> Iterator[bytes]:
        digest, size = hashlib.sha256(), 0
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
                    except _damage() as error:
                        self.damage, piece = str(error) or "it ends too early", b""
                    more = bool(piece)
                    pieces.append(piece)
                    missing -= len(piece)
                chunk = b"".join(pieces)
                digest.update(chunk)
                size += len(chunk)
                if chunk:
                    yield chunk
        self._size, self._sha256 = size, digest.hexdigest()

    def _read_through(self) -> None:
        if self._sha256 is None:
            for _ in self._chunks():
                pass

    def _look(self) -> bool:
        """Refuse what is no log; whether its lines end in CR LF by majority."""
        head = next(iter(self._chunks()), b"")
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


def _opener(name: str, path: str) -> Callable[[], BinaryIO]:
    """What opens `path` for reading, told by its first bytes."""
    try:
        with Path(path).open("rb") as file:
            magic = file.read(6)
    except IsADirectoryError:
        raise InputError("is a directory", file=name, expected="a log file, or - for standard input") from None
    except OSError as error:
        raise InputError(error.strerror or str(error), file=name, expected="a log file that can be read") from None
    if magic.startswith(b"\x1f\x8b"):
        return lambda: cast(BinaryIO, gzip.open(path))
    if magic.startswith(b"BZh"):
        return lambda: cast(BinaryIO, bz2.open(path))
    if magic.startswith(b"\xfd7zXZ\0"):
        return lambda: cast(BinaryIO, lzma.open(path))
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return lambda: cast(BinaryIO, _zstd().open(path))
    return lambda: cast(BinaryIO, Path(path).open("rb", buffering=0))


def _zstd() -> ModuleType:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def _damage() -> tuple[type[Exception], ...]:
    """What a decompressor raises on a file that was cut or altered; zstd's own only once it is loaded."""
    loaded = sys.modules.get("backports.zstd") or sys.modules.get("compression.zstd")
    return _DAMAGE if loaded is None else (*_DAMAGE, loaded.ZstdError)
