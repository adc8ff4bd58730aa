"""`mmlist doctor` and `mmlist diff`, as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from mmlist.cli import cli

FIXTURES = Path(__file__).parent.parent / "fixtures"
LEAK = FIXTURES / "violating" / "users-leaked.trace"
CLEAN = FIXTURES / "captures" / "mono-clean.trace.gz"
STOCK = FIXTURES / "captures" / "mono-clean-stock.trace.gz"
BUGGY = FIXTURES / "captures" / "mono-b5.trace.gz"


def mmlist(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def states(log: Path) -> dict[str, dict[str, object]]:
    lines = [json.loads(line) for line in mmlist("doctor", "--format", "json", log).stdout.splitlines()]
    return {line["code"]: line for line in lines if line["kind"] == "diagnosis"}


def test_doctor_tells_what_a_log_with_list_events_decides_and_a_stock_one_does_in_part() -> None:
    hooks, stock = states(CLEAN), states(STOCK)
    assert hooks["M2"]["state"] == "decidable"
    assert stock["M2"]["state"] == "partly"
    assert stock["M2"]["add"] == ["mmlist_add", "mmlist_del"]


def test_doctor_names_the_events_that_are_missing() -> None:
    found = states(LEAK)
    assert found["L1"]["state"] == "not"
    assert "lock" in str(found["L1"]["missing"])
    assert found["B1"]["missing"] == ["not judged under profile modern"]
    assert len(found) == 38


def test_doctor_in_words_ends_with_advice() -> None:
    told = mmlist("doctor", STOCK).stdout
    assert "to decide more, record\n  mmlist_add: " in told


def test_doctor_of_a_log_that_cannot_be_read_exits_with_2(tmp_path: Path) -> None:
    assert mmlist("doctor", tmp_path / "none").exit_code == 2


def test_diff_of_a_log_with_itself_finds_nothing() -> None:
    result = mmlist("diff", CLEAN, CLEAN)
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "no difference")


def test_diff_names_the_violations_that_are_new_and_where_two_logs_part() -> None:
    result = mmlist("diff", "--format", "json", CLEAN, BUGGY)
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {one["code"] for one in found["new"]} >= {"D1"}
    assert found["gone"] == []
    assert found["first"][0] != found["first"][1]
    back = json.loads(mmlist("diff", "--format", "json", BUGGY, CLEAN).stdout)
    assert [one["signature"] for one in back["gone"]] == [one["signature"] for one in found["new"]]


def test_diff_of_one_log_under_two_profiles_compares_line_by_line() -> None:
    log = FIXTURES / "violating" / "removed-out-of-order.trace"
    result = mmlist("diff", log, "--profiles", "2.6.9,modern")
    assert result.exit_code == 1
    assert "only checked in B: " in result.stdout
    assert "they part at" in result.stdout


def test_diff_of_stored_runs_is_that_of_their_logs(tmp_path: Path) -> None:
    clean, buggy = tmp_path / "clean.db", tmp_path / "buggy.db"
    for log, database in ((CLEAN, clean), (BUGGY, buggy)):
        assert mmlist("replay", log, "-o", database).exit_code in (0, 1)
    of_logs = json.loads(mmlist("diff", "--format", "json", CLEAN, BUGGY).stdout)
    for one, other in ((clean, buggy), (clean, BUGGY), (CLEAN, buggy)):
        result = mmlist("diff", "--format", "json", one, other)
        assert (result.exit_code, json.loads(result.stdout) | {"logs": None}) == (1, of_logs | {"logs": None})
    assert mmlist("diff", BUGGY, buggy).stdout.splitlines()[-1] == "no difference"


def test_diff_of_one_database_compares_its_two_runs(tmp_path: Path) -> None:
    log, database = FIXTURES / "violating" / "removed-out-of-order.trace", tmp_path / "run.db"
    for profile in ("2.6.9", "modern"):
        assert mmlist("replay", log, "-o", database, "--profile", profile).exit_code in (0, 1, 3)
    stored = json.loads(mmlist("diff", "--format", "json", database).stdout)
    fresh = json.loads(mmlist("diff", "--format", "json", log, "--profiles", "2.6.9,modern").stdout)
    assert stored | {"logs": None} == fresh | {"logs": None}
    assert mmlist("diff", database, database).exit_code == 2  # which of its runs?


def test_diff_takes_two_logs_or_one_and_two_profiles() -> None:
    assert mmlist("diff", CLEAN).exit_code == 2
    assert mmlist("diff", CLEAN, CLEAN, "--profiles", "2.6.9,modern").exit_code == 2
    assert mmlist("diff", CLEAN, "--profiles", "modern").exit_code == 2
