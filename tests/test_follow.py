"""Logs that grow: what is told meanwhile, and that their end is that of a plain replay. No test waits for a clock."""

import gzip
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mmlist.cli import cli
from mmlist.following import Interrupts, source
from mmlist.replay.growing import TICK, Kept, Packed
from mmlist.replay.live import Found, Live
from mmlist.replay.options import Options
from mmlist.report import run

FIXTURES = Path(__file__).parent.parent / "fixtures"
SOME = sorted((FIXTURES / "violating").glob("*.trace"))[::6]
CAPTURE = FIXTURES / "captures" / "mono-b1.trace.gz"


def live(*pieces: bytes | None) -> list[Found]:
    """What is told of a log that comes in these pieces, and of none that is whole."""
    return following(iter(pieces))


def following(pieces: Iterator[bytes | None], told: list[Found] | None = None) -> list[Found]:
    """What is told of a log of `pieces`, also as it comes."""
    told = [] if told is None else told
    with tempfile.NamedTemporaryFile() as file:
        Live(Kept("log", pieces, file), Options(), told.append).follow()
    return told


def text() -> bytes:
    return gzip.decompress(CAPTURE.read_bytes())


def odd(data: bytes, size: int) -> Iterator[bytes | None]:
    """Pieces of no even size, a tick behind some."""
    for number, start in enumerate(range(0, len(data), size)):
        yield data[start : start + size]
        if number % 3 == 0:
            yield TICK


def test_a_violation_is_told_three_ticks_after_its_line_while_the_log_goes_on() -> None:
    lines = text().splitlines(keepends=True)
    told: list[Found] = []
    seen: list[list[int]] = []

    def pieces() -> Iterator[bytes | None]:
        yield b"".join(lines[:1275])
        yield from [TICK] * 4
        seen.append([one.line for one in told])
        yield lines[1275]
        yield from [TICK] * 3
        yield b""  # asked for once the third tick was heard
        seen.append([one.line for one in told])

    def heard() -> Iterator[bytes | None]:
        for piece in pieces():
            if piece != b"":
                yield piece

    following(heard(), told)
    assert seen[0]
    assert seen[1] == [*seen[0], 1276]
    assert (told[-1].code, told[-1].certainty) == ("M8", "proven")


def test_a_line_without_its_end_waits_for_its_rest() -> None:
    lines = text().splitlines(keepends=True)
    half = len(lines[1275]) // 2
    pieces = [b"".join(lines[:1275]) + lines[1275][:half], *[TICK] * 5]
    before = live(*pieces)
    assert before
    assert [one.line for one in live(*pieces, lines[1275][half:], *[TICK] * 3)[len(before) :]] == [1276]


def test_each_is_told_once_though_new_events_begin_it_anew() -> None:
    lines = text().splitlines(keepends=True)
    swapoff = lines[1275].replace(
        b"swap_assign: (mmlist_hook_pte_set+0x0/0x10)", b"swapoff: (__do_sys_swapoff+0x0/0x10)"
    )
    told = list(live(b"".join(lines[:1300]), *[TICK] * 4, swapoff, *[TICK] * 4, b"".join(lines[1300:]), *[TICK] * 4))
    keys = [(one.line, one.code, one.mm, one.entry) for one in told]
    assert (456, "M1") in [key[:2] for key in keys]
    assert len(keys) == len(set(keys))


def test_what_is_told_of_a_capture_holds_at_its_end() -> None:
    told = {(one.line, one.code, one.mm) for one in live(*odd(text(), 7919), *[TICK] * 5)}
    final = {(one.at.line, one.code, one.mm) for one in run(str(CAPTURE)).violations}
    assert told
    assert told <= final


def test_a_loss_makes_what_is_told_undecided() -> None:
    lines = text().splitlines(keepends=True)
    data = b"".join([*lines[:1300], b"CPU:0 [LOST 5 EVENTS]\n", *lines[1300:1310]])
    assert {one.certainty for one in live(data, *[TICK] * 5)} == {"undecided"}


@pytest.mark.parametrize("path", SOME, ids=lambda path: path.stem)
def test_the_end_is_that_of_a_plain_replay(path: Path, tmp_path: Path) -> None:
    """Through a pipe, in pieces that end within lines: the same report but for the name, and the same rows."""
    runner = CliRunner()
    plain = runner.invoke(cli, ["replay", str(path), "-o", str(tmp_path / "plain.db")])
    followed = subprocess.Popen(
        [sys.executable, "-m", "mmlist", "replay", "--follow", "-", "-o", str(tmp_path / "followed.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert followed.stdin is not None
    for piece in odd(path.read_bytes(), 997):
        if piece is not TICK:
            os.write(followed.stdin.fileno(), piece)
    out = followed.communicate()[0].decode()
    assert followed.returncode == plain.exit_code
    report = out[out.index("-: ") :] if out.startswith("-: ") else out[out.index("\n-: ") + 1 :]
    name = str(path)
    expected = plain.output.replace(f"{name}:", "-:").replace("plain.db", "followed.db")
    assert report == expected
    assert rows(tmp_path / "followed.db") == [row.replace(name, "-") for row in rows(tmp_path / "plain.db")]


def rows(database: Path) -> list[str]:
    return list(sqlite3.connect(database).iterdump())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_log_with_its_verdict(number: int, tmp_path: Path) -> None:
    """The signal is sent once a violation was told, so nothing waits for a clock."""
    log = tmp_path / "log.trace"
    log.write_bytes(text())
    command = [sys.executable, "-m", "mmlist", "replay", "--follow", str(log), "-o", str(tmp_path / "run.db")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    hung = threading.Timer(300, process.kill)  # fails in place of waiting for ever
    hung.start()
    assert b": M1 unlisted-swap-holder: proven so far: " in process.stdout.readline()
    process.send_signal(number)
    out = process.communicate()[0].decode()
    hung.cancel()
    assert process.returncode == 1
    assert f"{log}: violated" in out
    assert len(rows(tmp_path / "run.db")) > 100


@pytest.mark.parametrize(("change", "why"), [("cut", "cut short"), ("moved", "moved"), ("replaced", "replaced")])
def test_a_rotated_file_ends_the_log(change: str, why: str, tmp_path: Path) -> None:
    log = tmp_path / "log.trace"
    log.write_bytes(text())
    said: list[str] = []
    pieces = source(str(log), Interrupts(), said.append)
    assert next(pieces)
    if change == "cut":
        os.truncate(log, 10)
    else:
        log.rename(tmp_path / "log.1")
        if change == "replaced":
            log.write_bytes(b"another")
    list(pieces)
    assert len(said) == 1
    assert why in said[0]


@pytest.mark.parametrize("size", [1, 5, 100_000])
def test_a_packed_log_is_refused(size: int) -> None:
    with pytest.raises(Packed, match="cannot be followed"):
        list(live(*odd(CAPTURE.read_bytes(), size)))


def test_several_logs_are_refused() -> None:
    result = CliRunner().invoke(cli, ["replay", "--follow", "one", "two"])
    assert result.exit_code == 2
    assert "--follow takes one log" in result.output
