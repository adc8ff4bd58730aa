"""Whom swapoff's walk may take hold of: an mm with users, and no child whose fork failed (mm/swapfile.c: try_to_unuse)."""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.model.changes import HalfForkWalked, WalkedDead
from mmlist.replay.model.failures import Failures, errno
from mmlist.replay.model.mm import Mm
from mmlist.replay.record import At


class Walks(Failures):
    """The steps by which swapoff walks what it must not."""

    held_alone: dict[tuple[int, Mm], At]
    """Visits that found one user after the get: none before it, or one that has gone since."""

    def on_mmlist_visit(self, event: e.MmlistVisit) -> None:
        """swapoff meets the mm: it may take hold of one with users only."""
        if not event.got:
            super().on_mmlist_visit(event)
            return
        mm = self._alive_if_lost(self.mm_at(event.mm, event.at), event.at)
        zero = mm.zero
        super().on_mmlist_visit(event)
        if not self.carries.walks_visible:
            self._half_forked(mm, event.at, visited=True)
        if zero is not None or (event.users is not None and event.users <= 0):
            self.emit(WalkedDead(event.at, mm, "visit", zero, event.users))
        elif event.users == 1 and self.key(event.at) in self.swapoffs:
            self.held_alone[self.key(event.at), mm] = event.at

    def on_unuse_mm(self, event: e.UnuseMm) -> None:
        """swapoff walks the mm: it holds it, so there are users."""
        mm = self._alive_if_lost(self.mm_at(event.mm, event.at), event.at)
        if mm.zero is not None:
            self.emit(WalkedDead(event.at, mm, "walk", mm.zero, mm.users if mm.zero is event.at else None))
        self._half_forked(mm, event.at, visited=False)
        super().on_unuse_mm(event)

    def on_mm_fork_failed(self, event: e.MmForkFailed) -> None:
        """dup_mmap failed: what it leaves is no address space to walk."""
        super().on_mm_fork_failed(event)
        if errno(event.ret):
            self.mm_at(event.child, event.at).fork_failed = event.at

    def _half_forked(self, mm: Mm, at: At, *, visited: bool) -> None:
        if mm.fork_failed is not None and mm.zero is None and mm.fork_failed.seq > self.loss_seq:
            self.emit(HalfForkWalked(at, mm, mm.fork_failed, visited))

    def _alive_if_lost(self, mm: Mm, at: At) -> Mm:
        """The mm itself; where it died before a loss, the one that came to live at its address since."""
        return self.renew(mm, at) if mm.zero is not None and mm.zero.seq <= self.loss_seq else mm

    def on_mmput(self, event: e.Mmput) -> None:
        """The walk lets go of it."""
        if self.held_alone:
            mm = self.mms.get(event.mm)
            if mm is not None:
                self.held_alone.pop((self.key(event.at), mm), None)
        super().on_mmput(event)

    def on_exit_mmap(self, event: e.ExitMmap) -> None:
        """Another task's last put, while swapoff holds the mm alone: that task had put it before swapoff got it."""
        if self.held_alone:
            mm = self.mms.get(event.mm)
            for (key, held), at in list(self.held_alone.items()):
                if held is not mm:
                    continue
                del self.held_alone[key, held]
                if key != self.key(event.at) and key in self.swapoffs:
                    self.emit(WalkedDead(at, held, "visit", event.at, 1))
        super().on_exit_mmap(event)

    def on_swapoff_ret(self, event: e.SwapoffRet) -> None:
        """The walk is over."""
        super().on_swapoff_ret(event)
        key = self.key(event.at)
        for held in [held for held in self.held_alone if held[0] == key]:
            del self.held_alone[held]
