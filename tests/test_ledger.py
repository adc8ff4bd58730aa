"""The ledger: every line of every log is counted once, also of a hostile one, and what is not read is said loudly."""

import gzip
import json
import lzma
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mmlist
from mmlist.cli import cli
from mmlist.expectation import fixtures
from mmlist.notice import UNPARSED_SHARE, notices
from mmlist.replay.bind import NAMES
from mmlist.replay.display import pointed
from mmlist.replay.errors import InputError
from mmlist.replay.ledger import CLASSES, NAMED, REST, Ledger
from mmlist.replay.log import Log
from mmlist.replay.nearest import Nearest, name_in, nearest_dialect, nearest_name
from mmlist.replay.parse import Parser

ROOT = Path(__file__).parent.parent
LOGS = sorted(fixtures(ROOT / "fixtures"))
READABLE = [log for log in LOGS if log.parent.name != "unreadable"]
SMALL = [log for log in READABLE if log.suffix not in (".gz", ".xz")]
Invoke = Callable[..., Result]


def physical(text: bytes) -> int:
    return text.count(b"\n") + (not text.endswith(b"\n") and bool(text))


def content(log: Path) -> bytes:
    unpack = {".gz": gzip.decompress, ".xz": lzma.decompress}.get(log.suffix, bytes)
    return unpack(log.read_bytes())


def event(number: int, args: str = "mmput: (mmput+0x0/0x30) mm=0x1") -> bytes:
    return f"              sh-7       [000] ..... {number:>5}.000001: {args}\n".encode()


def ledger_of(path: Path, text: bytes, names: frozenset[str] | None = NAMES) -> Ledger:
    path.write_bytes(text)
    with Log.open(str(path)) as log:
        parser = Parser(log, names)
        for _ in parser.records():
            pass
    return parser.ledger


# --- the sum -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [NAMES, None], ids=["ours", "all"])
@pytest.mark.parametrize("log", READABLE, ids=lambda log: str(log.name))
def test_every_line_of_a_fixture_is_counted_once(log: Path, names: frozenset[str] | None) -> None:
    with Log.open(str(log)) as opened:
        parser = Parser(opened, names)
        for _ in parser.records():
            pass
    assert parser.ledger.lines == physical(content(log))


@pytest.mark.parametrize("log", SMALL, ids=lambda log: str(log.name))
def test_the_rows_of_a_replay_add_up(log: Path) -> None:
    report = mmlist.run(log)
    assert tuple(report.ledger) == CLASSES
    assert sum(report.ledger.values()) == report.run.lines == physical(content(log))
    assert report.ledger["ours"] == report.run.events
    assert {row.name for row in report.lines if row.kind == "ours" and row.name} <= NAMES


def lines_of_fixtures() -> list[bytes]:
    """Lines of all dialects: the first of each log, and whatever is rare in it."""
    found: dict[bytes, bytes] = {}
    for log in READABLE:
        for number, line in enumerate(content(log).split(b"\n")):
            shape = re.sub(rb"[0-9a-f]+", b"0", line[:60])
            if number < 8 or shape not in found:
                found.setdefault(shape, line)
            if number > 3000:
                break
    return sorted(found.values())[:2000]


