"""The reference model: what mmlist, mm_users and swap entries are, and what one event changes.

`State.step(event)` is the whole of it: it mutates the state and answers with what changed, as data (changes.py). It does
no I/O and knows nothing of log lines but their place. The parts: core (what all share), holdings (swap entries), folios,
membership (who is listed), lives (births, counts, ends), links and fetched (what probes read), areas, swapoffs, drains, failures,
walks and progress, passes and rounds (what a swapoff must not do), borrowing, locks, slots, closed (areas), balance (counts
against ptes), unfreed (the same by probes), untaken (duplicates that no pte got), orphans (entries that nobody is left to
hold), owners.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from mmlist.replay import events as e
from mmlist.replay.model.balance import OUTSIDE
from mmlist.replay.model.borrowing import Phase
from mmlist.replay.model.carries import Carries
from mmlist.replay.model.changes import Broken, Change, DrainMisplaced, EndedEarly, Got, JoinedEarly, Unlisted
from mmlist.replay.model.core import INIT_MM
from mmlist.replay.model.failures import Failure
from mmlist.replay.model.keepers import Keepers
from mmlist.replay.model.locks import Held
from mmlist.replay.model.mm import MEMBER, Deferred, Mm
from mmlist.replay.model.owners import Owned
from mmlist.replay.model.profile import PROFILES, Profile, type_shift
from mmlist.replay.model.swap import SwapoffCall
from mmlist.replay.record import At


class State(Keepers):
    """The whole state of one replay. Nothing but `step` mutates it."""

    def __init__(
        self,
        profile: Profile,
        carries: Carries,
        *,
        mmlist_offset: int | None = None,
        init_mm: int | None = None,
        shift: int = 58,
        grain: int = 0,
    ) -> None:
        """See Core."""
        super().__init__(profile, carries, mmlist_offset=mmlist_offset, init_mm=init_mm, shift=shift, grain=grain)
        self.pending_duplicates: dict[int, dict[int, At]] = {}
        self.hoarders = set()
        self.forgot = ""
        self.last_alloc = None
        self.head_seen = None
        self.drains_due = []
        self.at_rest = deque()
        self.most_at_rest = 1 << 16
        self.most_entries = 1 << 18
        self.early_joins: dict[int, JoinedEarly] = {}
        self.transients: dict[int, Got] = {}
        self.suspects: dict[tuple[int, int], tuple[Unlisted, set[int]]] = {}
        self.deferred: dict[int | None, list[Deferred]] = {}
        self.unjoined: list[tuple[At, Broken]] = []
        self.swapons: dict[int, e.Swapon] = {}
        self.last_inuse: tuple[At, tuple[int, ...]] | None = None
        self.outside: dict[int, At] = {}
        self.told_outside: dict[int, At] = {}
        self.stray: dict[int, DrainMisplaced] = {}
        self.drain_began: At | None = None
        self.linked_after: tuple[Mm, Mm, At] | None = None
        self.drained_seq = 0  # replay position of the last swapoff that may have drained
        self.held_alone: dict[tuple[int, Mm], At] = {}
        self.failed_paths: dict[str, Failure] = {}
        self.failed_swapoff: tuple[SwapoffCall, At] | None = None
        self.borrowed: dict[int, tuple[int, At]] = {}
        self.flags: dict[int, tuple[int, At]] = {}
        self.phases: dict[int, Phase] = {}
        self.puts_behind = False
        self.ended_early: EndedEarly | None = None
        self.unsettled: set[int] = set()
        self.inside: set[str] = set()
        self.held: dict[int, list[Held]] = {}
        self.held_before: list[At] = []
        self.forget_locks()
        self.owned: dict[Mm, Owned] = {}
        self.owner_of: dict[int, Mm] = {}
        self.copied: dict[int, Mm] = {}
        self.forget_owners()
        self.looked = self.unnamed = 0
        self.walked = {}
        self.forget_slots()
        self.watches = carries.locks
        self.takes_seen = (
            carries.assigns_explicit and carries.duplicates_sure and carries.undos_named and not profile.cache_in_count
        )
        self._handlers = self._bind_handlers()

    def _bind_handlers(self) -> dict[type[e.Event], Callable[[Any], None]]:
        return {
            kind: handler
            for kind in e.Event.__subclasses__()
            if (handler := getattr(self, "on_" + _snake(kind.__name__), None)) is not None
        }

    def step(self, event: e.Event) -> list[Change]:
        """Step on one event; what it changed, in order."""
        self.changes = []
        self.now = at = event.at
        self.ties.note(event)
        if len(self.entries) > self.most_entries:
            self.forget_entries()
        if at.cpu not in self.cpus:
            self.cpus.add(at.cpu)
        if self.deferred and at.cpu in self.deferred:
            self.look_again(at)
        if self.watches:
            self.watch(event)
        if self.unsettled:
            self.settle(event)
        if self.transients:
            self.not_transient(event)
        if self.unjoined:
            self.joins_to_come(at)
        if self.nr_odd is not None:
            self.nr_settled(at)
        if self.swapoffs:
            self.progressed(event)
        if self.stray:
            self.not_in_swapoff(event)
        if self.drains_due:
            self.drains_settled(event)
        if self.reused or self.lows or self.freed_holding or self.leftover or self.left_counted:
            self.settle_slots(event)
        if self.freed_kept:
            self.kept_settled(at)
        if self.balanced:
            self.cpu_seen[at.cpu] = at.seq
        kind = type(event)
        if kind in OUTSIDE:
            self.outside_page_tables(event)
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(event)
        return self.changes

    def finish(self, at: At | None) -> list[Change]:
        """The log has ended at `at`: what waited for a later line is decided, and what is open becomes facts."""
        self.changes = []
        self.look_at_rest()
        self.joins_to_come(None)
        self.nr_settled(None)
        self.drains_settled(None)
        self.settle_slots(None)
        self.kept_settled(None)
        for key in list(self.early_joins):
            self.joined_early(key)
        self.changes += self.still_got()
        for drain in self.stray.values():
            if drain.decided:
                self.emit(drain)
        self.unfinished()
        if at is not None:
            self.leaked_at_end(at)
            for change, _ in list(self.suspects.values()):
                if change.mm.listed != MEMBER and not change.mm.dying:
                    self.emit(change)
        return self.changes

    def close(self) -> None:
        """All that is still open becomes facts, with its end unknown."""
        for mm in list(self.mms.values()):
            if mm.membership is not None:
                self.facts.append(mm.membership)
            for holding in self.open_holdings(mm):
                self.facts.append(holding)
            mm.life.last_line = mm.last_seen.line if mm.last_seen is not None else mm.life.first_line
            self.facts.append(mm.life)
        for area in self.areas.values():
            if area.fact is not None:
                self.facts.append(area.fact)
        for call in self.swapoffs.values():
            self.facts.append(call.fact)

    def on_lost(self, event: e.Lost) -> None:
        """Events are missing: what was known may have changed unseen, until a line shows it again."""
        self.loss_seq = event.at.seq
        self.last_alloc = None
        self.head_seen = None
        self.pending_duplicates.clear()
        self.suspects.clear()
        self.early_joins.clear()
        self.transients.clear()
        self.nr = self.nr_odd = None
        self.stray.clear()
        self.forget_owners()
        for call in self.swapoffs.values():
            call.idle_since = None
            call.torn, call.type, call.told = True, None, None
        self.held_alone.clear()
        self.outside.clear()
        self.borrowed.clear()
        self.phases.clear()
        self.ended_early = None
        self.unsettled.clear()
        self.forget_locks()
        self.forget_slots()
        for area in self.areas.values():
            area.path = None
            if area.used is False:
                area.used = area.closed = None
        for mm in self.under_way:
            mm.joining = None
            mm.early = ""
        self.under_way.clear()

    def members_in_order(self) -> list[Mm]:
        """The members by rank: mmlist as the model has it, also where not every link is known."""
        return sorted(self.members.values(), key=lambda mm: mm.node.rank)


def _snake(name: str) -> str:
    """`MmlistAdd` -> `mmlist_add`."""
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")


__all__ = ["INIT_MM", "PROFILES", "Carries", "Profile", "State", "type_shift"]
