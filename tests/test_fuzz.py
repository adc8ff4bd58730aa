"""Whatever a log holds: nothing is raised but what a user can mend, no line is lost, and no line takes for ever.

One file, over 400 lines: what was once found stands beside what finds it.
"""

import gzip
import importlib.util
import io
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import hostile
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mmlist.cli import cli
from mmlist.db.store import store
from mmlist.replay import log as log_module
from mmlist.replay.bind import NAMES
from mmlist.replay.errors import MmlistError
from mmlist.replay.history import replay
from mmlist.replay.log import Block, Log
from mmlist.replay.parse import Item, Line, Parser

# Derandomized: the same examples in every run, so that a commit fails for what is in it. `make fuzz` seeks new ones.
FIXED = {
    "derandomize": True,
    "database": None,
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}
ROOT = Path(__file__).parent.parent


def physical(text: bytes) -> int:
    return text.count(b"\n") + (not text.endswith(b"\n") and bool(text))


# --- any bytes, mutated logs ---------------------------------------------------------------------------------------------


@settings(max_examples=300, **FIXED)
@given(text=st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(hostile.PIECES), max_size=30).map(b"".join)))
@example(text=b"")
@example(text=b"\n")
@example(text=b"\0")
@example(text=b"\x1f\x8b")
@example(text=b"PK\x03\x04")
def test_any_bytes_are_refused_or_accounted_for(tmp_path: Path, text: bytes) -> None:
    hostile.survives(tmp_path / "log", text)
    hostile.survives(tmp_path / "log", hostile.HEADER + text)


@pytest.mark.parametrize("seed", range(8))
def test_mutated_logs_are_accounted_for(tmp_path: Path, seed: int) -> None:
    logs = hostile.random_logs(random.Random(seed))
    read = sum(hostile.survives(tmp_path / "log", text) for text, _ in zip(logs, range(120), strict=False))
    assert read > 60, "hardly a mutated log is still read as one: nothing was tried"


# --- records put together from hostile parts -------------------------------------------------------------------------------

COMM = st.one_of(
    st.sampled_from(
        [
            *(b"", b"-", b"a b", b"x-1", b"[000] d..1", b"mm=0x1 next=0x", b"(-------)", b"#", b"# tracer: nop", b": ", b"\t"),
            *(b"\r", b"\xff\xfe", b"CPU:1 [LOST 1", b"=> f", b"a.txt:1:", b"> ", b"[    1.000000]", b"1.000001: x:"),
        ]
    ),
    st.binary(max_size=15).map(lambda raw: raw.replace(b"\0", b"").replace(b"\n", b"")),
)  # fmt: skip
TEXT = st.one_of(
    st.sampled_from(
        [
            *(b"", b"x", b"=", b'path="x', b'path="a" b="c', b"(mmput+0x0/0x30) mm=0x1", b"mm=0x1 next=0x", b"=> f", b"/* x */"),
            *(b"pid=1 comm=a pid=2 comm=b", b"            init-1       [001] .....     8.096627: mmput: mm=0x1", b"# 2a buf: 72"),
            *(b"((((((", b"[" * 50, b"<stack trace>", b"B|1|x", b"\xff\xfe", b"k=\x85", b"prev_comm= prev_pid=1 next_comm=="),
            *(b"CPU:1 [LOST 3 EVENTS]", b"[LINE TOO BIG]", b"# tracer: nop"),
        ]
    ),
    st.binary(max_size=60).map(lambda raw: raw.replace(b"\0", b"").replace(b"\n", b"")),
)  # fmt: skip
NAME = st.one_of(
    st.sampled_from(sorted(name.encode() for name in NAMES)),
    st.sampled_from([b"tracing_mark_write", b"sched_switch", b"sched_process_fork", b"a", b"my-probe", b"x.y", b"0", b"print"]),
)  # fmt: skip


