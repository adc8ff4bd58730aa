"""What is missing from a log though no line of it says so: by the count of who recorded it, or because that count is gone."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mmlist.replay.bound import Ending
from mmlist.replay.facts import LossRow
from mmlist.replay.kit import Kit
from mmlist.replay.machine import FEW

_KINDS = {
    "truncated": "the file is cut short",
    "overwritten": "the buffer was overwritten",
    "buffer_started": "a CPU's beginning is missing",
    "backwards": "time goes backwards",
    "joined": "captures were joined",
    "doubted": "a line that goes back in time was not believed",
    "uncounted": "the buffers lost events that no line of the log speaks of",
    "tail": "the end of a CPU's events was not printed, more than a second of the log",
    "unended": "the log does not end with how much of it was printed (@printed)",
    "one_cpu": "the other CPUs' lines are missing",
    "unfreed": "lines are missing, as of some tasks (frees of mms whose addresses are used anew)",
    "unentered": "lines are missing where nothing marks it (calls return that never began)",
    "unborn": "lines are missing where nothing marks it (tasks appear that were never forked)",
    "untold": "nothing says whether the buffers lost events (stats-before.txt and stats-after.txt of the bundle)",
}


UNMARKED = {
    "uncounted": "events were lost, nobody knows where: a step that would explain it may be among them",
    "unended": "the log does not end with how much of it was printed: a step that would explain it may be missing",
    "one_cpu": "the log is of one CPU out of several: a step that would explain it may have been on another",
    "unfreed": "mms were freed that the log does not show: so may a step that would explain it be missing",
    "unentered": "calls return that never began: lines are missing, and a step that would explain it may be among them",
    "unborn": "tasks appear that were never forked: lines are missing, and a step that would explain it may be among them",
    "untold": "nothing says whether the buffers lost events: a step that would explain it may have been among them",
}
"""Of losses that no line of the log marks, why a violation is undecided."""

_SIGNS, _SIGNS_BY_HAND = 2, 8
"""So many mms whose free is not in the log, calls that never began, tasks that were never forked: together they show that
lines are missing. One may be of a probe that missed a call, unless the header has more entries than there are lines. Without
probes some are left out by who wrote the log.
"""

_TAKEN_OUT = "the header has more entries than there are lines: a step that would explain it may have been taken out"
_PROBED = "probes stand further on in the log, which may have missed a step that would explain it"
"""Where the log's beginning has none."""


class Missing(msgspec.Struct):
    """`rows`: the losses, all of `kind`. `anywhere`: they may be of any place; else they are behind a CPU's last line, and
    the log goes on for `tail` units of ts behind it.
    """

    kind: str
    rows: list[LossRow]
    anywhere: bool
    tail: int = 0


def missing(ending: Ending, kit: Kit, *, marked: bool, unfreed: int, probed: bool) -> Missing | None:
    """What is missing of a log that was read to its end; `marked`: some of its lines are marks of losses.

    `unfreed` mms lived where the log has others born, though it has frees, `probed` or explicit.
    """
    printed, records, line = sum(ending.printed.values()), ending.ledger.records, ending.ledger.lines
    tails = {} if marked else _tails(ending)
    if tails:
        times = ending.last_times
        rows = [LossRow(line, cpu, times[cpu], None, count, "tail") for cpu, count in tails.items()]
        return Missing("tail", rows, False, max(times.values()) - min(times[cpu] for cpu in tails))
    if ending.counted and printed > records:
        kind, count = "uncounted", printed - records
    elif ending.counted and printed != records:
        kind, count = "unended", None
    elif not ending.counted and _one_cpu(ending):
        kind, count = "one_cpu", None
    elif (sign := _sign(ending, unfreed, probed)) and not marked:
        kind, count = sign, None
    elif kit.loses and not marked:
        kind, count = kit.loss, kit.lost
    else:
        return None
    return Missing(kind, [LossRow(line, None, None, None, count, kind)], True)


def incomplete(ending: Ending, kit: Kit, *, whole: bool) -> str:
    """Why nothing that rests on the log being complete is proven by it; empty where nothing speaks against that.

    `whole`: by its beginning no call can have been missed (Carries.whole).
    """
    if _cut(ending):
        return _TAKEN_OUT
    return _PROBED if whole and ending.probed and not kit.exact else ""


def _sign(ending: Ending, unfreed: int, probed: bool) -> str:
    """What shows most that lines are missing where nothing marks it; empty where too little does."""
    unborn = ending.unborn if ending.ledger.records >= FEW else 0
    signs = {"unfreed": unfreed, "unentered": ending.unentered, "unborn": unborn}
    least = _SIGNS if probed else _SIGNS_BY_HAND
    shown = sum(signs.values())
    if shown and _cut(ending):
        shown += 1  # what was taken out was not of others alone
    return max(signs, key=lambda kind: signs[kind]) if shown >= least else ""


def _one_cpu(ending: Ending) -> bool:
    return ending.machine.one_cpu(ending.last_times, ending.ledger.records, _more(ending))


def _cut(ending: Ending) -> bool:
    """Whether somebody has taken lines out of the log: it has fewer than its header has entries. They may have been of others."""
    # function_graph prints a call and its return as one line
    return ending.dialect != "function_graph" and ending.machine.short(ending.ledger.records, _more(ending))


def _more(ending: Ending) -> int:
    """Lines that are entries, and no records."""
    return ending.ledger.continuation + ending.ledger.unparsed


def _tails(ending: Ending) -> dict[int, int]:
    """How many events are missing of each CPU behind its last line; empty where they may be missing elsewhere, too.

    bpftrace reads each CPU's buffer in order and marks what ran over: what else is missing it had not read at its end.
    """
    printed, seen = ending.printed, ending.seen
    if not seen or not seen.keys() <= printed.keys() or not printed.keys() <= ending.last_times.keys():
        return {}
    lacking = {cpu: count - seen.get(cpu, 0) for cpu, count in printed.items()}
    if min(lacking.values()) < 0:
        return {}
    return {cpu: count for cpu, count in lacking.items() if count}


def in_words(losses: Mapping[str, int]) -> str:
    """What is missing: losses by kind, and in how many places where lines mark them."""
    kinds = [said for kind, said in _KINDS.items() if losses.get(kind)]
    marked = sum(count for kind, count in losses.items() if kind not in _KINDS)
    if marked:
        kinds.insert(0, f"events lost in {marked} place{'s' if marked > 1 else ''}")
    return ", ".join(kinds)
