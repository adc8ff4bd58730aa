"""swapoff returned 0 and an entry of its area is still held, or is named later.

What it says
    A successful swapoff leaves no entry of its area anywhere.

Why the kernel needs it
    The area's data is gone. Whoever still holds an entry of it reads nothing, or what the next area of that type holds.

Kernel reference
    mm/swapfile.c: try_to_unuse, SYSCALL swapoff.

Limits
    Judged for entries that are certainly held: what swapoff releases is often named by no line, and then what its walk touched
    is unknown. Also where the walk itself failed; and, where each step is an event, for an entry that is counted though no pte
    is known that holds it (in 2.6 more than once, for the swap cache is counted there). An allocation seen later is another
    fault (D7). Where no line tells the area's type it was counted, from the lowest on: an area in use before the log
    began would make it another, so it is undecided, but up to a type that a walk has shown as it was counted.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, TYPE_COUNTED, Finding, Invariant, kernel_site, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import LeftCounted, Named, SwapoffEnded
from mmlist.replay.model.failures import errno
from mmlist.replay.record import At

_SHOULD = "try_to_unuse goes on until inuse_pages of the area is 0 (mm/swapfile.c: try_to_unuse)"
_FAILS = "where try_to_unuse fails, swapoff gives the area back and returns its error (mm/swapfile.c: SYSCALL swapoff)"


def check(change: SwapoffEnded | LeftCounted | Named, state: State) -> Iterator[Finding]:
    """An entry that outlived its area."""
    if isinstance(change, Named | LeftCounted):
        yield _named(change, state) if isinstance(change, Named) else _counted(change, state)
        return
    if change.ret == 0 and not change.held and errno(change.call.unuse_ret):
        yield _failed(change, state)
    type_ = change.call.type
    known = type_ is not None and state.which_area(change.call.told, type_)
    for mm, entry, hold in change.held:
        yield Finding(
            change.at,
            f"swapoff of area {change.call.type} returned 0 while {name(mm)} still holds entry {entry:#x}",
            [
                witness(hold.at, "entry assigned here", kernel_site(hold.why)),
                witness(change.call.at, "swapoff begins here", "swapoff"),
                witness(change.at, "returned 0 here", "swapoff", f"{name(mm)} holds entry {entry:#x}", _SHOULD),
            ],
            mm,
            entry,
            type=change.call.type,
            since=_first(hold.at, change.call.told),
            explicit=hold.observed and state.carries.unuse_clears,
            rests_on_releases=not hold.observed,
            follows=[("M1", mm), ("M8", mm), ("S1", None)],
            cap="proven" if known else "undecided",
            doubt=TYPE_COUNTED,
        )


def _failed(change: SwapoffEnded, state: State) -> Finding:
    call, failed = change.call, f"try_to_unuse returned -{errno(change.call.unuse_ret)}"
    assert call.unuse_at is not None
    return Finding(
        change.at,
        f"swapoff returned 0 though {failed}",
        [
            witness(call.at, "swapoff begins here", "swapoff"),
            witness(call.unuse_at, "the walk failed here", "try_to_unuse"),
            witness(change.at, "returned 0 here", "swapoff", failed, _FAILS),
        ],
        type=call.type,
        since=call.at,
        explicit=state.carries.shows("swapoff", "swapoff_ret", "try_to_unuse", "try_to_unuse_ret"),
        follows=[("S1", None)],
        cap="proven" if call.begun and call.returns_show else "likely",
        doubt="the log has no return of a swapoff before: this one may be of another",
    )


def _counted(change: LeftCounted, state: State) -> Finding:
    call = change.call
    return Finding(
        change.at,
        f"swapoff of area {call.type} returned 0 while the count of entry {change.entry:#x} is {change.count}",
        [
            witness(change.then, "counted here", "swap_map"),
            witness(call.at, "swapoff begins here", "swapoff"),
            witness(
                change.at,
                "returned 0 here",
                "swapoff",
                f"the count of entry {change.entry:#x} is {change.count}",
                _SHOULD,
            ),
        ],
        None,
        change.entry,
        type=call.type,
        since=_first(change.allocated or change.then, call.told),
        explicit=state.carries.shows("swap_free", "swap_duplicate"),
        follows=[("M1", None), ("M8", None), ("S1", None)],
        cap="proven" if call.type is not None and state.which_area(call.told, call.type) else "undecided",
        doubt=TYPE_COUNTED,
    )


def _named(change: Named, state: State) -> Finding:
    return Finding(
        change.at,
        f"entry {change.entry:#x} of swap area {change.type} is named after its swapoff returned 0",
        [
            witness(change.closed, "swapoff returned 0 here", "swapoff"),
            witness(change.at, "named here", change.what, f"area {change.type} is not in use", _SHOULD),
        ],
        change.mm,
        change.entry,
        type=change.type,
        since=_first(change.closed, change.told),
        explicit=state.carries.shows("swapon"),
        order=[(change.closed, change.at)],
        follows=[*([("M1", change.mm), ("M8", change.mm)] if change.mm is not None else []), ("S1", None)],
        cap="proven" if state.which_area(change.told, change.type) else "undecided",
        doubt=TYPE_COUNTED,
    )


def _first(line: At, told: At | None) -> At | None:
    """The first line that it rests on; None the log's beginning: which area it is was counted from there."""
    return told if told is None or told.seq < line.seq else line


INVARIANT = Invariant(
    "D5",
    "swapoff-left-entries",
    "E",
    "swapoff returned 0 and an entry of that area is still held, or is named later",
    ALL,
    needs(
        "swapoff_ret",
        "swap_assign swap_duplicate swap_free swap_free_nr free_swap_and_cache free_swap_and_cache_nr "
        "folio_dup_swap swap_dup_entry_direct swap_put_entries_direct",
    ),
    (SwapoffEnded, LeftCounted, Named),
    check,
)
