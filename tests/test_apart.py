"""Parts of a replay in processes of their own: the same results, and no silence where one of them comes to grief."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import LOGS, name

from mmlist.cli import replay as command
from mmlist.db.file import open_readonly
from mmlist.db.store import store
from mmlist.replay import apart, setup
from mmlist.replay import events as e
from mmlist.replay.bound import Bound
from mmlist.replay.errors import DatabaseError, InputError, MmlistError
from mmlist.replay.facts import Fact, LossRow, Run
from mmlist.replay.history import History
from mmlist.replay.log import Log
from mmlist.replay.mapfile import load as load_map
from mmlist.replay.options import Options
from mmlist.replay.record import At
from mmlist.timings import Timings

if apart._wire() is None or not hasattr(os, "fork"):
    pytest.skip("wire.c was not compiled (no C compiler), or this system does not fork", allow_module_level=True)


def told(log: Path, *, processes: bool, options: Options | None = None) -> list[str]:
    with Log.open(str(log)) as opened:
        try:
            return list(map(repr, History(opened, options or Options(), processes=processes).facts()))
        except MmlistError as error:
            return [str(error)]


@pytest.mark.parametrize("log", LOGS, ids=name)
def test_a_log_says_the_same_where_it_is_read_apart(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = told(log, processes=False)
    monkeypatch.setattr(apart, "WORTH", 0)
    assert told(log, processes=True) == alone


def test_what_a_map_made_is_counted_where_the_log_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fixture = next(log for log in LOGS if log.name == "swap-count-mismatch-mapped.trace")
    text = fixture.read_text("utf-8")
    log = tmp_path / "log.trace"
    log.write_text(text + text.replace(" 1.0000", " 2.0000"), "utf-8")
    options = Options(mapping=load_map(fixture.with_suffix(".toml")))
    monkeypatch.setattr(setup, "_BEGINNING", 6)  # the first look goes no further: all names stand there
    alone = told(log, processes=False, options=options)
    monkeypatch.setattr(apart, "WORTH", 0)
    assert told(log, processes=True, options=options) == alone


@pytest.mark.parametrize("batch", [1, 7])
def test_batches_are_not_seen(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    log = next(log for log in LOGS if log.name == "mono-b1.trace.gz")
    alone = told(log, processes=False)
    produced = apart.produced
    monkeypatch.setattr(apart, "WORTH", 0)
    monkeypatch.setattr(apart, "produced", lambda make, made: produced(make, made, batch=batch))
    assert told(log, processes=True) == alone


def test_a_database_is_the_same_whoever_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = str(next(log for log in LOGS if log.name == "mono-b1.trace.gz"))
    dumps = []
    for processes in (False, True):
        monkeypatch.setattr(apart, "WORTH", 0 if processes else 1 << 60)
        database = tmp_path / f"{processes}.db"
        with Log.open(log) as opened:
            command.run(opened, Options(), database, Timings(wanted=False), progress=False, processes=True)
        with closing(open_readonly(database)) as connection:
            dumps.append(list(connection.iterdump()))
    assert dumps[0] == dumps[1]


class command_dump:
    def __init__(self, path: Path) -> None:
        from mmlist.db.file import open_readonly

        self.connection = open_readonly(path)

    def __enter__(self) -> Iterator[str]:
        return self.connection.iterdump()

    def __exit__(self, *_: object) -> None:
        self.connection.close()


# --- grief -----------------------------------------------------------------------------------------------------------


def losses(count: int) -> Iterator[LossRow]:
    yield from (LossRow(line, 0, None, None, line, "lost") for line in range(count))


def test_what_was_yielded_before_an_error_comes_before_it() -> None:
    def make() -> Generator[LossRow, None, None]:
        yield from losses(5)
        raise InputError("is no log", file="x", line=7, column=3, text=b"abc", expected="one")

    got = []
    with pytest.raises(InputError) as raised:
        for item in apart.produced(make):
            got.append(item)
    assert got == list(losses(5))
    assert str(raised.value) == "x:7:3: is no log (expected one)\n  abc\n    ^"


def test_a_fault_of_ours_says_where_it_was() -> None:
    def make() -> Generator[LossRow, None, None]:
        yield from losses(1)
        raise ZeroDivisionError("here")

    with pytest.raises(ZeroDivisionError) as raised:
        list(apart.produced(make))
    assert "in make" in raised.value.__notes__[0]


def killed(*_: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_reader_that_was_killed_is_no_end_of_the_log() -> None:
    def make() -> Generator[LossRow, None, None]:
        yield from losses(3000)
        killed()

    with pytest.raises(MmlistError, match="the process that reads the log was killed"):
        list(apart.produced(make))


def test_who_writes_and_was_killed_has_not_written() -> None:
    with pytest.raises(MmlistError, match="the process that writes the database was killed"):
        apart.consumed(killed, losses(100_000))


def test_who_writes_is_told_where_the_replay_fails(tmp_path: Path) -> None:
    def facts() -> Iterator[Fact]:
        yield from losses(10)
        raise InputError("is damaged")

    with pytest.raises(InputError, match="is damaged"):
        apart.consumed(lambda items: store(tmp_path / "a.db", items), facts())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("count", [1, 200_000])
def test_what_the_writer_raises_is_raised(count: int) -> None:
    def use(items: Iterator[LossRow]) -> None:
        next(items)
        raise DatabaseError("a.db: cannot be written: disk full")

    with pytest.raises(DatabaseError, match="disk full"):
        apart.consumed(use, losses(count))


def test_who_stops_listening_ends_the_reader() -> None:
    def make() -> Generator[LossRow, None, None]:
        while True:
            yield from losses(1000)

    items = apart.produced(make)
    next(items)
    items.close()  # waits for it


def test_a_writer_takes_no_end_of_a_reader_with_it() -> None:
    def facts() -> Iterator[LossRow]:
        yield from apart.produced(lambda: (item for item in losses(5000)))  # type: ignore[arg-type,return-value]

    assert apart.consumed(lambda items: sum(1 for _ in items), facts()) == 5000


def test_an_interrupt_of_all_is_an_interrupt(tmp_path: Path) -> None:
    """As at a terminal, which tells every process of the command."""
    facts = tmp_path / "facts.py"
    facts.write_text(
        "import os, signal\n"
        "import mmlist.replay.apart as apart\n"
        "from mmlist.replay.facts import LossRow\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def facts():\n"
        "    for line in range(100_000):\n"
        "        if line == 50_000:\n"
        "            os.killpg(0, signal.SIGINT)\n"
        "        yield LossRow(line, 0, None, None, line, 'lost')\n"
        "try:\n"
        "    apart.consumed(lambda items: sum(1 for _ in items), facts())\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n",
        encoding="ascii",
    )
    done = subprocess.run([sys.executable, str(facts)], capture_output=True, text=True, start_new_session=True)
    assert done.stdout == "interrupted\n", done.stderr


# --- the wire --------------------------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple),
)


@given(VALUES)
def test_what_is_sent_is_what_comes(value: object) -> None:
    wire = apart._wire()
    came = wire.loads(wire.dumps(value))
    assert came == value
    assert repr(came) == repr(value)  # True is no 1


@given(VALUES, st.data())
def test_what_is_cut_short_is_refused(value: object, data: st.DataObject) -> None:
    wire = apart._wire()
    sent = wire.dumps([value])
    with pytest.raises(ValueError):
        wire.loads(sent[: data.draw(st.integers(0, len(sent) - 1))])


@given(st.binary())
def test_other_bytes_do_no_harm(sent: bytes) -> None:
    wire = apart._wire()
    with suppress(ValueError, TypeError, RecursionError):
        wire.loads(sent)


def test_one_place_stays_one_place() -> None:
    at, other = At(1, 0, 5, 0, 7, b"sh"), At(1, 0, 5, 0, 7, b"sh")
    wire = apart._wire()
    first, second = wire.loads(
        wire.dumps([Bound(at, "mmput", True, [e.Mmput(at, 1 << 63, None)]), Bound(other, "mmput", False, [])])
    )
    assert first.events[0].at is first.at
    assert second.at is not first.at
    assert (first.at, second.at) == (at, other)


def test_what_is_no_struct_of_ours_is_not_sent() -> None:
    with pytest.raises(TypeError, match="cannot be sent"):
        apart._wire().dumps([1.5])
    with pytest.raises(AttributeError):
        type(apart._wire())((int,), ())


def test_a_run_is_sent_whole() -> None:
    run = Run(
        *("log.txt", "0" * 64, 10, 3, "modern", "so", "mono", "ns", "tracefs", "", "unknown", "why", 1, 2, 0),
        *(None, "", None, "", None),
    )  # fmt: skip
    wire = apart._wire()
    assert wire.loads(wire.dumps(run)) == run