SAMPLES = lines_of_fixtures()
GARBAGE = st.sampled_from([b"", b"\0\0\0", b"junk", b"\xff\xfe\x1b[31m", b"#", b" ", b"\r", b"CPU:1 [LOST 3 EVENTS]"])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A line of a fixture of which a piece is missing, doubled or something else."""
    line = draw(st.sampled_from(SAMPLES))
    begin = draw(st.integers(0, len(line)))
    end = draw(st.integers(begin, len(line)))
    put = draw(st.one_of(st.binary(max_size=20), GARBAGE, st.just(line[begin:end] * 2)))
    return line[:begin] + put + line[end:]


LINES = st.lists(st.one_of(st.sampled_from(SAMPLES), mutated(), GARBAGE), min_size=1, max_size=30)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, newline=st.sampled_from([b"\n", b"\r\n"]), end=st.booleans())
def test_every_line_of_joined_and_mutated_logs_is_counted_once(
    tmp_path: Path, lines: list[bytes], newline: bytes, end: bool
) -> None:
    text = newline.join(lines) + (newline if end else b"")
    for names in (NAMES, None):
        try:
            ledger = ledger_of(tmp_path / "log.txt", text, names)
        except InputError:
            return
        assert ledger.lines == physical(text)
        assert sum(lines for _, _, lines in ledger.rows(Counter(x=ledger.ours))) == ledger.lines


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES)
def test_a_replay_of_a_mutated_log_accounts_for_it(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"\n".join([event(1).rstrip(), *lines]))
    try:
        report = mmlist.run(path)
    except InputError:
        return
    assert sum(report.ledger.values()) == report.run.lines == physical(path.read_bytes())
    assert report.ledger["ours"] == report.run.events
    list(map(str, notices(report)))


# --- names without end --------------------------------------------------------------------------------------------------


def test_rows_of_names_are_bounded_and_nothing_is_lost() -> None:
    ledger = Ledger(ours=3, header=2)
    for number in range(100_000):
        ledger.count_other(f"invented_{number}")
    ledger.count_other("a" * 100_000, 7)
    ledger.count_other("invented_0", 50)
    assert len(ledger.other) < 20_000
    assert max(map(len, ledger.other)) < 200
    rows = list(ledger.rows(Counter(mmput=3)))
    others = [(name, lines) for kind, name, lines in rows if kind == "other"]
    assert len(others) == NAMED + 1
    assert others[0] == ("invented_0", 51)
    assert others[-1][0] == REST
    assert sum(lines for _, _, lines in rows) == ledger.lines == 100_062


def test_every_class_has_a_row_also_an_empty_one() -> None:
    assert list(Ledger().rows({})) == [(kind, None, 0) for kind in CLASSES]


def test_a_log_of_invented_names_is_bounded(tmp_path: Path) -> None:
    text = b"".join(event(number, f"invented_{number}: x") for number in range(40_000))
    ledger = ledger_of(tmp_path / "log.txt", text)
    assert ledger.lines == 40_000
    assert len(ledger.other) < 20_000


# --- the database -------------------------------------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """`command("replay", ...)`, run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="mmlist")


def rows(sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect("log.db")) as connection:
        return connection.execute(sql).fetchall()


def write(*pieces: bytes) -> None:
    Path("log").write_bytes(b"".join(pieces))


def test_view_has_each_class_and_name_and_adds_up(command: Invoke) -> None:
    write(
        b"# tracer: nop\n", event(1), event(2), event(3, "foo: x"), event(4, "bar: x"), event(5, "foo: x"), b"junk\n\n"
    )
    assert command("replay", "log").exit_code == 3
    assert rows("SELECT class, name, lines FROM v_ledger") == [
        ("ours", "mmput", 2),
        ("other", "foo", 2),
        ("other", "bar", 1),
        ("header", None, 1),
        ("continuation", None, 0),
        ("loss", None, 0),
        ("blank", None, 1),
        ("unparsed", None, 1),
    ]
    assert rows("SELECT lines, (SELECT sum(lines) FROM v_ledger AS l WHERE l.run = r.run) FROM v_run AS r") == [(8, 8)]


def test_queries_tell_the_ledger_and_the_unparsed(command: Invoke) -> None:
    write(event(1), event(2), event(3, "foo: x"), b"junk\n", event(4), b"rubbish\n")
    command("replay", "log")
    ledger = json.loads(command("sql", "log.db", "ledger", "--format", "json").stdout.splitlines()[0])
    assert ledger == {"run": 1, "class": "ours", "lines": 3, "share": 50.0, "names": 1, "commonest": "mmput"}
    (unparsed,) = map(json.loads, command("sql", "log.db", "unparsed", "--format", "json").stdout.splitlines())
    assert (unparsed["lines"], unparsed["first_line"], unparsed["text"]) == (2, 4, "junk")


def test_an_older_database_says_what_to_do(command: Invoke) -> None:
    write(event(1))
    command("replay", "log")
    with closing(sqlite3.connect("log.db")) as connection:
        connection.execute("PRAGMA user_version = 1")
    for args in (["replay", "log"], ["sql", "log.db", "ledger"]):
        result = command(*args)
        assert result.exit_code == 2
        assert "schema version 1, of an older mmlist" in result.stderr
        assert "replay the log into a new one (-o FILE)" in result.stderr


