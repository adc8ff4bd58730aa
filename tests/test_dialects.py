"""One recording in every dialect: the same lives, memberships and holdings, and the same violations."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import printing
import pytest

from mmlist.replay import facts as f
from mmlist.replay.bind import NAMES
from mmlist.replay.history import replay
from mmlist.replay.log import Log
from mmlist.replay.parse import Parser
from mmlist.replay.record import Loss, Record

CAPTURES = Path(__file__).parent.parent / "fixtures" / "captures"
RECORDINGS = ("small-default", "swapoff-busy-idle", "mono-b3", "mono-b5-stock")


@functools.cache
def records_of(name: str) -> list[Record]:
    with Log.open(str(CAPTURES / f"{name}.trace.gz")) as log:
        return [item for item in Parser(log, NAMES).records() if isinstance(item, Record)]


def said(path: Path) -> dict[str, Any]:
    """What a log says, without lines and times."""
    with Log.open(str(path)) as log:
        facts = list(replay(log))
    run = facts[-1]
    assert isinstance(run, f.Run)
    spans = [fact for fact in facts if isinstance(fact, f.Membership)]
    holdings = [fact for fact in facts if isinstance(fact, f.Holding)]
    ledger = [fact for fact in facts if isinstance(fact, f.LedgerRow)]
    return {
        "run": run,
        "unparsed": [fact for fact in facts if isinstance(fact, f.UnparsedRow)],
        "ledger": sum(row.lines for row in ledger),
        "members": [(m.mm, m.generation, m.joined_by, m.after_mm, m.left_by, m.evidence) for m in spans],
        "holdings": sorted((h.mm, h.generation, h.entry, h.from_why, str(h.to_why)) for h in holdings),
        "violations": [
            (v.code, v.mm, v.generation, v.count, v.follows_from) for v in facts if isinstance(v, f.Violation)
        ],
        "compared": (run.compared, run.differing, run.mmlist_offset, run.init_mm),
    }


@functools.cache
def recorded(name: str) -> dict[str, Any]:
    return said(CAPTURES / f"{name}.trace.gz")


def reprinted(name: str, printer: str, folder: Path) -> dict[str, Any]:
    """What the recording says when it was printed by `printer`. Each line of it must be read."""
    path = folder / "log.txt"
    lines = list(getattr(printing, printer)(records_of(name)))
    path.write_bytes(printing.printed(lines))
    found = said(path)
    assert found["unparsed"] == []
    assert found["ledger"] == found["run"].lines == len(lines)
    assert found["run"].events == len(records_of(name))
    return found


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize("printer", printing.WITH_TIME)
def test_the_same_recording_says_the_same(name: str, printer: str, tmp_path: Path) -> None:
    found, base = reprinted(name, printer, tmp_path), recorded(name)
    assert found["run"].verdict == base["run"].verdict
    for what in ("members", "holdings", "violations", "compared"):
        assert found[what] == base[what], what


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize("printer", printing.WITHOUT_TIME)
def test_without_time_the_order_is_the_files_and_nothing_is_certain(name: str, printer: str, tmp_path: Path) -> None:
    found, base = reprinted(name, printer, tmp_path), recorded(name)
    assert found["run"].verdict == ("conforming" if base["run"].verdict == "conforming" else "unknown")
    assert found["members"] == base["members"]
    assert {code for code, *_ in found["violations"]} == {code for code, *_ in base["violations"]}


@pytest.mark.parametrize("name", RECORDINGS)
def test_without_tasks_nothing_is_known(name: str, tmp_path: Path) -> None:
    found = reprinted(name, "nocontext", tmp_path)
    assert found["run"].verdict == "unknown"
    assert "show no task and no CPU and no time" in found["run"].reason


ALL = {**printing.WITH_TIME, **printing.WITHOUT_TIME, "nocontext": printing.nocontext}
DIFFERENCES = "perf_deltas"  # told by a log's beginning alone


@pytest.mark.parametrize("first", ALL)
def test_captures_joined_in_one_file_are_all_read(first: str, tmp_path: Path) -> None:
    records = records_of("small-default")[:60]
    for second in ALL:
        if second == DIFFERENCES != first and first.startswith("perf"):
            continue
        path = tmp_path / f"{second}.txt"
        lines = [*ALL[first](records), *ALL[second](records)]
        path.write_bytes(printing.printed(lines))
        with Log.open(str(path)) as log:
            parser = Parser(log, NAMES)
            items = list(parser.records())
        assert parser.ledger.lines == len(lines), second
        assert parser.ledger.unparsed == 0, second
        names = [item.name for item in items if isinstance(item, Record)]
        assert names == [record.name for record in records] * 2, second


def test_an_instance_that_comes_later_is_another_buffer(tmp_path: Path) -> None:
    records = records_of("small-default")
    lines = list(printing.instances(records))
    lines[300:] = [line.replace(b"inst2: ", b"inst3: ") for line in lines[300:]]
    path = tmp_path / "log.txt"
    path.write_bytes(printing.printed(lines))
    found = said(path)
    assert (found["unparsed"], found["run"].events) == ([], len(records))
    assert found["run"].verdict == "unknown"
    assert "stand in 2 buffers" in found["run"].reason


def test_lines_of_the_main_buffer_have_blanks_instead_of_a_name(tmp_path: Path) -> None:
    records = records_of("small-default")
    lines = list(printing.instances(records))
    lines[40:] = [line.replace(b"inst2: ", b"       ") for line in lines[40:]]
    path = tmp_path / "log.txt"
    path.write_bytes(printing.printed(lines))
    found = said(path)
    assert (found["unparsed"], found["members"]) == ([], recorded("small-default")["members"])


@pytest.mark.parametrize("marker", ["sh-7  [000] 1.0: mmput: mm=0x1", "> quoted", "inst2: x", "[    1.000000] printk"])
def test_a_markers_second_line_changes_no_dialect(marker: str, tmp_path: Path) -> None:
    records = records_of("small-default")
    lines = list(printing.tracefs(records))
    assert records[50].at.ts is not None
    comm, stamp = b"%16s-%-7d (-------) [%03d] " % (b"sh", 7, records[50].at.cpu), records[50].ts_text or b""
    lines[52:52] = [comm + b"%12s: tracing_mark_write: two" % stamp, marker.encode()]
    path = tmp_path / "log.txt"
    path.write_bytes(printing.printed(lines))
    found = said(path)
    assert found["members"] == recorded("small-default")["members"]
    assert found["run"].dialect == "tracefs"


# --- several captures of one kind --------------------------------------------------------------------------------------


def losses(text: bytes, folder: Path) -> tuple[list[str], Parser, list[Record]]:
    path = folder / "log.txt"
    path.write_bytes(text)
    with Log.open(str(path)) as log:
        parser = Parser(log, NAMES)
        items = list(parser.records())
    return [item.kind for item in items if isinstance(item, Loss)], parser, [i for i in items if isinstance(i, Record)]


def test_files_of_two_cpus_one_behind_the_other_are_one_capture(tmp_path: Path) -> None:
    records = records_of("small-default")
    text = b"".join(printing.printed(printing.tracefs([r for r in records if r.at.cpu == cpu])) for cpu in (1, 0))
    kinds, parser, read = losses(text, tmp_path)
    assert (kinds, parser.ledger.unparsed, len(read)) == ([], 0, len(records))
    assert said(tmp_path / "log.txt")["members"] == recorded("small-default")["members"]


def test_what_went_on_between_two_captures_is_missing(tmp_path: Path) -> None:
    records = records_of("small-default")
    halves = [printing.printed(printing.tracefs(half)) for half in (records[:200], records[260:])]
    assert losses(b"".join(halves), tmp_path)[0] == ["joined"]
    assert losses(b"".join(reversed(halves)), tmp_path)[0] == ["backwards"]


def test_an_empty_buffers_header_between_two_captures_changes_nothing(tmp_path: Path) -> None:
    records = records_of("small-default")
    header = printing.printed(printing.HEADER)
    halves = [printing.printed(printing.tracefs(half)) for half in (records[260:], records[:200])]
    assert losses(header + halves[0] + header + halves[1], tmp_path)[0] == ["backwards"]


def test_a_file_cut_within_a_line_lacks_its_end(tmp_path: Path) -> None:
    text = printing.printed(printing.tracefs(records_of("small-default")))
    assert losses(text[:-1], tmp_path)[0] == []  # but the newline is missing
    lines = [line for line in text.splitlines(keepends=True) if b" mmput: " in line]
    for cut in (2, 5, 30, 60, len(lines[-1]) - 50, len(lines[-1]) - 20):
        kinds, parser, _ = losses(b"".join(lines)[:-cut], tmp_path)
        assert (kinds, parser.ledger.unparsed) == (["truncated"], 1), cut


def test_a_task_that_function_graph_names_too_late_leaves_the_verdict_open(tmp_path: Path) -> None:
    records = records_of("small-default")
    lines = list(printing.graph(records))
    switch = next(index for index, line in enumerate(lines) if b"=>" in line)
    filler = [b" 1)   0.123 us    |  up();"] * 20_000
    path = tmp_path / "log.txt"
    path.write_bytes(printing.printed([*lines[: switch - 1], *filler, *lines[switch - 1 :]]))
    found = said(path)
    assert found["unparsed"] == []
    assert found["run"].verdict == "unknown"
    assert found["run"].reason.startswith("lines of the log show no task")
