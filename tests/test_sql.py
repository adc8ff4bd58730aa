"""`mmlist sql`: questions in, rows out, and nothing written."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mmlist.cli.sql import sql
from mmlist.db import library
from mmlist.db.schema import metadata
from mmlist.db.store import store
from mmlist.replay.errors import DatabaseError, MmlistError, OptionError
from mmlist.replay.facts import Fact, Life, LossRow, Membership, Run, TaskSpan

A, B = 0xFFFF888003A1C000, 0xFFFF888003A1C440


def history(sha256: str = "aa") -> list[Fact]:
    """Two members, a task with a hostile name, and a loss."""
    log = ("a.trace", sha256, 900, 10, "modern", "", "mono", "ns", "trace", "{}", "conforming", "")
    return [
        Life(A, 1, 1),
        Life(B, 1, 1),
        Membership(A, 1, 2, 2, 2, 2000, "pageout", None, None, b"\x80", "observed", 5, 5, 5000, "drain"),
        Membership(B, 1, 3, 3, 3, 3000, "fork", A, 1, b"\xff", "observed"),
        TaskSpan(7, b'\xff\x1b[2J"a,b\n', 1),
        LossRow(4, 0, 1000, 4000, 12, "lost"),
        Run(*log, 8, 0, 0, None, "", None, ""),
    ]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database that holds `history` alone."""
    store(tmp_path / "a.db", history())
    return tmp_path / "a.db"


def call(*arguments: object, text: str | bytes | None = None) -> Result:
    """Run the command; its errors stay exceptions, which the group turns into messages."""
    return CliRunner().invoke(sql, [str(one) for one in arguments], input=text)


def shown(*arguments: object, text: str | bytes | None = None) -> str:
    """What the command prints when all is well."""
    result = call(*arguments, text=text)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


QUERY = "SELECT mm, joined_line, left_by FROM v_membership ORDER BY joined_line"


def test_a_table_is_aligned(database: Path) -> None:
    assert shown(database, QUERY).splitlines() == [
        "mm                  joined_line  left_by",
        "------------------  -----------  -------",
        "0xffff888003a1c000            2  drain",
        "0xffff888003a1c440            3",
    ]


def test_csv_and_json_say_the_same(database: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(shown(database, QUERY, "--format", "csv"))))
    assert rows == [
        {"mm": "0xffff888003a1c000", "joined_line": "2", "left_by": "drain"},
        {"mm": "0xffff888003a1c440", "joined_line": "3", "left_by": ""},
    ]
    objects = [json.loads(line) for line in shown(database, QUERY, "--format", "json").splitlines()]
    assert objects == [
        {"mm": "0xffff888003a1c000", "joined_line": 2, "left_by": "drain"},
        {"mm": "0xffff888003a1c440", "joined_line": 3, "left_by": None},
    ]


def test_a_hostile_name_neither_breaks_lines_nor_commands_a_terminal(database: Path) -> None:
    table = shown(database, "SELECT comm, pid FROM v_task")
    assert table.splitlines()[2].split() == ['\ufffd\\x1b[2J"a,b\\n', "7"]
    (name,) = csv.DictReader(io.StringIO(shown(database, "SELECT comm FROM v_task", "--format", "csv"), newline=""))
    assert name["comm"] == '\ufffd\x1b[2J"a,b\n'
    (line,) = shown(database, "SELECT comm FROM v_task", "--format", "json").splitlines()
    assert json.loads(line) == {"comm": '\ufffd\x1b[2J"a,b\n'}


def test_bytes_are_hexadecimal_and_names_stay_apart(database: Path) -> None:
    text = shown(database, "SELECT x'00ff' AS a, 2 AS a, CAST(x'ff41' AS TEXT) AS b", "--format", "json")
    assert json.loads(text) == {"a": "00ff", "a_2": 2, "b": "\ufffdA"}


def test_an_answer_without_rows_keeps_its_header(database: Path) -> None:
    assert shown(database, "violations", "--format", "csv").startswith("run,id,code,")
    assert len(shown(database, "violations").splitlines()) == 2
    assert shown(database, "violations", "--format", "json") == ""


def test_a_long_answer_is_complete(database: Path) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) SELECT i FROM n"
    assert [int(line) for line in shown(database, numbers).splitlines()[2:]] == list(range(1, 2501))


def test_a_query_comes_by_name_or_from_standard_input(database: Path) -> None:
    by_name = shown(database, "memberships_open")
    assert "0xffff888003a1c440" in by_name
    assert shown(database, "-", text=library.query("memberships_open").sql) == by_name
    assert shown(database, "-", text="memberships_open\n") == by_name
    assert "\ufffd" in shown(database, "-", text=b"SELECT '\xff'")


