"""The database: what is stored comes back, the same history gives the same rows, and nothing is ever half written.

One file, over 400 lines: all tests write and read the one history of facts that stands at its top.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mmlist.db import library, load, read
from mmlist.db.file import APPLICATION_ID, SCHEMA_VERSION, open_readonly
from mmlist.db.schema import metadata
from mmlist.db.store import check_writable, store
from mmlist.replay.errors import DatabaseError, InputError
from mmlist.replay.facts import (
    Checked,
    EventRow,
    Fact,
    Holding,
    LedgerRow,
    Life,
    LossRow,
    Membership,
    Reordered,
    Run,
    Statistic,
    SwapArea,
    Swapoff,
    TaskSpan,
    UnparsedRow,
    Violation,
    Visit,
    Witness,
)
from mmlist.replay.record import At

A = 0xFFFF888003A1C000
B = 0xFFFF888003A1C440
INIT = 0xFFFFFFFF82A1B2C0
HOSTILE = b"ev\xffil\n\x1b[31m\x00"


def at(line: int, comm: bytes = b"sh") -> At:
    return At(line=line, offset=line * 100, ts=line * 1000, cpu=1, pid=42, comm=comm, seq=line)


def run(sha256: str = "aa", profile: str = "modern", log: str = "a.trace") -> Run:
    return Run(
        *(log, sha256, 900, 99, profile, "asked for", "mono", "ns", "trace", "{}", "violated", "M1"),
        *(12, 7, 0, 0x90, "layout", INIT, "kallsyms"),
    )


def member(mm: int, joined: int, rank: bytes, left: int | None = None) -> Membership:
    gone = (left, left, None if left is None else left * 1000, None if left is None else "mmput")
    return Membership(
        mm,
        1,
        joined or None,
        joined or None,
        joined,
        joined * 1000 or None,
        "pageout",
        INIT,
        None,
        rank,
        "observed",
        *gone,
    )


def violation(number: int, cause: int | None = None) -> Violation:
    seen = [Witness(at(3, HOSTILE), "joined here", "try_to_unmap_one", "off", "", HOSTILE), Witness(at(4), "seen", "x")]
    about = (at(4, HOSTILE), 8, 2, A, 1, 31 << 59, 31, cause)
    return Violation(
        *(
            number,
            "M1",
            "unlisted-swap-holder",
            "E",
            "proven",
            *about,
            "M1 join",
            "A holds an entry",
            "complete log",
            seen,
        )
    )


def facts(end: Run | None = None) -> list[Fact]:
    """A history with at least one fact of each kind."""
    visits = [Visit(A, 1, 6, 6000, 1, "observed"), Visit(B, 1, 7, 7000, 0, "inferred")]
    return [
        TaskSpan(42, HOSTILE, 1, 9),
        Life(A, 1, 1, 1, 1000, "fork", B, 1, 7, 8, 9, 9000, 9),
        Life(B, 1, 1),
        member(A, 3, b"\x80", 8),
        member(B, 0, b"\x40"),
        Holding(A, 1, 31 << 59, 3, 3000, "unmap"),
        SwapArea(0, "/dev/vda", 2, 2000),
        EventRow(at(5), "fork", A, 1),
        violation(2, cause=1),
        violation(1),
        Swapoff(6, 6000, 42, b"swapoff", "/dev/vda", 0, 1, 2, 0, 1, 7, 8, 8000, 0, visits),
        LossRow(5, None, None, 5000, None, "overwritten"),
        UnparsedRow(9, 900, 3, HOSTILE, "no event name", "error"),
        Reordered(6, 4),
        Checked("M1", "unlisted-swap-holder", "E", "checked"),
        LedgerRow("ours", "mmput", 99),
        Statistic("records", 99, "lines"),
        end or run(),
    ]


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(open_readonly(path)) as connection:
        return connection.execute(sql).fetchall()


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return sorted(connection.iterdump())


def test_every_fact_is_stored_once(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    assert store(path, facts()) == 1
    counts = {name: ask(path, f'SELECT count(*) FROM "{name}"')[0][0] for name in metadata.tables}
    twice = {"mm", "membership", "visit", "violation"}
    assert counts == {name: 4 if name == "witness" else 2 if name in twice else 1 for name in metadata.tables}
    assert [child.name for child in tmp_path.iterdir()] == ["a.db"]


def test_rows_of_the_public_views(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store(path, facts())
    joined = (3, 3, 3000, "pageout", "0xffffffff82a1b2c0", None)
    left = (8, 8000, "mmput", "observed", 3, 8, b"\x80")
    assert ask(path, "SELECT * FROM v_membership WHERE left_by = 'mmput'") == [
        (1, "0xffff888003a1c000", 1, *joined, *left),
    ]
    (first, second) = read.violations(path)
    assert (first["id"], first["follows_from"], second["id"], second["follows_from"]) == (1, None, 2, 1)
    assert (first["file"], first["line"], first["mm"]) == ("a.trace", 4, "0xffff888003a1c000")
    assert first["entry"] == "0xf800000000000000"
    assert ask(path, 'SELECT cpu, "from", "to", count, kind, line FROM v_loss') == [
        (None, None, 5000, None, "overwritten", 5)
    ]
    assert ask(path, "SELECT visits, held, drained, ret FROM v_swapoff") == [(2, 1, 1, 0)]
    (one,) = read.runs(path)
    assert (one["run"], one["errors"], one["init_mm"], one["ts_unit"]) == (1, 2, "0xffffffff82a1b2c0", "ns")


FIXED = {
    "v_violation": "id run code slug severity certainty file line last_line count ts cpu pid comm mm generation entry "
    "follows_from signature message",
    "v_membership": "run mm generation joined_line joined_seen_line joined_ts joined_by after_mm after_generation "
    "left_line left_ts left_by evidence",
    "v_loss": "cpu from to count kind line",
}


@pytest.mark.parametrize("view", FIXED)
def test_public_columns_keep_their_place(view: str) -> None:
    columns = next(list(one.columns) for one in library.views() if one.name == view)
    fixed = FIXED[view].split()
    assert columns[: len(fixed)] == fixed


def test_every_view_and_column_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store(path, facts())
    in_file = {str(name) for (name,) in ask(path, "SELECT name FROM sqlite_schema WHERE type = 'view'")}
    assert in_file == {view.name for view in library.views()}
    assert {f"v_{name}" for name in metadata.tables} == in_file
    for view in library.views():
        assert len(view.title) > 10, view.name
        actual = [column for (column,) in ask(path, f"SELECT name FROM pragma_table_info('{view.name}')")]
        assert list(view.columns) == actual, view.name
        assert all(len(text) > 3 for text in view.columns.values()), view.name


@pytest.mark.parametrize("query", library.queries(), ids=lambda query: str(query.name))
def test_every_query_runs_and_is_explained(query: library.Shipped, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store(path, facts())
    with closing(open_readonly(path)) as connection:
        cursor = connection.execute(query.sql, dict.fromkeys(query.parameters, 1))
        assert list(query.columns) == [column[0] for column in cursor.description]
    used = set(re.findall(r"[^:]:([a-z]+)\b", re.sub(r"--.*", "", query.sql)))
    assert used == set(query.parameters)
    assert len(query.title) > 10


def test_tables_are_strict_and_the_file_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store(path, facts())
    assert ask(path, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert ask(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert ask(path, "PRAGMA journal_mode") == [("delete",)]
    lax = ask(
        path, "SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict AND name NOT LIKE 'sqlite_%'"
    )
    assert lax == []
    free = [
        t.name for t in metadata.sorted_tables if t.name != "run" and not ask(path, f"PRAGMA foreign_key_list({t})")
    ]
    assert free == []


def test_the_same_history_gives_the_same_bytes(tmp_path: Path) -> None:
    store(tmp_path / "a.db", facts())
    store(tmp_path / "b.db", facts())
    assert (tmp_path / "a.db").read_bytes() == (tmp_path / "b.db").read_bytes()


def test_batches_do_not_change_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path / "a.db", facts())
    monkeypatch.setattr(load, "BATCH", 1)
    store(tmp_path / "b.db", facts())
    assert content(tmp_path / "a.db") == content(tmp_path / "b.db")


def test_storing_again_replaces_the_run(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store(path, facts())
    before = content(path)
    assert store(path, facts()) == 1
    assert content(path) == before
    assert store(path, [run(log="moved.trace")]) == 1
    assert ask(path, "SELECT file FROM v_run") == [("moved.trace",)]
    assert ask(path, "SELECT count(*) FROM membership") == [(0,)]


def test_another_run_is_added_and_replaced_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store(path, facts())
    assert store(path, facts(run(profile="2.6.10"))) == 2
    assert store(path, facts(run(sha256="bb"))) == 3
    before = content(path)
    assert store(path, facts(run(profile="2.6.10"))) == 2
    assert content(path) == before
    assert store(path, [run(profile="2.6.10")]) == 2
    assert ask(path, "SELECT run, count(*) FROM witness GROUP BY run") == [(1, 4), (3, 4)]
    assert ask(path, "PRAGMA foreign_key_check") == []
    assert [row["id"] for row in read.violations(path, 3)] == [1, 2]


def test_hostile_bytes_and_numbers_are_stored(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    huge = LossRow(5, 10**30, 2**63, 5000, 2**64 - 1, "dropped")
    odd = Statistic("size", 5, "lone \udcff surrogate")
    store(path, [*facts()[:-1], huge, odd, run(log="log-\udcff.trace")])
    assert ask(path, "SELECT comm FROM task") == [("ev\ufffdil\n\x1b[31m\x00",)]
    steps = read.witness(path, None, 1)
    assert [step["raw"] for step in steps] == [HOSTILE, None]
    assert steps[0]["text"] == "ev\ufffdil\n\x1b[31m\x00"
    assert ask(path, "SELECT raw FROM v_unparsed") == [(HOSTILE,)]
    assert ask(path, 'SELECT cpu, "from", "to", count FROM v_loss WHERE kind = \'dropped\'') == [
        (None, None, 5000, None)
    ]
    assert "\ufffd" in str(ask(path, "SELECT file FROM v_run"))


def test_missing_texts_are_asked_for(tmp_path: Path) -> None:
    asked: list[int] = []

    def texts(lines: Iterable[int]) -> dict[int, bytes]:
        asked.extend(lines)
        return {4: b"the line"}

    store(tmp_path / "a.db", facts(), texts=texts)
    assert asked == [4]
    steps = read.witness(tmp_path / "a.db", 1, 2)
    assert [step["raw"] for step in steps] == [HOSTILE, b"the line"]
    assert steps[1]["text"] == "the line"


def test_a_history_without_end_or_with_loose_ends_is_our_fault(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one Run, not 0"):
        store(tmp_path / "a.db", facts()[:-1])
    with pytest.raises(ValueError, match=r"membership .* refers to a row of mm"):
        store(tmp_path / "a.db", [member(A, 3, b"\x80"), run()])
    assert list(tmp_path.iterdir()) == []


def _foreign(path: Path, kind: str) -> None:
    if kind == "text":
        path.write_text("precious notes\n")
        return
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE precious (note)")
        if kind == "newer":
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        connection.commit()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("text", "not even SQLite"),
        ("sqlite", "not one of mmlist"),
        ("newer", f"schema version {SCHEMA_VERSION + 1}, of a newer"),
    ],
)
def test_a_foreign_file_is_refused_unharmed(kind: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    _foreign(path, kind)
    before = path.read_bytes()
    taken = iter(facts())
    with pytest.raises(DatabaseError, match=said):
        store(path, taken)
    with pytest.raises(DatabaseError, match=said):
        read.runs(path)
    assert len(list(taken)) == len(facts())  # refused before the first fact
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.touch()
    with pytest.raises(DatabaseError, match="not even SQLite"):
        read.runs(path)
    assert store(path, facts()) == 1
    assert len(read.runs(path)) == 1


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to("a.db")
    store(link, facts())
    store(link, facts())
    assert link.is_symlink()
    assert len(read.runs(tmp_path / "a.db")) == 1


def test_odd_names_are_no_uris(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=memory#%41 'x'.db"
    store(path, facts())
    store(path, facts())
    assert len(read.runs(path)) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("where", ["missing/a.db", "."])
def test_a_place_that_cannot_hold_a_file_is_refused(where: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=r"no folder|is a folder"):
        check_writable(tmp_path / where)
    with pytest.raises(DatabaseError):
        store(tmp_path / where, facts())


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that even root cannot write to: /proc")
def test_an_unwritable_folder_is_refused() -> None:
    with pytest.raises(DatabaseError, match=r"/proc/a\.db: cannot be written"):
        store(Path("/proc/a.db"), facts())


def test_an_error_of_the_history_passes_and_leaves_nothing(tmp_path: Path) -> None:
    def breaking() -> Iterator[Fact]:
        yield from facts()[:-1]
        raise InputError("cut short", file="a.trace", line=9)

    with pytest.raises(InputError, match=r"a\.trace:9: cut short"):
        store(tmp_path / "a.db", breaking())
    assert list(tmp_path.iterdir()) == []
    store(tmp_path / "a.db", facts())
    before = (tmp_path / "a.db").read_bytes()
    with pytest.raises(InputError):
        store(tmp_path / "a.db", breaking())
    assert (tmp_path / "a.db").read_bytes() == before


def python(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


KILLED_LOADING = """
import os, signal, sys
from pathlib import Path
from mmlist.db.store import store
from mmlist.replay.facts import Life

