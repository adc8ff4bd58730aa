"""Logs are opened whatever they are packed in, read in bounded memory as often as wanted, or refused with a reason."""

import bz2
import gzip
import hashlib
import io
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd

from mmlist.replay.errors import InputError
from mmlist.replay.log import BLOCK, Log

TEXT = b"".join(
    b"line %d of a log \xff\n" % number + b"a\x0bb\x0c\x1c\x85 \n" * (number % 9 == 0) for number in range(30_000)
)
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
    "gz in two members": lambda text: gzip.compress(text[:1000]) + gzip.compress(text[1000:]),
}


def write(path: Path, content: bytes) -> str:
    log = path / "log.txt"  # the suffix says nothing
    log.write_bytes(content)
    return str(log)


@pytest.mark.parametrize("how", PACKED)
def test_content_is_the_same_however_packed(tmp_path: Path, how: str) -> None:
    with Log.open(write(tmp_path, PACKED[how](TEXT))) as log:
        assert b"".join(block.data for block in log.blocks()) == TEXT
        assert log.sha256() == hashlib.sha256(TEXT).hexdigest()
        assert log.size == len(TEXT)
        assert log.damage is None


def test_hash_is_known_before_anything_is_read(tmp_path: Path) -> None:
    with Log.open(write(tmp_path, TEXT)) as log:
        assert log.sha256() == hashlib.sha256(TEXT).hexdigest()


def test_hash_of_a_pass_left_early_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    with Log.open(write(tmp_path, TEXT)) as log:
        next(log.lines())
        assert log.size == len(TEXT)
        assert log.sha256() == hashlib.sha256(TEXT).hexdigest()


def test_lines_end_at_newlines_alone(tmp_path: Path) -> None:
    with Log.open(write(tmp_path, TEXT)) as log:
        for _ in range(2):  # each call reads anew
            lines = list(log.lines())
            assert [text for _, _, text in lines] == TEXT.split(b"\n")[:-1]
            assert [number for number, _, _ in lines] == list(range(1, len(lines) + 1))
        assert all(TEXT.startswith(text, offset) for _, offset, text in lines)


def test_texts_are_found_by_offset(tmp_path: Path) -> None:
    with Log.open(write(tmp_path, TEXT)) as log:
        lines = {offset: text for _, offset, text in log.lines()}
        wanted = [*list(lines)[::777], list(lines)[-1]]
        assert log.texts(reversed(wanted)) == {offset: lines[offset] for offset in wanted}
        assert log.texts([len(TEXT) + 5]) == {}


def test_last_line_needs_no_newline(tmp_path: Path) -> None:
    with Log.open(write(tmp_path, b"a\nb")) as log:
        assert [text for _, _, text in log.lines()] == [b"a", b"b"]
        assert [block.ended for block in log.blocks()] == [True, False]
        assert log.texts([2]) == {2: b"b"}


def test_carriage_returns_go_by_majority(tmp_path: Path) -> None:
    with Log.open(write(tmp_path, b"a\r\nb\r\nc\n")) as log:
        assert [text for _, _, text in log.lines()] == [b"a", b"b", b"c"]
        assert log.texts([3]) == {3: b"b"}
    with Log.open(write(tmp_path, b"a\nb\r\nc\n")) as log:
        assert [text for _, _, text in log.lines()] == [b"a", b"b\r", b"c"]


@pytest.mark.parametrize("size", [1_400_000, BLOCK * 20, BLOCK * 20 + 17])
@pytest.mark.parametrize("end", [b"\n", b"\nlast\n", b""])
def test_overlong_line_is_cut(tmp_path: Path, size: int, end: bytes) -> None:
    with Log.open(write(tmp_path, b"first\n" + b"x" * size + end)) as log:
        lines = list(log.lines())
        assert lines[0] == (1, 0, b"first")
        assert lines[1] == (2, 6, b"x" * 1024)
        assert lines[2:] == ([(3, 6 + size + 1, b"last")] if end.count(b"\n") == 2 else [])
        assert [block.overlong for block in log.blocks() if block.overlong] == [size]


def test_memory_is_bounded_by_the_block(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b"y" * 60_000_000 + b"\n" + b"short\n" * 1_000_000, 1))
    with Log.open(path) as log:
        tracemalloc.start()
        assert sum(block.data.count(b"\n") for block in log.blocks()) == 1_000_001
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8_000_000


def test_standard_input_is_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(TEXT))))
    with Log.open("-") as log:
        assert log.name == "-"
        assert [sum(1 for _ in log.lines()) for _ in range(2)] == [TEXT.count(b"\n")] * 2


@pytest.mark.parametrize("how", ["gz", "xz", "zst", "bz2"])
def test_cut_archive_gives_what_it_has(tmp_path: Path, how: str) -> None:
    noise = "".join(hashlib.sha256(b"%d" % number).hexdigest() + "\n" for number in range(40_000)).encode()
    whole = PACKED[how](noise)
    with Log.open(write(tmp_path, whole[: len(whole) * 3 // 4])) as log:
        lines = [text for _, _, text in log.lines()]
        assert log.damage
        assert len(lines) > 10_000
        assert lines[:-1] == noise.split(b"\n")[: len(lines) - 1]
        assert log.sha256() == hashlib.sha256(noise[: log.size]).hexdigest()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (gzip.compress(b"", mtime=0), "empty"),  # the time would be in the name of the test
        (gzip.compress(TEXT, mtime=0)[:12], "damaged"),
        (b"\x7fELF\x02\x01\x01", "ELF"),
        (b"SQLite format 3\0", "SQLite"),
        (bytes(range(256)) * 16 + b"\0a" * 300, "binary"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError, match=said) as told:
        Log.open(path)
    assert told.value.file == path


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        Log.open(str(tmp_path))
    with pytest.raises(InputError, match="No such file"):
        Log.open(str(tmp_path / "none"))