# --- what is printed ----------------------------------------------------------------------------------------------------


def test_report_tells_the_sum(command: Invoke) -> None:
    write(b"# tracer: nop\n", event(1) * 1200, event(3, "foo: x"), b"\n")
    result = command("replay", "log", "--no-db")
    assert "  lines       1,203 = 1,200 ours + 1 other + 1 header + 1 blank\n" in result.stdout
    assert "warning" not in result.stdout


def test_json_has_the_ledger(command: Invoke) -> None:
    write(event(1), *(event(number, f"e{number}: x") for number in range(2, 60)), event(60, "e2: x"))
    *_, run = map(json.loads, command("replay", "log", "--no-db", "--format", "json").stdout.splitlines())
    assert run["ledger"] == dict.fromkeys(CLASSES, 0) | {"ours": 1, "other": 59}
    assert (len(run["other"]), run["other"]["e2"], run["ours"]) == (20, 2, {"mmput": 1})


@pytest.mark.parametrize(("good", "loud"), [(int(1 / UNPARSED_SHARE) - 1, False), (int(1 / UNPARSED_SHARE) - 2, True)])
def test_unparsed_lines_are_said_loudly_above_the_share(command: Invoke, good: int, loud: bool) -> None:
    write(event(1) * good, b"junk\n", b"\n" * 5000)  # blank lines are no excuse
    result = command("replay", "log", "--no-db")
    assert ("warning" in result.stdout) == loud


def test_warning_shows_the_first_line_with_caret_dialect_and_name(command: Invoke) -> None:
    bad = event(2, "mmlist_ad: mm=\x1b[31m").replace(b"2.000001:", b"2.0000x1:")
    write(event(1), bad, event(3), b"later junk\n")
    verdict, warning, where, text, caret, name, because, *_ = command("replay", "log", "--no-db").stdout.splitlines()
    assert (verdict, because[:9]) == ("log: unknown", "  because")
    assert warning == "  warning     2 of 4 lines that are not blank could not be read (50 %)"
    column = bad.index(b"x") + 1
    assert where.strip().startswith(f"log:2:{column}: expected ")
    assert where.endswith("(nearest dialect: tracefs)")
    assert text[caret.index("^")] == "x"
    assert text.endswith(r"\x1b[31m")
    assert name.strip() == "mmlist_ad: the nearest event of ours is mmlist_add"


def test_log_without_an_event_of_ours_names_what_is_there(command: Invoke) -> None:
    others = [event(number, f"my_mmput_{number % 2}: x") for number in range(1, 8)]
    write(b"# tracer: nop\n", *others, event(9, "sched_switch: x"))
    result = command("replay", "log", "--no-db")
    assert result.exit_code == 3
    lines = result.stdout.splitlines()
    assert lines[1] == "  warning     no event of ours in 9 lines that are not blank, but 8 of other events"
    assert lines[2].strip() == "the commonest: my_mmput_1 4, my_mmput_0 3, sched_switch 1"
    assert lines[3].strip() == "my_mmput_1: the nearest event of ours is mmput"
    assert "`mmlist parse --unknown LOG`" in lines[5]
    first, *_ = map(json.loads, command("replay", "log", "--no-db", "--format", "json").stdout.splitlines())
    assert (first["kind"], first["cause"]) == ("warning", "nothing of ours")
    assert first["nearest"] == {"my_mmput_1": "mmput", "my_mmput_0": "mmput"}


def test_renamed_probes_beside_a_tracepoint_of_ours_are_said_loudly(command: Invoke) -> None:
    write(event(1, "task_newtask: pid=1 comm=a clone_flags=0 oom_score_adj=0"), event(2, "p_mmput_0: (0x1) mm=0x1"))
    lines = command("replay", "log", "--no-db").stdout.splitlines()
    assert lines[1].startswith("  warning     no invariant could be checked, but 1 lines are of other events")


def test_nothing_but_a_header_is_said_loudly(command: Invoke) -> None:
    write(b"# tracer: nop\n#\n")
    result = command("replay", "log", "--no-db")
    assert result.exit_code == 3
    assert "warning     no event of ours in 2 lines that are not blank, nor any other event" in result.stdout


