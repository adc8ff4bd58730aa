"""The command: exit codes, what goes where, what is said when it cannot be done."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from mmlist.cli import COMMANDS, cli
from mmlist.cli import render as rendering
from mmlist.cli import replay as command
from mmlist.cli.progress import shown
from mmlist.replay.errors import InputError
from mmlist.replay.facts import Checked, LossRow, Run, Violation, Witness
from mmlist.replay.record import At

ROOT = Path(__file__).parent.parent
BROKEN = ROOT / "fixtures" / "violating" / "double-join.trace"
Invoke = Callable[..., Result]


@pytest.fixture
def mmlist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """`mmlist("replay", ...)`: the command, run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MMLIST_DEBUG", raising=False)

    def invoke(*args: object, **other: Any) -> Result:
        return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="mmlist", **other)

    return invoke


def run_fact(verdict: str, **other: Any) -> Run:
    values: dict[str, Any] = {
        **{"log": "log.txt", "sha256": "0" * 64, "size": 10, "lines": 3, "profile": "modern", "profile_reason": "so"},
        **{"clock": "local", "ts_unit": "ns", "dialect": "tracefs", "options": "profile=auto", "verdict": verdict},
        **{"reason": "because", "events": 2, "compared": 4, "differing": 0, "mmlist_offset": 152},
        **{"mmlist_offset_source": "log", "init_mm": 0xFFFFFFFF82B5C940, "init_mm_source": "log"},
    }
    return Run(**values | other)


def violation(id_: int, code: str = "M2", **other: Any) -> Violation:
    at = At(line=id_, offset=0, ts=1, cpu=0, pid=1, comm=b"sh\xff")
    values: dict[str, Any] = {
        **{"id": id_, "code": code, "slug": "double-join", "severity": "E", "certainty": "proven", "at": at},
        **{"last_line": id_, "count": 1, "mm": 0xFFFF888003A1C000, "generation": 1, "entry": None, "type": None},
        **{"follows_from": None, "signature": f"{code}: a", "message": "added twice", "reason": "so"},
    }
    return Violation(**values | other, witness=[Witness(at, "joined here", "list_add", text=b"a line \xff")])


