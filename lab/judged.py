"""What is asked of a boot: every definition taken, every log conforming, everything seen, one run the same three times."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import mmlist

_SEEN = {
    "fork": "SELECT count(*) FROM membership WHERE joined_by = 'fork'",
    "join": "SELECT count(*) FROM membership WHERE joined_by = 'pageout'",
    "leave": "SELECT count(*) FROM membership WHERE left_by = 'mmput'",
    "walk": "SELECT count(*) FROM visit",
    "drain": "SELECT count(*) FROM membership WHERE left_by = 'drain'",
    "swapoff busy": "SELECT count(*) FROM swapoff WHERE ret = 0 AND members_before > 0 AND passes > 0",
    "swapoff idle": "SELECT count(*) FROM swapoff WHERE ret = 0 AND members_before > 0 AND passes = 0 AND drained",
    "swapoff interrupted": "SELECT count(*) FROM swapoff WHERE ret = -4",
    "two areas": "SELECT count(DISTINCT path) - 1 FROM swapoff",
}
_SAME = {
    "memberships": "SELECT mm, joined_by, after_mm, evidence, left_by FROM membership ORDER BY id",
    "holdings": "SELECT mm, entry, from_why, to_why, evidence FROM holding ORDER BY id",
    "swapoffs": "SELECT path, type, passes, members_before, members_after, drained, ret FROM swapoff ORDER BY id",
    "visits": "SELECT swapoff, step, mm, got FROM visit ORDER BY swapoff, step",
}
"""Without lines, times and generations: a recording that begins later has seen fewer lives of an address."""

_COMPLAINTS = re.compile(r"trace_[kf]probe:|WARNING:|BUG:|Oops|rcu_\w+ (?:self-)?detected|refcount_t")


def of(out: Path) -> list[str]:
    """What is not as it should be in `out`, what a boot left (init.sh); the rest is printed."""
    wrong = [f"{line} in {out}" for line in (out / "results.txt").read_text().splitlines() if not line.endswith(" 0")]
    for log in sorted(out.glob("*.error_log")):
        if log.read_text().strip():
            wrong.append(f"{log} says that definitions were refused")
    wrong += [f"dmesg: {line}" for line in (out / "dmesg.txt").read_text().splitlines() if _COMPLAINTS.search(line)]
    if (out / "left_behind").read_text().strip():
        wrong.append(f"probes were left behind: {out / 'left_behind'}")
    for log in sorted([*out.glob("*.gz"), *out.glob("trace-cmd.txt"), *out.glob("perf.txt")]):
        wrong += _replayed(log)
    if not (out / "kprobe.tar.gz").exists():
        return [*wrong, f"no {out / 'kprobe.tar.gz'}"]
    counts = {what: _asked(out / "kprobe.tar.gz", query)[0][0] for what, query in _SEEN.items()}
    print("  seen: " + ", ".join(f"{what} {count}" for what, count in counts.items()))
    wrong += [f"no {what} was seen" for what, count in counts.items() if not count]
    for tool in ("trace-cmd", "perf"):
        if (out / f"{tool}.txt").exists():
            wrong += _compared(out / "kprobe.tar.gz", out / f"{tool}.txt")
    return wrong


def _replayed(log: Path) -> list[str]:
    database = _database(log)
    database.unlink(missing_ok=True)
    try:
        run = mmlist.run(str(log), database=str(database)).run
    except mmlist.MmlistError as error:
        return [str(error)]
    print(f"  {log.name}: {run.verdict}, {run.lines} lines, {run.compared} values compared, {run.differing} differ")
    # At random, a buffer may overflow, and what is fetched while others change it may be either.
    at_random = log.name.startswith("random")
    right = run.verdict != "violated" if at_random else run.verdict == "conforming" and not run.differing
    return [] if right else [f"{log} is {run.verdict}: {run.reason}"]


def _compared(log: Path, other: Path) -> list[str]:
    """How the replay of the same run, recorded by another tool, differs."""
    wrong = []
    for what, query in _SAME.items():
        one, two = _asked(log, query), _asked(other, query)
        if one != two:
            first = next((i for i, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
            wrong.append(
                f"{other} has other {what} from number {first} on: {one[first : first + 1]}, {two[first : first + 1]}"
            )
    if not wrong:
        print(f"  {other.name}: the same {', '.join(_SAME)} as {log.name}")
    return wrong


def _asked(log: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(_database(log))
    try:
        return connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # it could not be replayed
        return [(0,)]
    finally:
        connection.close()


def _database(log: Path) -> Path:
    return log.with_name(log.name + ".db")