class Written:
    """One record as it is meant: what it is printed from and what must be read again."""

    def __init__(self, draw: st.DrawFn, now: int) -> None:
        self.comm = draw(COMM)
        self.pid = draw(st.sampled_from([0, 1, 7, 4242, 99999, 4194304]))
        self.tgid = draw(st.sampled_from([None, 1, 4194304]))
        self.cpu = draw(st.sampled_from([0, 1, 31, 1023]))
        self.now = now
        self.name = draw(NAME)
        self.args = draw(TEXT)
        self.flags = draw(st.sampled_from([b".....", b"d..1.", b"DNZff", b"....", b"dBs4.", b".l...", b"d...1.."]))

    @classmethod
    def honest(cls, now: int) -> "Written":
        record = cls.__new__(cls)
        record.comm, record.pid, record.tgid, record.cpu, record.now, record.flags = b"sh", 7, 7, 0, now, b"....."
        record.name, record.args = b"mmput", b"(mmput+0x0/0x30) mm=0x1"
        return record

    def stamp(self, digits: int = 6) -> bytes:
        return b"%d.%0*d" % (self.now // 10**6, digits, self.now % 10**6 * 10 ** (digits - 6))

    def said(self) -> tuple[bytes, int, int, int, str, bytes]:
        return self.comm.lstrip(b" "), self.pid, self.cpu, self.now * 1000, self.name.decode(), self.args


@st.composite
def written(draw: st.DrawFn) -> list[Written]:
    now, found = 1_000_000, []
    for _ in range(draw(st.integers(1, 6))):
        now += draw(st.sampled_from([0, 1, 17, 10**6]))
        found.append(Written(draw, now))
    return found


def tracefs(r: Written) -> bytes:
    return b"%16s-%-7d [%03d] %s %12s: %s: %s" % (r.comm, r.pid, r.cpu, r.flags, r.stamp(), r.name, r.args)


def tracefs_bare(r: Written) -> bytes:
    return b"%16s-%-7d [%03d] %12s: %s: %s" % (r.comm, r.pid, r.cpu, r.stamp(), r.name, r.args)


def tracefs_tgid(r: Written) -> bytes:
    tgid = b"(-------)" if r.tgid is None else b"(%7d)" % r.tgid
    return b"%16s-%-7d %s [%03d] %s %12s: %s: %s" % (r.comm, r.pid, tgid, r.cpu, r.flags, r.stamp(), r.name, r.args)


def trace_cmd(r: Written) -> bytes:
    return b"%16s-%-5d [%03d] %12s: %-22s%s" % (r.comm, r.pid, r.cpu, r.stamp(), r.name + b": ", r.args)


def trace_cmd_ns(r: Written) -> bytes:
    return b"%16s-%-5d [%03d] %s %15s: %-22s%s" % (r.comm, r.pid, r.cpu, r.flags, r.stamp(9), r.name + b": ", r.args)


def perf(r: Written) -> bytes:
    return b"%16s %7d [%03d] %12s: %s: %s" % (r.comm, r.pid, r.cpu, r.stamp(), (b"mmlist:" + r.name).rjust(28), r.args)


def honest(dialect: Callable[[Written], bytes]) -> list[bytes]:
    """What the dialect is told from, as it is in a log of its own: a header, and records that nobody forged."""
    first = b"cpus=2" if dialect in TRACE_CMD else b"# ========" if dialect is perf else b"# tracer: nop"
    return [first, *(dialect(Written.honest(number)) for number in range(9))]


TRACE_CMD = (trace_cmd, trace_cmd_ns)
DIALECTS = (tracefs, tracefs_bare, tracefs_tgid, *TRACE_CMD, perf)


@settings(max_examples=120, **FIXED)
@given(records=written())
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.__name__)
def test_columns_say_what_was_printed_into_them(
    tmp_path: Path, dialect: Callable[[Written], bytes], records: list[Written]
) -> None:
    if dialect in TRACE_CMD:
        records = [record for record in records if record.name != b"tracing_mark_write"]  # which is `print` there
    before = honest(dialect)
    path = tmp_path / "log"
    path.write_bytes(b"\n".join([*before, *map(dialect, records)]) + b"\n")
    read = [item for item in hostile.accounted(path) if isinstance(item, Line) and item.at.line > len(before)]
    expected = [record.said() for record in records]
    if dialect in TRACE_CMD:  # its padding cannot be told from a blank that the text begins with
        expected = [(*columns, args.lstrip(b" \t")) for *columns, args in expected]
    assert [(i.at.comm, i.at.pid, i.at.cpu, i.at.ts, i.name, i.args) for i in read] == expected
    if dialect is tracefs_tgid:
        assert [item.tgid for item in read] == [record.tgid for record in records]


