"""One recording in every dialect: the same lives, memberships and holdings, and the same violations."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

import printing
from mmlist.replay import facts as f
from mmlist.replay.bind import NAMES
from mmlist.replay.history import replay
from mmlist.replay.log import Log
from mmlist.replay.parse import Parser
from mmlist.replay.record import Record

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
    assert "shows no task and no CPU and no time" in found["run"].reason
