"""swapoff goes over the list again and again, and the entries do not get fewer.

What it says
    Every few passes of swapoff leave fewer entries of its area. Where they do not, it says who holds what is left: stuck (the
    holder is not on mmlist, so no pass finds it), blocked (something else keeps it), slow (it went on in the end), or
    killed (a signal ended it).

Why the kernel needs it
    try_to_unuse has no limit: a swapoff whose entries nobody gives back takes a CPU for ever.

Kernel reference
    mm/swapfile.c: try_to_unuse, shmem_unuse (the first call of a pass), unuse_mm.

Limits
    Suspicious, not wrong: 3 passes where an mm that is certainly off the list holds an entry, 8 where a live one that every
    pass meets does, 100 otherwise, or 10 seconds. Passes are told by shmem_unuse or by visits; progress by any entry of
    the area that is let go, by anybody, or by inuse_pages. Legal causes: an exit_mmap that takes its time, shmem's
    writeback, mms that the OOM killer left unstable, slots of hibernation.

    Where every mm that a pass meets is an event, and joins and removals are, a pass that another one follows has to have
    met all who were on mmlist before it began and still are: an earlier end has no other pass behind it (5.1). Where no
    event says that a pass begins, it begins with the second visit to an mm. A skipped mm whose mm_users is shown above 0
    should not have been skipped. Before 5.1, a round for one entry that ends though no entry of the area was let go, while
    swapoff goes on, has to have met all who were on mmlist. Three walks of one mm bring back what it held before the
    first, where that shows. It is likely where the release does not say 5.10, 5.15 or 6.1: newer kernels do not walk an mm
    that the OOM killer left unstable (6.18, and stable ones since 6.12).
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, kernel_site, listed, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import EndedEarly, Holder, LeftBehind, NoProgress, PassedOver

_SHOWN = 3
_ROUND = "a pass goes on to init_mm while pages are in use and no signal is pending (mm/swapfile.c: try_to_unuse)"
_ONE_BY_ONE = "a round goes back to start_mm while a pte holds its entry (mm/swapfile.c: try_to_unuse, before 5.1)"
_SKIPS = (
    "mmget_not_zero fails only on an mm whose mm_users is 0 (include/linux/sched/mm.h; mm/swapfile.c: try_to_unuse)"
)
_WHOLE = "unuse_mm brings back all that the mm has on the area, or the walk fails (mm/swapfile.c: unuse_mm)"
_UNSTABLE = "swapoff passes over what the OOM killer left unstable, unless a capture header names 5.10, 5.15 or 6.1"
_SHOULD = "every pass finds the holders on mmlist, and takes their entries (mm/swapfile.c: try_to_unuse, unuse_mm)"


def check(change: NoProgress | PassedOver | EndedEarly | LeftBehind, state: State) -> Iterator[Finding]:
    """A swapoff that did not get on, or a pass of it that passed somebody over, or left something behind."""
    if isinstance(change, PassedOver | LeftBehind):
        yield _passed_over(change) if isinstance(change, PassedOver) else _left_behind(change, state)
        return
    if isinstance(change, EndedEarly):
        yield _ended_early(change)
        return
    call = change.call
    unlisted = [one for one in change.left if one.unlisted]
    lines = [witness(call.at, "swapoff begins here", "swapoff")]
    if change.idle is not call.at:
        lines.append(witness(change.idle, "no fewer entries from here on", "try_to_unuse"))
    lines.append(witness(change.until, "no fewer entries until here", "try_to_unuse", _who(change), _SHOULD))
    if change.resumed is not None and change.resumed is not change.ended:
        lines.append(witness(change.resumed, "goes on here", "swap_free"))
    if change.ended is not None:
        lines.append(witness(change.ended, "interrupted here" if change.killed else "returned here", "swapoff"))
    yield Finding(
        change.at,
        f"swapoff is {_kind(change)}: {_measure(change, state)} without fewer entries; {_who(change)}",
        lines,
        type=call.type,
        since=change.idle,
        explicit=state.carries.unuse_clears and state.carries.clears_explicit,
        follows=[(code, one.mm) for one in (unlisted or change.left) for code in ("D4", "M1", "M8", "D6")]
        + [("S1", None)],
        episode=call.at.seq,
    )


def _passed_over(change: PassedOver) -> Finding:
    mm, call = change.mm, change.call
    others = f" and {change.missed - 1} more" if change.missed > 1 else ""
    holds = f"{name(mm)} is on mmlist" + (" and holds an entry" if change.holds else "")
    joined = [witness(mm.joined, "joined here", "list_add")] if mm.joined is not None else []
    if change.users is not None:
        return Finding(
            change.at,
            f"swapoff skips {name(mm)}, whose mm_users is {change.users}",
            [witness(change.at, "skipped here", "try_to_unuse", f"mm_users is {change.users}, as fetched", _SKIPS)],
            mm,
            type=call.type,
            alone=True,
            episode=call.at.seq,
        )
    return Finding(
        change.at,
        f"a pass of swapoff went past {name(mm)}{others}, on mmlist all the time",
        [
            *joined,
            witness(change.began, "pass begins here", "try_to_unuse"),
            witness(change.at, "next pass begins here", "try_to_unuse", holds, _ROUND),
            *([witness(change.alive, "linked, with users, here", "mmput")] if change.alive is not None else []),
        ],
        mm,
        type=call.type,
        since=mm.joined,
        explicit=change.alive is None,
        cap="likely" if change.alive is not None else "proven",
        follows=[("M2", None), ("M9", None), ("M8", None), ("D3", None)],
        episode=call.at.seq,
    )


def _ended_early(change: EndedEarly) -> Finding:
    mm, call = change.mm, change.call
    others = f" and {change.missed - 1} more" if change.missed > 1 else ""
    joined = [witness(mm.joined, "joined here", "list_add")] if mm.joined is not None else []
    return Finding(
        change.at,
        f"swapoff's walk for an entry ended before {name(mm)}{others}, on mmlist all the time, and no entry was let go",
        [
            *joined,
            witness(change.began, "walk begins here", "try_to_unuse"),
            witness(change.ended, "walk ends here", "try_to_unuse", f"{name(mm)} is on mmlist", _ONE_BY_ONE),
            witness(change.at, "swapoff goes on here", "try_to_unuse"),
        ],
        mm,
        type=call.type,
        since=mm.joined,
        explicit=True,
        follows=[("M2", None), ("M9", None), ("M8", None), ("D3", None)],
        episode=call.at.seq,
    )


def _left_behind(change: LeftBehind, state: State) -> Finding:
    mm, held = change.mm, f"{name(change.mm)} holds entry {change.entry:#x}"
    return Finding(
        change.at,
        f"swapoff walks {name(mm)} again and again and leaves swap entry {change.entry:#x} behind",
        [
            witness(change.hold.at, "entry assigned here", kernel_site(change.hold.why)),
            witness(change.visited, "walked here", "try_to_unuse", held),
            witness(change.at, "left behind again here", "try_to_unuse", held, _WHOLE),
        ],
        mm,
        change.entry,
        type=change.call.type,
        since=change.hold.at,
        explicit=True,
        cap="proven" if state.profile.walks_unstable and change.call.begun else "likely",
        doubt=_UNSTABLE,
        episode=change.call.at.seq,
    )


def _kind(change: NoProgress) -> str:
    if any(one.unlisted for one in change.left):
        return "stuck, and was killed" if change.killed else "stuck"
    if change.killed:
        return "killed"
    return "slow" if change.resumed is not None or change.ended is not None else "blocked"


def _measure(change: NoProgress, state: State) -> str:
    passes = f"{change.passes} passes" if change.passes else ""
    if state.second and change.until.ts is not None and change.idle.ts is not None:
        seconds = (change.until.ts - change.idle.ts) / state.second
        return f"{passes}, {seconds:.3g} s" if passes else f"{seconds:.3g} s"
    return passes


def _who(change: NoProgress) -> str:
    if not change.left:
        pages = f"{change.pages} pages are left" if change.pages else "what is left"
        return (
            f"{pages}, of holders that the log does not name" if change.pages else "who holds what is left is not known"
        )
    first = sorted(change.left, key=lambda one: not one.unlisted)[:_SHOWN]
    rest = len(change.left) - len(first)
    return ", ".join(map(_holder, first)) + (f" and {rest} more" if rest else "")


def _holder(one: Holder) -> str:
    entries = f"{one.entries} entries" if one.entries > 1 else "an entry"
    how = "holds" if one.certain else "may hold"
    state = "is in its exit_mmap" if one.dying else listed(one.mm, one.listed).removeprefix(name(one.mm)).strip()
    return f"{name(one.mm)} {how} {entries} ({state})"


INVARIANT = Invariant(
    "D6",
    "swapoff-no-progress",
    "W",
    "passes of swapoff, or time, without fewer entries",
    ALL,
    needs(
        "shmem_unuse mmlist_visit unuse_pte_range unuse_mm try_to_unuse",
        "swap_assign swap_clear swap_free swap_free_nr __swap_entry_free_ret swap_put_entries_direct folio_put_swap",
    ),
    (NoProgress, PassedOver, EndedEarly, LeftBehind),
    check,
)
