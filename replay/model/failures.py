"""What a swapoff that failed has to leave as it was: its area in use, and writable again (mm/swapfile.c: SYSCALL swapoff).

Whether the area is in use shows when somebody asks for it by its path: swapoff of an area in use is not refused as of none
(EINVAL), and swapon of one is (EBUSY).
"""

from __future__ import annotations

from typing import NamedTuple

from mmlist.replay import events as e
from mmlist.replay.model.changes import AreaLost
from mmlist.replay.model.drains import Drains
from mmlist.replay.model.swap import SwapoffCall
from mmlist.replay.record import At

EINTR, ENOMEM, EINVAL = 4, 12, 22
"""include/uapi/asm-generic/errno-base.h."""
_PATHS = 64
"""Paths that are remembered at a time: there are no more areas (include/linux/swap.h: MAX_SWAPFILES)."""


def errno(ret: int | None) -> int:
    """The error number of a call's return, printed signed or not, of 32 or 64 bits; 0 for none."""
    if ret is None or ret == 0:
        return 0
    for bits in (32, 64):
        if (1 << bits) - 4096 < ret < 1 << bits:
            return (1 << bits) - ret
    return -ret if -4096 < ret < 0 else 0


class Failure(NamedTuple):
    """A swapoff that failed, `at` its return. `doubtful`: its area may have been given up since, by another path."""

    call: SwapoffCall
    at: At
    doubtful: bool = False


class Failures(Drains):
    """The steps by which an area that a failed swapoff did not give back is missed."""

    failed_paths: dict[str, Failure]

    def on_swapoff_ret(self, event: e.SwapoffRet) -> None:
        """swapoff returned: remember a failure, or that the area was given up, or refused as not in use."""
        call = self.swapoff_of(event.at)
        walked = call is not None and call.walked_at is not None
        super().on_swapoff_ret(event)
        path = None if call is None or call.torn else call.fact.path
        if event.ret in (0, None):
            self._given_up(None if call is None or call.torn else call.type, path)
        elif call is None or path is None or not path.startswith("/"):
            return
        elif errno(event.ret) == EINVAL and not walked:
            self._refused(call, path, event.at)
        elif walked or self._was_in_use(call, event.ret):
            self.failed_paths.pop(path, None)
            self.failed_paths[path] = Failure(call, event.at)
            if len(self.failed_paths) > _PATHS:
                del self.failed_paths[next(iter(self.failed_paths))]

    def _given_up(self, type_: int | None, path: str | None) -> None:
        """An area was given up: another path may lead to the same one as that of a swapoff that failed."""
        for other, failed in list(self.failed_paths.items()):
            if other == path or (type_ is not None and failed.call.type == type_):
                del self.failed_paths[other]
            elif type_ is None or failed.call.type is None:
                self.failed_paths[other] = failed._replace(doubtful=True)

    def _was_in_use(self, call: SwapoffCall, ret: int) -> bool:
        area = self.areas.get(call.type) if call.type is not None else None
        return area is not None and area.used is True and errno(ret) in (EINTR, ENOMEM)

    def _refused(self, call: SwapoffCall, path: str, at: At) -> None:
        """The area at `path` is not in use, says swapoff."""
        failed = self.failed_paths.get(path)
        if failed is None or failed.at.seq > call.at.seq or self.tied(failed.at, call.at):
            return
        if not self._may_be_at(failed, path):
            self._lost(failed, path, at, "swapoff", call.type if call.told is call.at else None)

    def on_swapon_ret(self, event: e.SwaponRet) -> None:
        """swapon returned: with 0 the area was not in use."""
        begun = self.swapons.get(self.key(event.at))
        super().on_swapon_ret(event)
        path = event.path or (begun.path if begun is not None else None)
        if event.ret != 0 or path is None:
            return
        failed = self.failed_paths.pop(path, None)
        if failed is None or self.tied(failed.at, event.at):
            return
        if not self._may_be_at(failed, path):
            self._lost(failed, path, event.at, "swapon", event.type)

    def _may_be_at(self, failed: Failure, path: str) -> bool:
        """Whether another swapoff, by whatever path, may be at the area: while it is, the area is not in use."""
        type_ = failed.call.type
        return any(
            call.fact.path in (path, None) or type_ is None or call.type in (type_, None)
            for call in self.swapoffs.values()
        )

    def _lost(self, failed: Failure, path: str, at: At, how: str, type_: int | None) -> None:
        named = type_ is not None and failed.call.told is failed.call.at and failed.call.type == type_
        self.emit(AreaLost(at, failed.call, failed.at, path, how, named, failed.doubtful))