# --- strict -------------------------------------------------------------------------------------------------------------


def test_strict_makes_unparsed_lines_fatal_and_loses_nothing(command: Invoke) -> None:
    write(event(1) * 2000, b"  junk \x1b[31m\n", event(2))
    assert command("replay", "log").exit_code == 3
    stored = rows("SELECT * FROM v_run")
    result = command("replay", "--strict", "log")
    assert result.exit_code == 2
    assert result.stdout.startswith("log: unknown\n")
    head, text, caret = result.stderr.splitlines()
    assert re.match(r"mmlist: log:2001:\d+: expected .*; with --strict, all of the log must be read: 1 not$", head)
    assert text == r"    junk \x1b[31m"
    assert caret.endswith("^")
    assert rows("SELECT * FROM v_run") == stored


def test_strict_is_silent_about_a_log_that_is_read(command: Invoke) -> None:
    write(event(1), event(2))
    result = command("replay", "--strict", "log", "--no-db")
    assert (result.exit_code, result.stderr) == (3, "")


def test_strict_decides_over_all_logs_and_all_are_replayed(command: Invoke) -> None:
    write(event(1), b"junk\n")
    Path("good").write_bytes(event(1))
    result = command("replay", "--strict", "log", "good", "-o", "log.db")
    assert result.exit_code == 2
    assert rows("SELECT file FROM v_run ORDER BY run") == [("log",), ("good",)]
    assert "good: unknown" in result.stdout


def test_strict_as_json_ends_with_an_error(command: Invoke) -> None:
    write(event(1), b"junk\n")
    found = [json.loads(line) for line in command("replay", "--strict", "log", "--format", "json").stdout.splitlines()]
    assert [one["kind"] for one in (found[0], *found[-2:])] == ["warning", "run", "error"]
    assert found[0]["first"]["text"] == "junk"


# --- what is nearest ----------------------------------------------------------------------------------------------------


def test_nearest_dialect_reads_most_of_the_line() -> None:
    text = b"              cp   301 [001]    90.46106x:                 mmlist:mmput: (y)"
    near = nearest_dialect(text)
    assert (near.dialect, near.column) == ("perf_script", text.index(b"x") + 1)
    assert near.expected
    whole = b"              cp   301 [001]    90.461062:                 mmlist:mmput: (x)"
    assert nearest_dialect(whole) == Nearest("perf_script", len(whole) + 1, None)


def test_own_dialect_wins_where_none_reads_more() -> None:
    assert nearest_dialect(b"junk", "perf_script").dialect == "perf_script"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("mmput", "mmput"),
        ("my_mmput", "mmput"),
        ("swapoff_start", "swapoff"),
        ("p_swap_duplicate_ret_0", "swap_duplicate_ret"),
        ("mmlist_ad", "mmlist_add"),
        ("sched_switch", None),
        ("kmem_cache_free", None),
        ("", None),
    ],
)
def test_nearest_name(name: str, near: str | None) -> None:
    assert nearest_name(name) == near


def test_name_in_a_line_is_sought_where_names_stand() -> None:
    assert name_in(b"my mmput task-1 [000] 1.0: mm_probes:swap_duplicat: (x)") == ("swap_duplicat", "swap_duplicate")
    assert name_in(b"mmput swapoff 1.0") is None
    assert name_in(b"x: " * 10_000) is None


@pytest.mark.parametrize(
    ("text", "column"), [(b"a\tb\xff c", 5), (b"x" * 5000 + b"!" + b"y" * 5000, 5001), ("ab\x1bcd", 4), (b"", 9)]
)
def test_caret_stands_below_the_column_whatever_the_line_holds(text: bytes | str, column: int) -> None:
    shown, caret = pointed(text, column)
    assert len(shown) <= 160
    assert shown.isprintable() or not shown
    at = text[column - 1 : column]
    if at:
        assert shown[len(caret) - 1] == (at.decode() if isinstance(at, bytes) else at)


def test_caret_stands_below_a_whole_character() -> None:
    shown, caret = pointed("é = ü".encode(), 7)  # the second byte of the ü
    assert (shown, shown[len(caret) - 1]) == ("é = ü", "ü")
