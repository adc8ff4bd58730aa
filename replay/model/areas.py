"""Swap areas and their types (mm/swapfile.c: SYSCALL swapon, SYSCALL swapoff).

Where no line tells a type it is counted, as alloc_swap_info takes the lowest that is free. Counted from the log's beginning it is
one too low for each area that was in use before that.
"""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.facts import SwapArea
from mmlist.replay.model.fetched import Observed
from mmlist.replay.model.swap import Area, SwapoffCall
from mmlist.replay.record import At

MAX_SWAPFILES = 32
"""include/linux/swap.h: types from here on, less those for other uses, are no swap areas."""


class Areas(Observed):
    """The steps on areas: swapon, which type a swapoff is of, and the end of an area."""

    counted_to: int = -1
    """Up to this type counting is right: a swapoff has shown it, of an area that was counted. After a wrong one no more."""
    miscounted: bool = False

    def on_swapon(self, event: e.Swapon) -> None:
        """swapon begins: the type it will take is not known before its return."""
        self.swapons[self.key(event.at)] = event

    def on_swapon_ret(self, event: e.SwaponRet) -> None:
        """swapon returned: with 0 it took the lowest free type, unless the log says which."""
        begun = self.swapons.pop(self.key(event.at), None)
        if event.ret != 0:
            return
        path = event.path or (begun.path if begun is not None else None)
        type_ = event.type if event.type is not None else begun.type if begun is not None else None
        told = None if type_ is None else event.at
        if type_ is None:
            type_ = self._lowest_free(begun)
        if type_ is None:
            for area in self.areas.values():
                if area.used is False:
                    area.used = area.closed = None  # it may be this one
            return
        at = begun.at if begun is not None else event.at
        area = self.areas[type_] = Area(type_)
        area.used, area.path, area.told = True, path, told
        area.fact = SwapArea(type_, path, at.line, at.ts)

    def _lowest_free(self, begun: e.Swapon | None) -> int | None:
        """The type that a swapon takes; None where a lower one may be in use or not (mm/swapfile.c: alloc_swap_info).

        What was lost may have been another's swapon or swapoff. Slots of an area are handed out before its swapon returns.
        """
        if self.loss_seq:
            return None
        for type_ in range(MAX_SWAPFILES):
            area = self.areas.get(type_)
            if area is None or area.used is False:
                return type_
            if begun is not None and area.named is not None and area.named.seq > begun.at.seq and area.fact is None:
                return type_
            if area.used is None:
                return None
        return None

    def type_of_path(self, path: str | None) -> int | None:
        """The type of the only area in use that `path` was swapped on as."""
        found = [area.type for area in self.areas.values() if area.used and path is not None and area.path == path]
        return found[0] if len(found) == 1 else None

    def typed(self, call: SwapoffCall, type_: int | None, at: At) -> None:
        """A type seen inside the swapoff, at `at`, is its own."""
        if type_ is not None and (call.told is None or call.type != type_):
            self._counted(call, type_)
            call.told = at
        if type_ is not None and call.type != type_:
            call.type = call.fact.type = type_
        if type_ is not None:
            area = self.area(type_)
            if area.used is None:
                area.used = True

    def _counted(self, call: SwapoffCall, type_: int) -> None:
        """A swapoff shows `type_`, of an area that was counted: no area up to there was in use before the log, or one was."""
        if call.told is None and call.type is not None:
            self.miscounted = self.miscounted or call.type != type_
            self.counted_to = -1 if self.miscounted else max(self.counted_to, type_)

    def which_area(self, told: At | None, type_: int) -> bool:
        """Whether an area is certainly that of `type_`: a line `told` it, or counting is right up to there."""
        return told is not None or type_ <= self.counted_to

    def close_area(self, type_: int, at: At, told: At | None) -> None:
        """The area is gone: nothing of it is held any more."""
        area = self.area(type_)
        area.used, area.closed, area.told = False, at, told
        if area.fact is not None:
            area.fact.swapoff_line, area.fact.swapoff_ts = at.line, at.ts
            self.facts.append(area.fact)
            area.fact = None
        for mm in list(self.holders.values()):
            self.clear_all(mm, at, "swapoff", type_)
        for value in [value for value in self.entries if value >> self.shift == type_]:
            del self.entries[value]
