"""The benchmark: its logs are what they are said to be, and it runs. How fast anything is, no test asks."""

import gzip
import itertools
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import mmlist
from mmlist.replay.bind import NAMES
from speed import cases, contenders, logs, page, parts, plot
from speed.cases import FORMS, Case, Goal
from speed.results import Results, Row, Sample, Stages, Table, load, save

LINES = 1500
TIME = re.compile(rb"(\d+\.\d{6}): ")


@pytest.mark.parametrize(
    ("mix", "form"), [*itertools.product(["third"], FORMS), ("sparse", "tracefs"), ("ours", "trace_cmd")]
)
def test_a_log_is_a_correct_history_in_its_form(mix: str, form: str, tmp_path: Path) -> None:
    log = logs.build(Case(mix, form, LINES), tmp_path)
    found = mmlist.run(log)
    assert found.run.verdict == "conforming" and not found.unparsed
    ours, lines = found.run.events, logs.counted(log)
    share = 1 / (cases.MIXES[mix].noise + 1)
    assert 0.8 * LINES < lines <= LINES + 60
    assert 0.7 * share < ours / lines < 1.1 * share
    times = [float(match[1]) for line in log.read_bytes().splitlines() if (match := TIME.search(line))]
    assert times == sorted(times)


def test_a_log_is_built_once(tmp_path: Path) -> None:
    case = Case("ours", "tracefs", 100)
    log = logs.build(case, tmp_path)
    log.write_text("kept")
    assert logs.build(case, tmp_path).read_text() == "kept"
    assert list(tmp_path.iterdir()) == [log]


@pytest.mark.parametrize("form", FORMS)
def test_awk_counts_the_field_with_the_name(form: str, tmp_path: Path) -> None:
    log = logs.build(Case("explicit", form, LINES), tmp_path)
    field = logs.name_field(log) - 1
    words = [line.split()[field] for line in log.read_text().splitlines() if TIME.search(line.encode())]
    ours = [word for word in words if word.strip(":").rpartition(":")[2] in NAMES]
    assert len(ours) > 0.95 * len(words)  # a comm may have blanks
    assert "mmput" in logs.names_in(log, NAMES)


@pytest.mark.parametrize("form", FORMS)
def test_the_script_reads_every_line(form: str, tmp_path: Path) -> None:
    log = logs.build(Case("third", form, LINES), tmp_path)
    script = [sys.executable, str(contenders.PEERS / "adhoc.py"), str(log)]
    told = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    assert int(told.split()[1]) == sum(bool(TIME.search(line)) for line in log.read_bytes().splitlines())


def test_the_benchmark_runs(tmp_path: Path) -> None:
    ran = command("--quick", "-o", str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    told = (tmp_path / "bench.md").read_text()
    assert "| **mmlist** | " in told and "Python re" in told
    assert ElementTree.fromstring((tmp_path / "bench.svg").read_text()).tag.endswith("svg")


def test_a_log_of_the_users_own_is_measured_as_it_is_packed(tmp_path: Path) -> None:
    log = tmp_path / "mine.txt.gz"
    log.write_bytes(gzip.compress(logs.build(Case("ours", "tracefs", 300), tmp_path).read_bytes()))
    ran = command("--quick", str(log))
    assert ran.returncode == 0, ran.stderr
    # 300 and the header
    assert "mine.txt.gz: 310 lines" in ran.stdout and "as it is packed" in ran.stdout


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    ran = command("--quick", str(tmp_path / "none"))
    assert ran.returncode == 1 and ran.stderr.startswith("bench: ")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**logs.environment(), "PYTHONPATH": f"{logs.ROOT / 'bench'}:{logs.ROOT / 'src'}"}
    every = [sys.executable, "-m", "speed", *arguments]
    return subprocess.run(every, env=environment, capture_output=True, text=True, check=False)


def test_a_page_holds_goals_against_figures_and_says_who_did_not_run(tmp_path: Path) -> None:
    results = measured()
    text, picture = page.write(results, tmp_path)
    told = text.read_text()
    assert "(trace_cmd): times mawk | ≤ 28 | ≤ 19 | 20.0 | must reached |" in told
    assert "(trace_cmd): times half of them | ≤ 2.3 | ≤ 2.1 | 2.0 | aim reached |" in told
    assert "(trace_cmd): peak memory, MB | ≤ 200 | ≤ 100 | 300 | **missed** |" in told
    assert "Not measured: polars (not installed: make peers)." in told
    assert "| 0.20 s | 1.50 | 1.50 |" in told
    assert "must 28" in picture.read_text() and "aim 19" in picture.read_text()


def test_results_are_kept_and_replaced(tmp_path: Path) -> None:
    results = measured()
    save(results, tmp_path / "kept" / "results.json")
    again = load(tmp_path / "kept" / "results.json")
    assert again == results
    again.add(again.tables[0])
    assert len(again.tables) == len(results.tables)
    assert load(tmp_path / "none.json") == Results()


def test_a_goal_may_be_a_least() -> None:
    assert [Goal(4, 6, least=True).verdict(figure) for figure in (3.9, 4, 6)] == ["missed", "must", "aim"]
    assert [Goal(28, 19).verdict(figure) for figure in (28.1, 28, 19)] == ["missed", "must", "aim"]


def measured() -> Results:
    def table(part: str, lines: int, took: float, peak: float = 50) -> Table:
        mawk = Row("mawk", "counts", [Sample(0.1, 0.1, 11)])
        samples = [Sample(took + more, took, peak) for more in (0.0, -0.1, 0.1)]
        absent = Row("polars", "columns", [], "not installed: make peers")
        return Table(
            part, Case("ours", "trace_cmd", lines), lines, 10 * lines, [mawk, Row("mmlist", "all", samples), absent]
        )

    tables = [table("main", 10**6, 2.0), table("growth", 10**6, 2.0), table("growth", 2 * 10**6, 4.0, 300)]
    stages = Stages(Case("ours", "trace_cmd", 10**6), 10**6, [("start", 0.2), ("parse", 1.5)])
    return Results("a machine", "abc", 3, tables, [stages])


def test_every_part_has_a_name_for_the_command() -> None:
    assert set(parts.PARTS) == {"main", "short", "forms", "growth", "start", "stages"}
    assert plot.drawn([]).endswith("</svg>\n")
