"""Facts as rows: the tuple that each fact becomes, in the order of its table's columns after `run`.

A row function takes the row's number in its table, from 1, and the fact. Numbers follow the order in which facts come,
so the same history gives the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmlist.replay.facts import (
    Checked,
    EventRow,
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
)
from mmlist.replay.record import At

Row = tuple[int | str | bytes | None, ...]


def _hex(number: int | None) -> str | None:
    return None if number is None else hex(number)


def readable(data: bytes) -> str:
    """Bytes as text for people: what is not UTF-8 becomes U+FFFD."""
    return data.decode("utf-8", "replace")


def readable_if_needed(data: bytes | None) -> str | None:
    """Text for a raw line that SQL cannot read as it is; None where it can (`CAST(raw AS TEXT)`)."""
    if data is None:
        return None
    try:
        data.decode()
    except UnicodeDecodeError:
        return readable(data)
    return None


def _place(at: At) -> Row:
    return at.line, at.offset, at.seq, at.ts, at.cpu, at.pid, readable(at.comm)


def _life(_: int, f: Life) -> Row:
    born = f.born_line, f.born_ts, f.born_by, _hex(f.parent_mm), f.parent_generation
    ends = f.final_put_line, f.exit_mmap_line, f.freed_line, f.freed_ts, f.last_line
    return hex(f.mm), f.generation, f.first_line, *born, *ends


def _task(number: int, f: TaskSpan) -> Row:
    return number, f.pid, readable(f.comm), f.first_line, f.exit_line


def _swap_area(number: int, f: SwapArea) -> Row:
    return number, f.type, f.path, f.swapon_line, f.swapon_ts, f.swapoff_line, f.swapoff_ts


def _event(number: int, f: EventRow) -> Row:
    return number, *_place(f.at), f.name, _hex(f.mm), f.generation, _hex(f.entry)


def _membership(number: int, f: Membership) -> Row:
    return (
        *(number, hex(f.mm), f.generation, f.joined_line, f.joined_seen_line, f.joined_seq, f.joined_ts, f.joined_by),
        *("init_mm" if f.after_mm == 0 else _hex(f.after_mm), f.after_generation, f.rank, f.evidence),
        *(f.left_line, f.left_seq, f.left_ts, f.left_by),
    )


def _holding(number: int, f: Holding) -> Row:
    since = f.from_line, f.from_ts, f.from_why
    return number, hex(f.mm), f.generation, hex(f.entry), *since, f.to_line, f.to_ts, f.to_why, f.evidence


def _swapoff(number: int, f: Swapoff) -> Row:
    call = f.begin_line, f.begin_ts, f.pid, readable(f.comm), f.path, f.type, f.passes
    members = f.members_before, f.members_after, f.drained, f.drain_line
    return number, *call, *members, f.end_line, f.end_ts, f.ret


def _visits(number: int, f: Swapoff) -> list[Row]:
    return [
        (number, step, hex(v.mm), v.generation, v.line, v.ts, v.got, v.evidence) for step, v in enumerate(f.visits, 1)
    ]


def _violation(_: int, f: Violation) -> Row:
    about = f.last_line, f.count, _hex(f.mm), f.generation, _hex(f.entry), f.type
    said = f.follows_from, f.signature, f.message, f.reason
    return f.id, f.code, f.slug, f.severity, f.certainty, *_place(f.at), *about, *said


def _witnesses(_: int, f: Violation) -> list[Row]:
    return [
        (f.id, step, *_place(w.at), w.role, w.site, w.state, w.should, w.place, w.text, readable_if_needed(w.text))
        for step, w in enumerate(f.witness, 1)
    ]


def _loss(number: int, f: LossRow) -> Row:
    return number, f.line, f.cpu, f.since_ts, f.until_ts, f.count, f.kind


def _unparsed(number: int, f: UnparsedRow) -> Row:
    return number, f.line, f.offset, f.column, f.reason, f.severity, f.text, readable_if_needed(f.text)


def _reordered(_: int, f: Reordered) -> Row:
    return f.line, f.seq


def _checked(_: int, f: Checked) -> Row:
    return f.code, f.slug, f.severity, f.status, f.reason


def _ledger(number: int, f: LedgerRow) -> Row:
    return number, f.kind, f.name, f.lines


def _statistic(_: int, f: Statistic) -> Row:
    return f.name, f.value, f.text


def _run(_: int, f: Run) -> Row:
    log = f.log, f.sha256, f.size, f.lines, f.profile, f.profile_reason, f.clock, f.ts_unit, f.dialect, f.options
    outcome = f.verdict, f.reason, f.events, f.compared, f.differing
    return *log, *outcome, f.mmlist_offset, f.mmlist_offset_source, _hex(f.init_mm), f.init_mm_source, f.release


ROWS: dict[type, tuple[str, Callable[[int, Any], Row]]] = {
    Life: ("mm", _life),
    TaskSpan: ("task", _task),
    SwapArea: ("swap_area", _swap_area),
    EventRow: ("event", _event),
    Membership: ("membership", _membership),
    Holding: ("holding", _holding),
    Swapoff: ("swapoff", _swapoff),
    Violation: ("violation", _violation),
    LossRow: ("loss", _loss),
    UnparsedRow: ("unparsed", _unparsed),
    Reordered: ("reordered", _reordered),
    Checked: ("invariant", _checked),
    LedgerRow: ("ledger", _ledger),
    Statistic: ("statistic", _statistic),
    Run: ("run", _run),
}
"""Type of fact -> its table and its row."""

CHILDREN: dict[type, tuple[str, Callable[[int, Any], list[Row]]]] = {
    Swapoff: ("visit", _visits),
    Violation: ("witness", _witnesses),
}
"""Type of fact -> the table of what it holds, and those rows."""