def facts():
    for number in range(20_000):
        yield Life(number, 1, 1)
    os.kill(os.getpid(), signal.SIGKILL)

store(Path(sys.argv[1]), facts())
"""


def test_a_kill_while_loading_leaves_no_database(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    assert python(KILLED_LOADING, path).returncode == -signal.SIGKILL
    assert not path.exists()
    store(path, facts())
    before = path.read_bytes()
    assert python(KILLED_LOADING, path).returncode == -signal.SIGKILL
    assert path.read_bytes() == before


KILLED_MERGING = """
import os, signal, sys
from pathlib import Path
from mmlist.db import store as module
from mmlist.replay.facts import Run, Statistic

def facts():
    for number in range(20_000):
        yield Statistic(str(number), number, "x" * 500)
    yield Run("b", "bb", 1, 1, "modern", "", "", "ns", "", "", "conforming", "", 0, 0, 0, None, "", None, "")

copy = module._copy
def copy_or_die(connection, table, number, *, alone):
    copy(connection, table, number, alone=alone)
    if table.name == "statistic":
        connection.exec_driver_sql("PRAGMA cache_spill = 1")
        copied = connection.exec_driver_sql("SELECT count(*) FROM main.statistic WHERE run = ?", (number,)).scalar()
        print(number, copied, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
module._copy = copy_or_die
prepare = module._prepare_merge
def prepare_small(raw, aside):
    prepare(raw, aside)
    raw.execute("PRAGMA cache_size = 10")
module._prepare_merge = prepare_small
module.store(Path(sys.argv[1]), facts())
"""


def test_a_kill_while_merging_is_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store(path, facts())
    before = content(path)
    size = path.stat().st_size
    died = python(KILLED_MERGING, path)
    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "2 20000\n"), died.stderr
    assert path.stat().st_size > 10 * size  # the half-done merge did reach the file
    assert [row["file"] for row in read.runs(path)] == ["a.trace"]
    assert content(path) == before


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from mmlist.db.store import store
from mmlist.replay.errors import DatabaseError
from mmlist.replay.facts import Life

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    store(Path(sys.argv[1]), (Life(number, 1, 1) for number in range(100_000)))
except DatabaseError as error:
    print(error)
"""


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    done = python(FULL_DISK, tmp_path / "a.db")
    assert "a.db: cannot be written: " in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_witness_of_an_unknown_violation_or_run(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store(path, facts())
    with pytest.raises(DatabaseError, match="run 1 has no violation 9"):
        read.witness(path, None, 9)
    with pytest.raises(DatabaseError, match="has no run 7, only 1"):
        read.violations(path, 7)
    store(path, facts(run(sha256="bb")))
    with pytest.raises(DatabaseError, match="several runs, choose one of 1, 2"):
        read.run_of(path, None)


def test_reading_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store(path, facts())
    assert ask(path, "PRAGMA query_only") == [(1,)]
    with closing(open_readonly(path)) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM run")


def test_one_mm_is_found_by_its_index_in_a_merged_run_too(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store(path, facts())
    lives = [Life(A + number, 1, 1) for number in range(500)]
    spans = [member(life.mm, number, number.to_bytes(2, "big"), number + 1) for number, life in enumerate(lives, 1)]
    store(path, [*lives, *spans, run(sha256="bb")])
    with closing(open_readonly(path)) as connection:
        chosen = {"run": 2, "mm": hex(A)}
        plan = str(connection.execute(f"EXPLAIN QUERY PLAN {library.query('mm_history').sql}", chosen).fetchall())
    assert plan.count("SEARCH membership USING INDEX membership_mm") == 2
