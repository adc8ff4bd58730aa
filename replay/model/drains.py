"""Where a drain has its place: in a swapoff whose walk succeeded, under the swap list lock (mm/swapfile.c: SYSCALL swapoff).

A drain that no swapoff was seen to make may belong to one that began before the log: what its task does next decides.
After drain_mmlist a swapoff only returns, so a step that belongs to nothing of that shows that the task was in none.
"""

from __future__ import annotations

from abc import abstractmethod

from mmlist.replay import events as e
from mmlist.replay.model.changes import Drained, DrainMisplaced
from mmlist.replay.model.mm import OFF, Mm
from mmlist.replay.model.swap import SwapoffCall
from mmlist.replay.model.swapoffs import Swapoffs
from mmlist.replay.record import At

_SAYS_NOTHING = frozenset({
    e.Fetched, e.FetchedHead, e.FetchedInuse, e.MmlistDel, e.MmlistDrain, e.LockAcquire, e.LockRelease, e.MmFree, e.Mmdrop,
})  # fmt: skip
"""What may stand on a swapoff's task between its drain and its return: its own steps, and frees in interrupts (RCU)."""

_OF_A_SWAPOFF = frozenset({e.SwapoffRet, e.TryToUnuse, e.TryToUnuseRet, e.SwapoffPass, e.UnuseMm, e.MmlistVisit})


