"""`mmlist at`: the members of mmlist in list order, at a line or a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mmlist.cli.at import at
from mmlist.db.store import store
from mmlist.replay.errors import DatabaseError, OptionError
from mmlist.replay.facts import Fact, Life, Membership, Reordered, Run

INIT = 0xFFFFFFFF82A1B2C0
EARLY, FIRST, SECOND, CHILD, LAST = (0xFFFF888003A1C000 + 0x440 * number for number in range(5))


def span(
    mm: int, joined: tuple[int, int], left: tuple[int, int] | None, rank: bytes, by: str, after: int
) -> Membership:
    """A membership from (line, seq) to (line, seq); the time of a step is 1.5 us times its seq."""
    line, seq = joined
    end = (None, None, None, None) if left is None else (*left, left[1] * 1500, "mmput")
    begin = (line or None, line or None, seq, seq * 1500 if line else None)
    return Membership(mm, 1, *begin, by, after, None, rank, "observed" if line else "inferred", *end)


def history(unit: str = "ns", sha256: str = "aa") -> list[Fact]:
    """EARLY was there; 2 FIRST to the head; 4 CHILD after FIRST; 6 SECOND to the head; 5 LAST; 8 FIRST leaves.

    Line 6 is replayed before line 5: 6 has seq 5, 5 has seq 6.
    """
    log = ("a.trace", sha256, 900, 10, "modern", "", "mono", unit, "trace", "{}", "conforming", "")
    return [
        *(Life(mm, 1, 1) for mm in (EARLY, FIRST, SECOND, CHILD, LAST)),
        span(FIRST, (2, 2), (8, 8), b"\x40", "pageout", INIT),
        span(EARLY, (0, 0), None, b"\x80", "unknown", INIT),
        span(CHILD, (4, 4), None, b"\x40\x80", "fork", FIRST),
        span(SECOND, (6, 5), None, b"\x20", "pageout", INIT),
        span(LAST, (5, 6), None, b"\x90", "fork", EARLY),
        Reordered(5, 6),
        Reordered(6, 5),
        Run(*log, 8, 0, 0, None, "", INIT, ""),
    ]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database that holds `history` alone."""
    store(tmp_path / "a.db", history())
    return tmp_path / "a.db"


def call(*arguments: object) -> Result:
    """Run the command; its errors stay exceptions, which the group turns into messages."""
    return CliRunner().invoke(at, [str(one) for one in arguments])


def addresses(result: Result) -> list[int]:
    """The first word of each line."""
    assert result.exit_code == 0, result.output
    return [int(line.split()[0], 16) for line in result.stdout.splitlines()]


ORDERS = [
    (0, [EARLY]),
    (1, [EARLY]),
    (2, [FIRST, EARLY]),
    (3, [FIRST, EARLY]),
    (4, [FIRST, CHILD, EARLY]),
    (5, [SECOND, FIRST, CHILD, EARLY, LAST]),  # replayed after line 6
    (6, [SECOND, FIRST, CHILD, EARLY]),
    (7, [SECOND, FIRST, CHILD, EARLY, LAST]),
    (8, [SECOND, CHILD, EARLY, LAST]),
    (10, [SECOND, CHILD, EARLY, LAST]),
]


@pytest.mark.parametrize(("line", "members"), ORDERS)
def test_members_at_a_line_in_list_order(line: int, members: list[int], database: Path) -> None:
    assert addresses(call(database, "--line", line)) == members


@pytest.mark.parametrize(
    ("time", "members"),
    [
        ("0.0", [EARLY]),
        ("0.000002999", [EARLY]),
        ("0.000003", [FIRST, EARLY]),
        ("0.000006000", [FIRST, CHILD, EARLY]),
        ("0.000007499", [FIRST, CHILD, EARLY]),
        ("0.0000075", [SECOND, FIRST, CHILD, EARLY]),
        ("0.000009", [SECOND, FIRST, CHILD, EARLY, LAST]),
        ("0.000012", [SECOND, CHILD, EARLY, LAST]),
        ("999999.0", [SECOND, CHILD, EARLY, LAST]),
        ("-1.0", [EARLY]),
    ],
)
def test_members_at_a_time_in_list_order(time: str, members: list[int], database: Path) -> None:
    assert addresses(call(database, "--time", time)) == members