@settings(max_examples=120, **FIXED)
@given(records=written(), comm=st.binary(max_size=15), text=st.binary(max_size=80), data=st.data())
def test_forged_lines_are_accounted_for(
    tmp_path: Path, records: list[Written], comm: bytes, text: bytes, data: st.DataObject
) -> None:
    # A newline in a comm or a marker forges what it likes, whole lines included: all that can be asked is an account.
    dialect = data.draw(st.sampled_from(DIALECTS))
    forged = data.draw(st.sampled_from(records))
    forged.comm = (comm + b"\n").replace(b"\0", b"")[:15]
    forged.args = text.replace(b"\0", b"") + b"\n" + dialect(data.draw(st.sampled_from(records)))
    content = b"\n".join([*honest(dialect), *map(dialect, records)])
    assert hostile.survives(tmp_path / "log", content)


# --- what hurts ------------------------------------------------------------------------------------------------------------


def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("linear", ROOT / "bench" / "linear.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LINEAR = bench()
SHAPES: dict[str, Callable[[int], bytes]] = LINEAR.shapes()
FAMILIES = sorted({name.partition(":")[0] for name in SHAPES})


@pytest.mark.parametrize("family", FAMILIES)
def test_no_shape_of_text_takes_for_ever(tmp_path: Path, family: str) -> None:
    # No clock: what is exponential, or a high power of the size, would not come back. `make linear` measures the rest.
    for name, shape in SHAPES.items():
        if name.partition(":")[0] == family:
            hostile.survives(tmp_path / "log", shape(6_000))


@pytest.mark.parametrize("context", [b"", b"tracing_mark_write: ", b"swapon: path=", b"mmput: ", b"sched_switch: "])
def test_a_line_of_200_kilobytes_is_read(tmp_path: Path, context: bytes) -> None:
    for piece in (b"(", b"[", b'k="', b"a=", b" => x", b"-", b" ", b"7", b"#"):
        line = piece * (200_000 // len(piece))
        if context:
            line = LINEAR.event(2, context + line).rstrip(b"\n")
        path = tmp_path / "log"
        path.write_bytes(LINEAR.HEADER + LINEAR.event(1) + line + b"\n" + LINEAR.event(3))
        said = {item.at.line: item for item in hostile.accounted(path)}
        assert isinstance(said[3], Line) and isinstance(said[5], Line)
        if context:
            assert isinstance(said[4], Line) and said[4].at.pid == 7


# --- what was found --------------------------------------------------------------------------------------------------------

FAR = b"9" * 5000  # more digits than int() takes
PROBE = b"              sh-%s       [%s] ..... %s: mmput: mm=0x1\n"
NUMBERS = {
    "pid": PROBE % (FAR, b"000", b"    1.000001"),
    "cpu": PROBE % (b"7", FAR, b"    1.000001"),
    "time": PROBE % (b"7", b"000", FAR + b".000001"),
    "time without a dot": PROBE % (b"7", b"000", FAR),
    "tgid": PROBE.replace(b"[%s]", b"(%s) [000]") % (b"7", FAR, b"    1.000001"),
    "lost": b"CPU:1 [LOST " + FAR + b" EVENTS]\n",
    "CPU that lost": b"CPU:" + FAR + b" [LOST 1 EVENTS]\n",
    "entries": b"# entries-in-buffer/entries-written: 1/" + FAR + b"\n",
    "graph": b" " + FAR + b")               |  /* mmput: mm=0x1 */\n",
    "perf": b"              sh     7 [000]     1.000009: PERF_RECORD_LOST lost " + FAR + b"\n",
    "address": LINEAR.event(2, b"mmlist_add: mm=0x" + b"f" * 5000) + LINEAR.event(3, b"mmput: mm=" + FAR),
    "entry": LINEAR.event(2, b"swap_assign: mm=0x1000 entry=" + FAR + b" why=unmap"),
    "child": LINEAR.event(2, b"sched_process_fork: comm=a pid=7 child_comm=b child_pid=" + FAR),
}


@pytest.mark.parametrize("what", NUMBERS)
@pytest.mark.parametrize("digits", [20, 5000])
def test_numbers_of_any_length_are_read_and_stored(tmp_path: Path, what: str, digits: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(LINEAR.HEADER + LINEAR.event(1) + NUMBERS[what].replace(FAR, FAR[:digits]) + LINEAR.event(4))
    hostile.accounted(path)
    with Log.open(str(path)) as log:
        assert store(tmp_path / "run.db", replay(log)) == 1


def test_a_line_that_stays_undecided_holds_no_more_than_it_may(tmp_path: Path) -> None:
    # CPU 9 goes back once and says no more: whether that line was forged shows only at the end of the log.
    lines = [LINEAR.event(10, cpu=9), LINEAR.event(5, cpu=9), *(LINEAR.event(number) for number in range(20, 105_000))]
    path = tmp_path / "log"
    path.write_bytes(LINEAR.HEADER + b"".join(lines))
    with Log.open(str(path)) as log:
        parser = Parser(log, NAMES)
        kinds = {type(item).__name__ for item in parser.records()}
    assert kinds <= {"Record", "Loss", "Unparsed"}
    assert parser.ledger.lines == len(lines) + 2


class Two(Log):
    """A log of two blocks."""

    cut = 0

    def blocks(self) -> Iterator[Block]:
        whole = b"".join(block.data for block in super().blocks())
        yield Block(1, 0, whole[: self.cut])
        yield Block(1 + whole.count(b"\n", 0, self.cut), self.cut, whole[self.cut :])


@pytest.mark.parametrize("comm", [b"a\nb", b"a\n\nb", b"\n\n", b"a\nb\nc"])
def test_a_comm_of_several_lines_may_lie_across_blocks(tmp_path: Path, comm: bytes) -> None:
    before = LINEAR.HEADER + b"".join(LINEAR.event(number) for number in range(1, 80))
    line = b"%16s-7       [000] .....     1.000001: mmput: mm=0x1\n" % comm
    path = tmp_path / "log"
    path.write_bytes(before + line + LINEAR.event(10**6 + 2))
    with Log.open(str(path)) as log:
        whole = parsed(log, None)
    assert whole[0][-2].at.comm == comm.lstrip(b" ")
    for place in (place for place in range(len(line)) if line[place : place + 1] == b"\n"):
        log = Two(str(path), str(path))
        log.cut = len(before) + place + 1
        assert parsed(log, None) == whole


# --- in pieces -------------------------------------------------------------------------------------------------------------


class Dribbling(io.RawIOBase):
    """A file of which each read gives but a few bytes, as a pipe or a decompressor may."""

    def __init__(self, content: bytes, chance: random.Random) -> None:
        self._rest = io.BytesIO(content)
        self._chance = chance

    def read1(self, size: int) -> bytes:
        return self._rest.read(min(size, self._chance.choice((1, 2, 50, 8192, 100_000))))


def parsed(log: Log, names: frozenset[str] | None) -> tuple[list[Item], object]:
    parser = Parser(log, names)
    items = list(parser.records())
    return items, (parser.ledger, parser.dialect, parser.ts_unit, parser.ts_digits, parser.lacking, parser.buffers)


def long_log() -> bytes:
    """More than a block of a real capture, with hostile lines in it; the same each time."""
    chance = random.Random(3)
    lines = hostile.content(ROOT / "fixtures" / "captures" / "small-default.trace.gz").split(b"\n")
    while sum(map(len, lines)) < 3 * log_module.BLOCK:
        lines += lines[-2000:]
    for _ in range(200):
        at = chance.randrange(100, len(lines))
        lines[at] = hostile.mangled(lines[at], chance)
    return b"\n".join(lines)


@pytest.mark.parametrize("seed", range(3))
def test_chunks_of_any_size_make_the_same_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(content := long_log())
    with Log.open(str(path)) as log:
        whole, items = list(log.blocks()), parsed(log, NAMES)
    assert len(whole) > 3
    with Log.open(str(path)) as log:
        monkeypatch.setattr(log, "_opener", lambda: Dribbling(content, random.Random(seed)))
        assert list(log.blocks()) == whole
        assert parsed(log, NAMES) == items


class Cut(Log):
    """A log whose blocks are cut elsewhere: a first one of many lines, which tells the dialect, then tiny ones."""

    tiny = 0

    def blocks(self) -> Iterator[Block]:
        whole = b"".join(block.data for block in super().blocks())
        at = whole.find(b"\n", 20_000) + 1 or len(whole)
        yield Block(1, 0, whole[:at])
        line = 1 + whole.count(b"\n", 0, at)
        while at < len(whole):
            end = whole.find(b"\n", at + self.tiny) + 1 or len(whole)
            yield Block(line, at, whole[at:end])
            line, at = line + whole.count(b"\n", at, end), end


WHOLE = [
    *("small-default", "fork-tgid", "fork-perf-script", "fork-tracecmd-report-t", "clock-tai", "fork-noirqinfo"),
    *("lost-late-pipe", "lost-tracecmd-report", "lost-perf-script", "marker", "two-devices"),
]


@pytest.mark.parametrize("capture", WHOLE)
def test_where_blocks_end_changes_nothing(tmp_path: Path, capture: str) -> None:
    path = ROOT / "fixtures" / "captures" / f"{capture}.trace.gz"
    with Log.open(str(path)) as log:
        whole = parsed(log, None)
    chance = random.Random(capture)
    for tiny in (1, chance.randint(2, 60), chance.randint(60, 200)):
        cut = Cut(str(path), str(path))
        cut.tiny = tiny
        assert parsed(cut, None) == whole


# --- pipes -----------------------------------------------------------------------------------------------------------------


def dump(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """All tables, without the path of the log."""
    with closing(sqlite3.connect(database)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found = {}
        for name in sorted(tables):
            columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')]
            wanted = ", ".join(f'"{column}"' for column in columns if (name, column) != ("run", "log"))
            found[name] = sorted(connection.execute(f'SELECT {wanted} FROM "{name}"'), key=repr)
    return found


def replayed(log: str, database: Path) -> dict[str, list[tuple[object, ...]]]:
    result = CliRunner().invoke(cli, ["replay", "-q", log, "-o", str(database)])
    assert result.exit_code in (0, 1, 3), result.output
    return dump(database)


@pytest.mark.parametrize("capture", ["mono-b3", "lost-late-pipe"])
def test_a_pipe_is_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capture: str) -> None:
    packed = ROOT / "fixtures" / "captures" / f"{capture}.trace.gz"
    plain = tmp_path / "plain"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    expected = replayed(str(packed), tmp_path / "gz.db")
    assert len(expected["run"]) == 1 and len(expected["event"]) > 100
    assert replayed(str(plain), tmp_path / "plain.db") == expected
    for number, path in enumerate((packed, plain)):
        # As a shell does it: another process writes, a few bytes at a time, and ends.
        dribbling = io.BufferedReader(Trickle(path.read_bytes(), random.Random(number)))
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(dribbling))
        with Log.open("-") as log:
            assert log.size == plain.stat().st_size
        dribbling = io.BufferedReader(Trickle(path.read_bytes(), random.Random(number)))
        database = tmp_path / f"pipe{number}.db"
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(dribbling))
        assert replayed_here("-", database) == expected


class Trickle(io.RawIOBase):
    """The reading end of a pipe into which somebody writes pieces of any size."""

    def __init__(self, content: bytes, chance: random.Random) -> None:
        self._rest = io.BytesIO(content)
        self._chance = chance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._rest.readinto(memoryview(buffer)[: self._chance.choice((1, 7, 512, 4096, 65536))])


def replayed_here(log: str, database: Path) -> dict[str, list[tuple[object, ...]]]:
    """Without click's runner, which puts an input of its own in the place of sys.stdin."""
    try:
        cli.main(["replay", "-q", log, "-o", str(database)], standalone_mode=False)
    except MmlistError as error:
        pytest.fail(str(error))
    return dump(database)