class Drains(Swapoffs):
    """The steps that show a drain where none belongs."""

    outside: dict[int, At]
    told_outside: dict[int, At]
    stray: dict[int, DrainMisplaced]
    failed_swapoff: tuple[SwapoffCall, At] | None
    drain_began: At | None
    drained_seq: int

    @abstractmethod
    def swap_list_lock_held(self, key: int) -> bool | None:
        """Whether the task holds swap_lock (2.6: swap_list_lock), under which drain_mmlist runs; None: no line tells of it."""

    # --- a task that is in no swapoff --------------------------------------------------------------------------------

    def on_swapon_ret(self, event: e.SwaponRet) -> None:
        """A task that returns from swapon is in no swapoff."""
        self.outside[self.key(event.at)] = event.at
        super().on_swapon_ret(event)

    def on_mm_init(self, event: e.MmInit) -> None:
        """Nor is one that forks or execs."""
        self.outside[self.key(event.at)] = event.at
        super().on_mm_init(event)

    def on_swapoff(self, event: e.Swapoff) -> None:
        """swapoff begins."""
        self.outside.pop(self.key(event.at), None)
        super().on_swapoff(event)

    def not_in_swapoff(self, event: e.Event) -> None:
        """A task has drained, and no line showed it in a swapoff: a return from one, or something else, comes next."""
        key = self.key(event.at)
        drain = self.stray.get(key)
        if drain is None or event.at is drain.at or type(event) in _SAYS_NOTHING:
            return
        del self.stray[key]
        if type(event) in _OF_A_SWAPOFF:
            return
        drain.evidence = event.at
        self.emit(drain)

    # --- the drain ---------------------------------------------------------------------------------------------------

    def on_unuse_mm(self, event: e.UnuseMm) -> None:
        """swapoff walks the page tables of the mm, until its next step where no return says when it is done."""
        super().on_unuse_mm(event)
        call = self.swapoff_of(event.at)
        if call is not None and not (self.carries.walk_returns or self.carries.unuse_clears):
            call.walks = self.mm_at(event.mm, event.at)

    def _walked(self, call: SwapoffCall | None, at: At) -> None:
        """What a page table of the mm got while swapoff was in it may be gone again."""
        if call is not None and call.walks is not None:
            call.walks.release(at.seq, call.type)
            call.walks = None

    def on_mmlist_drain(self, event: e.MmlistDrain) -> None:
        """drain_mmlist decided: where it drains, it has to be the time for it."""
        self._walked(self.swapoff_of(event.at), event.at)
        if event.busy_type is None or event.busy_type < 0:
            self._drains(event.at)
            self.drain_began = event.at
        else:
            self._under_lock(self.swapoff_of(event.at), event.at)
        super().on_mmlist_drain(event)

    def on_mmlist_del(self, event: e.MmlistDel) -> None:
        """A removal by drain is one, too."""
        if event.why == "drain":
            self._drains(event.at, decided=False)
        super().on_mmlist_del(event)

    def _drains(self, at: At, *, decided: bool = True) -> None:
        key = self.key(at)
        call = self.swapoffs.get(key)
        if call is None:
            self._drains_outside(key, at, decided)
            return
        if call.drained_at is None:
            call.drained_at, call.members = at, len(self.members)
        if call.unuse_ret not in (None, 0):
            self._misplaced(call, "failed", at, call.unuse_at)
        self._under_lock(call, at)

    def _under_lock(self, call: SwapoffCall | None, at: At) -> None:
        """drain_mmlist looks at inuse_pages under the swap list lock, whatever it finds there."""
        if call is not None and self.swap_list_lock_held(call.key) is False:
            self._misplaced(call, "unlocked", at, call.at)

    def _drains_outside(self, key: int, at: At, decided: bool) -> None:
        """A drain by a task that no line shows in a swapoff: each time that it is shown outside of one counts once."""
        if not self.carries.swapoffs_visible or key in self.stray:
            return
        seen = self.outside.get(key)
        if seen is None and not self.carries.swapoffs_complete:
            return  # that it returned would not show
        drain = DrainMisplaced(at, "outside", None, seen, len(self.members), None, decided)
        if seen is None:
            self.stray[key] = drain
        elif self.told_outside.get(key) is not seen:
            self.told_outside[key] = seen
            self.emit(drain)

    def _misplaced(self, call: SwapoffCall, why: str, at: At, evidence: At | None) -> None:
        if why not in call.misplaced:
            call.misplaced.add(why)
            self.emit(DrainMisplaced(at, why, call, evidence, call.members, None))

    def on_try_to_unuse_ret(self, event: e.TryToUnuseRet) -> None:
        """The walk ended; a drain came too early if it came before."""
        call = self.swapoff_of(event.at)
        self._walked(call, event.at)
        if call is not None:
            call.unuse_at = call.walked_at = event.at
            self._too_early(call, event.at)
        super().on_try_to_unuse_ret(event)

    def walking(self, call: SwapoffCall, at: At) -> None:
        """The walk goes on: what failed before was another's."""
        call.unuse_ret = call.unuse_at = None
        self._walked(call, at)
        call.walked_at = at
        self._too_early(call, at)
        for mm, seen, _ in call.maybe if call.ended is None and self.carries.swapoffs_visible else ():
            failed = self.failed_swapoff
            unseen = failed is not None and failed[1].seq > mm.listed_seq  # it may be that one's doing
            began = seen.seq > max(call.at.seq, self.loss_seq) and mm.listed_seq > self.loss_seq
            if began and not unseen and not self.tied(seen, at) and self._drained_wrongly(mm, call):
                self.emit(DrainMisplaced(seen, "early", call, at, len(self.members), mm))
                call.fact.drained = 1
        super().walking(call, at)

    def _too_early(self, call: SwapoffCall, at: At) -> None:
        if call.drained_at is not None and call.ended is None and self.carries.swapoffs_visible:
            self._misplaced(call, "early", call.drained_at, at)

    def on_swapoff_ret(self, event: e.SwapoffRet) -> None:
        """swapoff returned: one that failed drains nothing."""
        key = self.key(event.at)
        call = self.swapoffs.get(key)
        self._walked(call, event.at)
        if call is not None and event.ret is not None and event.ret != 0:
            self.failed_swapoff = (call, event.at)
            call.ended = event.at
            if call.drained_at is not None:
                self._misplaced(call, "failed", call.drained_at, event.at)
        self.outside[key] = event.at
        if event.ret in (0, None):
            self.drained_seq = event.at.seq
        if call is not None and event.ret == 0 and call.drain is None:
            self.drain_began = call.walked_at or call.at
        super().on_swapoff_ret(event)

    def leave(
        self,
        mm: Mm,
        why: str,
        at: At,
        *,
        observed: bool,
        seen: str = "",
        poisoned: bool | None = None,
        when_known: bool = True,
    ) -> None:
        """Unlink `mm`; a drain has begun before, and who was given an entry meanwhile has looked too early."""
        if why == "drain":
            busy = any(isinstance(change, Drained) and change.busy is not None for change in self.changes)
            judged = busy or any(call.judged and call.drain is self.drain_began for call in self.swapoffs.values())
            mm.drain_began = None if judged or not when_known else self.drain_began
        super().leave(mm, why, at, observed=observed, seen=seen, poisoned=poisoned, when_known=when_known)

    # --- what probes show of it --------------------------------------------------------------------------------------

    def not_listed(self, mm: Mm, at: At, name: str) -> None:
        """A member is seen self-linked: only drain_mmlist leaves a node so, and here only a failed swapoff was at it.

        One that succeeded since the mm joined may have drained in part (D3 tells of what it left), and have taken this one.
        """
        failed = self.failed_swapoff
        if (
            failed is not None
            and failed[1].seq > max(mm.listed_seq, self.loss_seq)
            and failed[0].at.seq < at.seq  # begun by then
            and self._drained_wrongly(mm, failed[0])
        ):
            self.emit(DrainMisplaced(at, "failed", failed[0], failed[1], len(self.members), mm))
            failed[0].fact.drained = 1
        super().not_listed(mm, at, name)

    def _drained_wrongly(self, mm: Mm, call: SwapoffCall) -> bool:
        """Whether the member `mm`, seen self-linked, can have come to be so by nobody but `call`, which should not drain."""
        return (
            self.drained_seq <= mm.listed_seq
            and mm.confirmed
            and not mm.dying
            and self.linked(mm)
            and not self.carries.leaves_explicit
            and not self.drained_since(mm)
            and not any(other is not call and self.may_drain(other) for other in self.swapoffs.values())
        )

    def _poison(self, mm: Mm, next_: int, prev: int | None, at: At, name: str, final: bool) -> bool:
        """`next` is LIST_POISON1: a drain makes a node point at itself, so that the mm can join again."""
        if mm.listed == OFF and mm.left is not None and mm.left_why == "drain" and not mm.dying:
            here = mm.left is at
            if not here and not final:
                return False
            live = self.carries.exit_visible or mm.seen_alive(at)
            if here or (live and self.list_known(mm) and not self._later(mm.left, at)):
                self.emit(DrainMisplaced(at, "poisoned", None, mm.left, len(self.members), mm))
        return super()._poison(mm, next_, prev, at, name, final)
