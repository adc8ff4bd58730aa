"""Reads a log: its records in replay order, each bound to the events that it is; what comes before the model."""

from __future__ import annotations

from collections.abc import Callable, Generator

from mmlist.replay.bind import Binder
from mmlist.replay.bound import Bound, Ending, Hole, Reached, Slip
from mmlist.replay.events import Event
from mmlist.replay.log import Block
from mmlist.replay.order import ordered
from mmlist.replay.parse import BACKWARDS
from mmlist.replay.payload import fields
from mmlist.replay.record import Loss, Record, Unparsed
from mmlist.replay.setup import Setup
from mmlist.replay.skim import capture_header, names_in_text

_FIELDS = frozenset(
    {
        "mm", "parent", "child", "oldmm", "dst", "src", "old", "entry", "usage", "pid", "type", "ret", "path", "flags",
        "busy_type", "task", "bprm", "head", "inuse0", "address", "clone_flags", "folio", "member",
    }
)  # fmt: skip
"""Fields by which the events of ours say something (EVENTS.md)."""

_EDGE = 16
"""Such a part of a log's time, at either end, may be recorded on some of the CPUs alone."""

Bind = Callable[[Record], list[Event]]
Said = Bound | Hole | Slip | Reached | Unparsed


def read(setup: Setup, binder: Binder, bind: Bind) -> Generator[Said, None, Ending]:
    """All that the log of `setup` says, in replay order, bound by `bind` (`binder`'s); returns what is known at its end.

    Raises InputError for a log that turns out to be none.
    """
    parser, said = setup.begun()
    log, slips = setup.log, parser.slips
    names: set[str] = set()
    seq = told = position = 0
    counts, seen, last = setup.kit.counts, dict[int | None, int](), 0
    first: int | None = None
    items = ordered(said)
    for item in items:
        if isinstance(item, Record):
            if log.position != position:
                position = log.position
                yield Reached(position)
            while told < len(slips):
                yield Slip(*slips[told])
                told += 1
            seq, last = item.at.seq, max(last, item.at.offset)
            first = item.at.ts if first is None else first
            if counts:
                seen[item.at.cpu] = seen.get(item.at.cpu, 0) + 1
            readable = item.name not in names and _readable(item)
            if readable:
                names.add(item.name)
            yield Bound(item.at, item.name, readable, bind(item))
        elif isinstance(item, Loss):
            yield hole(item, seq, binder)
        else:
            if BACKWARDS in item.reason and names_in_text([Block(0, 0, item.text)], setup.aliases):
                yield hole(Loss(item.at, item.at.cpu, None, item.at.ts, item.at.ts, "doubted"), seq, binder)
            yield item
    last_times = parser.last_times()
    inside = _inside(first, max(last_times.values(), default=0))
    counts = counts or any((capture_header(line) or {}).get("printed") is True for line in parser.captures)
    return Ending(
        parser.ledger,
        counts,
        # What a task's name says stands before the last record.
        {cpu: count for cpu, (offset, count) in parser.printed.items() if counts and offset > last},
        seen,
        last_times,
        parser.ts_unit,
        parser.dialect,
        parser.machine,
        parser.lacking,
        parser.buffers,
        items.late,
        binder.probed,
        binder.unentered.count(*inside),
        binder.unborn.count(*inside),
        setup.mapped,
    )


def _inside(first: int | None, last: int) -> tuple[int, int]:
    """The times between which all probes are on all CPUs: perf switches each on and off on one CPU after the other."""
    edge = (last - (first or 0)) // _EDGE
    return (first or 0) + edge, last - edge


def hole(loss: Loss, seq: int, binder: Binder) -> Hole:
    """`loss`, after all that was replayed up to `seq`, with the events that it is."""
    loss.at.seq = seq  # after all that was replayed: what was known until here may be so no more
    return Hole(loss, binder.lost(loss))


def _readable(record: Record) -> bool:
    """Whether a record has a field that its event may have: one with others alone says nothing."""
    found = fields(record)
    return not found or not _FIELDS.isdisjoint(found)