def test_text_says_since_when_and_by_what(database: Path) -> None:
    assert call(database, "--line", 4).stdout.splitlines() == [
        "0xffff888003a1c440  generation 1, since line 2 (0.000003), by pageout after 0xffffffff82a1b2c0",
        "0xffff888003a1ccc0  generation 1, since line 4 (0.000006), by fork after 0xffff888003a1c440",
        "0xffff888003a1c000  generation 1, since before the log, by unknown after 0xffffffff82a1b2c0, inferred",
    ]
    assert "since line 6 (0.000007500), by pageout" in call(database, "--line", 6).stdout


def test_json_is_one_object_a_line(database: Path) -> None:
    rows = [json.loads(line) for line in call(database, "--line", 2, "--format", "json").stdout.splitlines()]
    assert [row["position"] for row in rows] == [1, 2]
    assert rows[0] == {
        "position": 1,
        "mm": "0xffff888003a1c440",
        "generation": 1,
        "joined_line": 2,
        "joined_by": "pageout",
        "after_mm": "0xffffffff82a1b2c0",
        "after_generation": None,
        "joined_ts": 3000,
        "evidence": "observed",
    }


def test_an_empty_list_is_said_on_stderr(tmp_path: Path) -> None:
    store(tmp_path / "a.db", history()[-1:])
    result = call(tmp_path / "a.db", "--line", 3)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "empty" in result.stderr


def test_a_raw_clock_takes_whole_numbers(tmp_path: Path) -> None:
    store(tmp_path / "a.db", history(unit="raw"))
    result = call(tmp_path / "a.db", "--time", "3000")
    assert addresses(result) == [FIRST, EARLY]
    assert "since line 2 (3000)" in result.stdout
    assert isinstance(call(tmp_path / "a.db", "--time", "0.003").exception, OptionError)


@pytest.mark.parametrize("time", ["3", "1.0000000001", "1e3", "0x10", "", ".5", "1.", "\u0661.5", "nan"])
def test_a_time_that_no_log_prints_is_refused(time: str, database: Path) -> None:
    error = call(database, "--time", time).exception
    assert isinstance(error, OptionError)
    assert "seconds with a dot" in str(error)


def test_a_log_without_times_has_only_lines(tmp_path: Path) -> None:
    store(tmp_path / "a.db", history(unit="none"))
    assert "no times" in str(call(tmp_path / "a.db", "--time", "1.0").exception)
    assert "since line 2, by" in call(tmp_path / "a.db", "--line", 2).stdout


def test_a_line_beyond_the_log_is_refused(database: Path) -> None:
    assert "has only 10 lines" in str(call(database, "--line", 11).exception)
    assert call(database, "--line", -1).exit_code == 2


def test_either_line_or_time(database: Path) -> None:
    for arguments in ([], ["--line", 1, "--time", "1.0"]):
        result = call(database, *arguments)
        assert result.exit_code == 2
        assert "either --line N or --time T" in result.stderr


def test_the_run_is_chosen_where_there_are_several(database: Path) -> None:
    store(database, history(sha256="bb")[-1:])
    assert "several runs, choose one of 1, 2" in str(call(database, "--line", 2).exception)
    assert addresses(call(database, "--line", 2, "--run", 1)) == [FIRST, EARLY]
    assert addresses(call(database, "--line", 2, "--run", 2)) == []
    assert isinstance(call(database, "--line", 2, "--run", 3).exception, DatabaseError)


def test_a_missing_database_is_refused_and_not_made(tmp_path: Path) -> None:
    assert "no such database" in str(call(tmp_path / "a.db", "--line", 1).exception)
    assert list(tmp_path.iterdir()) == []