def history(facts: list[Any]) -> SimpleNamespace:
    """What stands for a History that yields `facts`."""
    return SimpleNamespace(facts=lambda: iter(facts), judge=SimpleNamespace(violations=[]), apart=False)


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`pretend(a=[facts], b=error)`: what replays of the logs a and b yield."""

    def set_up(**logs: Any) -> None:
        def opened(name: str) -> Iterator[SimpleNamespace]:
            if isinstance(logs[name], Exception):
                raise logs[name]
            yield SimpleNamespace(name=name, archived=False, beside={})

        monkeypatch.setattr(command, "every_log", opened)
        monkeypatch.setattr(command, "History", lambda log, _, **__: history(logs[log.name]))

    return set_up


CONFORMING, UNKNOWN = [run_fact("conforming")], [run_fact("unknown")]
VIOLATED = [violation(1), run_fact("violated")]
SUSPICIOUS = [violation(1, severity="W"), run_fact("conforming")]
UNREADABLE = InputError("is a folder", file="bad")


@pytest.mark.parametrize(
    ("logs", "options", "code"),
    [
        ({"a": CONFORMING}, [], 0),
        ({"a": VIOLATED}, [], 1),
        ({"a": UNREADABLE}, [], 2),
        ({"a": UNKNOWN}, [], 3),
        ({"a": SUSPICIOUS}, [], 0),
        ({"a": SUSPICIOUS}, ["--fail-on", "W"], 1),
        ({"a": VIOLATED}, ["--fail-on", "never"], 0),
        ({"a": UNKNOWN}, ["--fail-on", "never"], 3),
        ({"a": [violation(1, certainty="undecided"), *UNKNOWN]}, [], 3),
        ({"a": UNKNOWN, "b": CONFORMING}, [], 3),
        ({"a": UNKNOWN, "b": VIOLATED}, [], 1),
        ({"a": UNREADABLE, "b": VIOLATED}, [], 2),
    ],
)
def test_worst_log_decides_the_exit_code(
    mmlist: Invoke, pretend: Callable[..., None], logs: dict[str, Any], options: list[str], code: int
) -> None:
    pretend(**logs)
    assert mmlist("replay", "--no-db", *options, *logs).exit_code == code


def test_fail_on_does_not_move_the_verdict(mmlist: Invoke, pretend: Callable[..., None]) -> None:
    pretend(a=VIOLATED)
    assert mmlist("replay", "--no-db", "--fail-on", "never", "a").stdout.startswith("log.txt: violated\n")


def test_unreadable_log_does_not_stop_the_others(mmlist: Invoke, pretend: Callable[..., None]) -> None:
    pretend(a=UNREADABLE, b=CONFORMING)
    result = mmlist("replay", "--no-db", "a", "b")
    assert result.stderr == "mmlist: bad: is a folder\n"
    assert result.stdout.startswith("log.txt: conforming\n")


def test_json_is_one_object_a_line_and_the_run_is_last(mmlist: Invoke, pretend: Callable[..., None]) -> None:
    pretend(
        a=[violation(1), violation(2, follows_from=1), Checked("B2", "x", "E", "not checked", "why"), *VIOLATED[1:]]
    )
    found = [json.loads(line) for line in mmlist("replay", "--no-db", "--format", "json", "a").stdout.splitlines()]
    assert [one["kind"] for one in found] == ["violation", "violation", "invariant", "run"]
    assert {one["schema_version"] for one in found} == {1}
    assert (found[1]["follows_from"], found[1]["mm"]) == (1, "0xffff888003a1c000")
    assert found[0]["witness"][0]["text"] == "a line \udcff"
    assert (found[-1]["verdict"], found[-1]["init_mm"]) == ("violated", "0xffffffff82b5c940")


def test_text_groups_by_signature_and_names_what_was_not_checked() -> None:
    report = command.Report(database="x y.db", number=2, alone=False)
    facts = [violation(1, follows_from=2, count=3), violation(2, certainty="likely"), violation(3, "M1")]
    checked = [
        Checked("M1", "m", "E", "checked"),
        Checked("B2", "borrowed", "E", "not checked", "the log has none of x"),
    ]
    loss = LossRow(1, 0, None, None, 5, "lost")
    assert len(list(report.watch([*facts, *checked, loss, run_fact("violated", lines=1)]))) == 7
    text = click.unstyle("\n".join(rendering.text(report)))
    assert "3, of 2 kinds:" in text
    assert "M2 double-join: proven, 4 times\n        log.txt:2: added twice [2]" in text
    assert "not checked: B2 borrowed (the log has none of x)" in text
    assert "1 line, 2 events, all read, events lost in 1 place" in text
    assert text.endswith("mmlist explain 'x y.db' --run 2")


def test_options_reach_the_replay(
    mmlist: Invoke, pretend: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(a=CONFORMING)
    seen = []
    monkeypatch.setattr(command, "History", lambda _, options, **__: seen.append(options) or history(CONFORMING))
    given = ["--mmlist-offset", "0x98", "--init-mm", "0xffffffff82b5c940", "--select", "m1,M2", "--select", "C1"]
    result = mmlist("replay", "a", "--no-db", "--events", "all", "--profile", "2.6.10", "--require", "M1", *given)
    assert result.exit_code == 0
    (options,) = seen
    assert (options.mmlist_offset, options.init_mm, options.profile) == (152, 0xFFFFFFFF82B5C940, "2.6.10")
    assert (options.select, options.require, options.ignore) == ({"M1", "M2", "C1"}, {"M1"}, frozenset())
    assert options.all_events


@pytest.mark.parametrize(
    ("log", "name"), [("-", "stdin.db"), ("/logs/a/trace.txt.gz", "trace.txt.gz.db"), ("trace", "trace.db")]
)
def test_default_database_is_named_by_the_log_and_lies_here(log: str, name: str) -> None:
    assert command.default_database(log) == Path(name)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["replya"], "Did you mean replay?"),
        (["replay"], "Missing argument 'LOG...'"),
        (["replay", "a", "--init-mm", "zz"], "zz"),
        (["replay", "a", "--no-db", "-o", "b"], "contradict"),
        (["replay", "a", "--fail-on", "X"], "'X' is not one of"),
        (["explain", "missing.db"], "mmlist: missing.db: no such database"),
        (["invariants", "double-jion"], "did you mean double-join?"),
        (["check", "missing"], "mmlist: missing: no such file"),
        (["check", "."], "mmlist: no fixture"),
    ],
)
def test_usage_error_exits_2_with_a_message_on_stderr(mmlist: Invoke, args: list[str], said: str) -> None:
    result = mmlist(*args)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_bug_is_one_line_and_exits_2(
    mmlist: Invoke, pretend: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(a=ZeroDivisionError("two\nlines"))
    result = mmlist("replay", "--no-db", "a")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "ZeroDivisionError: two lines: this is a bug in mmlist" in result.stderr
    monkeypatch.setenv("MMLIST_DEBUG", "1")
    assert "Traceback" in mmlist("replay", "--no-db", "a").stderr


def test_interrupt_is_not_taken_for_a_violation(mmlist: Invoke, pretend: Callable[..., None]) -> None:
    def interrupted() -> Iterator[Any]:
        yield violation(1)
        raise KeyboardInterrupt

    pretend(a=interrupted())
    result = mmlist("replay", "--no-db", "a")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "mmlist: interrupted\n")


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_has_examples(mmlist: Invoke, name: str, flag: str) -> None:
    result = mmlist(name, flag)
    assert result.exit_code == 0
    assert re.search(rf"Examples:\n +mmlist {name}\b", result.stdout)


def test_group_help_and_version_import_no_command() -> None:
    """Start-up is felt in every shell completion."""
    code = "import sys; from mmlist.cli import cli; cli(['-h'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not {"sqlalchemy", "lark", "rich", "msgspec", "mmlist.cli.replay", "mmlist.cli.sql"} & loaded


def test_reader_that_goes_away_is_no_news() -> None:
    code = "from mmlist.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "invariants", "--format", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_no_color_is_respected(pretend: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(a=VIOLATED)
    colored = CliRunner().invoke(cli, ["replay", "--no-db", "a"], color=True).stdout
    monkeypatch.setenv("NO_COLOR", "1")
    plain = CliRunner().invoke(cli, ["replay", "--no-db", "a"], color=True).stdout
    assert "\x1b[" in colored
    assert "\x1b[" not in plain


@pytest.mark.parametrize(("terminal", "ci", "seen"), [(True, "", True), (True, "true", False), (False, "", False)])
def test_progress_is_for_people(monkeypatch: pytest.MonkeyPatch, terminal: bool, ci: str, seen: bool) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with shown(SimpleNamespace(name="log.txt", position=5, size=10), True) as watched:
        watched.history = history([])
    assert bool(sys.stderr.getvalue()) == seen


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


# --- with real logs ------------------------------------------------------------------------------------------------


def test_replay_leaves_a_database_that_explains(mmlist: Invoke) -> None:
    result = mmlist("replay", BROKEN)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{BROKEN}: violated\n")
    assert "M2 double-join: proven" in result.stdout
    assert result.stdout.endswith("mmlist explain double-join.trace.db\n")
    told = mmlist("explain", "double-join.trace.db")
    assert told.exit_code == 0
    assert told.stdout.startswith("M2 double-join: ")
    original = BROKEN.read_text().splitlines()
    shown_lines = [line.strip().removeprefix("| ") for line in told.stdout.splitlines() if line.startswith("   |")]
    assert len(shown_lines) == 2
    assert {line.strip() for line in shown_lines} <= {line.strip() for line in original}


def test_explain_as_json(mmlist: Invoke) -> None:
    mmlist("replay", BROKEN, "-o", "run.db")
    found = json.loads(mmlist("explain", "run.db", 1, "--format", "json").stdout)
    assert (found["kind"], found["code"], len(found["steps"])) == ("explanation", "M2", 2)
    assert mmlist("explain", "run.db", 99).exit_code == 2


def test_replaying_again_gives_the_same_and_several_runs_share_a_file(mmlist: Invoke) -> None:
    first = mmlist("replay", BROKEN, "-o", "run.db").stdout
    assert mmlist("replay", BROKEN, "-o", "run.db").stdout == first
    other = mmlist("replay", BROKEN, "-o", "run.db", "--ignore", "M2")
    assert "run.db, run 2" in other.stdout
    assert mmlist("explain", "run.db").exit_code == 2
    assert mmlist("explain", "run.db", "--run", 1).exit_code == 0


def test_nothing_to_explain_is_said(mmlist: Invoke) -> None:
    mmlist("replay", BROKEN, "-o", "run.db", "--select", "C1")
    result = mmlist("explain", "run.db")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "there is no violation to explain" in result.stderr


def test_standard_input(mmlist: Invoke, tmp_path: Path) -> None:
    result = mmlist("replay", "-", input=BROKEN.read_bytes())
    assert result.exit_code == 1
    assert (tmp_path / "stdin.db").exists()


def test_foreign_database_is_refused_and_left_as_it_was(mmlist: Invoke, tmp_path: Path) -> None:
    foreign = tmp_path / "double-join.trace.db"
    foreign.write_text("mine")
    result = mmlist("replay", BROKEN)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is not a database of mmlist" in result.stderr
    assert foreign.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("folder", None),
        ("empty", b""),
        ("binary", bytes(range(256)) * 40),
        ("cut.gz", b"\x1f\x8b\x08\x00cut"),
        ("gone", b"-"),
    ],
)
def test_what_is_no_log_is_refused_with_a_message(
    mmlist: Invoke, tmp_path: Path, name: str, content: bytes | None
) -> None:
    path = tmp_path / name
    if content is None:
        path.mkdir()
    elif name != "gone":
        path.write_bytes(content)
    result = mmlist("replay", name)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"mmlist: {name}")
    assert "bug" not in result.stderr
    assert result.stdout == ""


def test_unknown_invariant_is_refused(mmlist: Invoke) -> None:
    result = mmlist("replay", BROKEN, "--select", "Z9")
    assert result.exit_code == 2
    assert "no invariant 'Z9'" in result.stderr


def test_python_api(tmp_path: Path) -> None:
    import mmlist

    report = mmlist.run(BROKEN, database=tmp_path / "run.db")
    assert (report.run.verdict, [one.code for one in report.violations]) == ("violated", ["M2"])
    assert report.number == 1
    assert mmlist.run(BROKEN, mmlist.Options(ignore=frozenset({"M2"}))).run.verdict == "conforming"


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    code = "import sys; from mmlist.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "replay", "--no-db", str(BROKEN)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