@pytest.mark.parametrize(("line", "members"), [(1, []), (2, [A]), (3, [A, B]), (5, [B])])
def test_parameters_are_bound_and_the_only_run_is_known(line: int, members: list[int], database: Path) -> None:
    rows = shown(database, "mmlist_at_line", "--param", f"line={line}", "--format", "json").splitlines()
    assert [int(json.loads(row)["mm"], 16) for row in rows] == members


def test_text_parameters_stay_text(database: Path) -> None:
    rows = shown(database, "mm_history", "-p", f"mm={A:#x}", "--format", "json").splitlines()
    assert [(json.loads(row)["line"], json.loads(row)["what"]) for row in rows] == [(2, "joined"), (5, "left")]
    assert shown(database, "SELECT typeof(:a), typeof(:b)", "-p", "a=12", "-p", "b=x=1").split()[-2:] == [
        "integer",
        "text",
    ]


def test_one_of_several_runs_must_be_chosen(database: Path) -> None:
    store(database, history("bb"))
    error = call(database, "mmlist_at_line", "-p", "line=3").exception
    assert "several runs, choose one of 1, 2" in str(error)
    assert shown(database, "mmlist_at_line", "-p", "line=3", "-p", "run=2").count("0x") == 3


REFUSED = [
    ("SELEC 1", 'near "SELEC": syntax error'),
    ("SELECT * FROM v_member", "did you mean v_membership?"),
    ("SELECT joined_lines FROM v_membership", "did you mean joined_line?"),
    ("SELECT :line", "give --param line=VALUE"),
    ("SELECT 1; SELECT 2", "one statement at a time"),
    ("SELECT ?", "SQL: "),
    ("", "nothing was asked"),
    (" -- nothing", "nothing was asked"),
    ("membership_open", "did you mean memberships_open?"),
    ("xyz", "mmlist sql --list"),
]


@pytest.mark.parametrize(("query", "said"), REFUSED)
def test_a_bad_question_is_a_message(query: str, said: str, database: Path) -> None:
    error = call(database, query).exception
    assert isinstance(error, OptionError)
    assert said in str(error)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM membership",
        "INSERT INTO statistic VALUES (1, 'x', 1, '')",
        "UPDATE run SET verdict = 'conforming'",
        "DROP TABLE run",
        "CREATE TABLE other (a)",
        "PRAGMA user_version = 9",
        "PRAGMA journal_mode = WAL",
        "ATTACH 'other.db' AS other",
        "VACUUM INTO 'other.db'",
    ],
)
def test_nothing_is_ever_written(query: str, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(database.parent)
    before = database.read_bytes()
    result = call(database, query)
    if not query.startswith("PRAGMA journal"):  # SQLite answers that one with the mode that stays
        assert isinstance(result.exception, DatabaseError)
        assert "only reads" in str(result.exception)
    assert database.read_bytes() == before
    assert [file.name for file in database.parent.iterdir()] == ["a.db"]


def test_a_database_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("precious")
    for path in (tmp_path / "none.db", tmp_path, tmp_path / "notes"):
        assert isinstance(call(path, "violations").exception, MmlistError)
    assert [file.name for file in tmp_path.iterdir()] == ["notes"]


def test_a_damaged_database_is_a_message(database: Path) -> None:
    data = bytearray(database.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    database.write_bytes(data)
    assert isinstance(call(database, "SELECT * FROM membership").exception, MmlistError)
    assert isinstance(call(database, "mmlist_at_line", "-p", "line=1").exception, MmlistError)


def test_list_names_every_query_with_its_parameters() -> None:
    text = shown("--list")
    for query in library.queries():
        assert f"{query.name}\n    {query.title}\n" in text
        assert all(f"--param {name}=" in text for name in query.parameters)


def test_schema_explains_every_view_and_column_and_names_every_table() -> None:
    text = shown("--schema")
    for view in library.views():
        _, _, section = text.partition(f"view {view.name}: {view.title}\n")
        lines = section.split("\n\n")[0].splitlines()
        assert [line.split(maxsplit=1) for line in lines] == [list(pair) for pair in view.columns.items()]
    assert all(f"table {name}: " in text for name in metadata.tables)


@pytest.mark.parametrize("arguments", [[], ["x.db"]])
def test_a_question_needs_a_database_and_words(arguments: list[str]) -> None:
    assert call(*arguments).exit_code == 2


def test_reading_does_not_pay_for_sqlalchemy() -> None:
    imports = "import mmlist.cli.sql, mmlist.cli.at, mmlist.db.read; print('sqlalchemy' in sys.modules)"
    script = f"import sys; sys.path[:] = {sys.path!r}; {imports}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
