"""What a swapoff that failed has to leave as it was: its area in use, and writable again (mm/swapfile.c: SYSCALL swapoff).

Whether the area is in use shows when somebody asks for it by its path: swapoff of an area in use is not refused as of none
(EINVAL), and swapon of one is (EBUSY).
"""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.model.changes import AreaLost
from mmlist.replay.model.drains import Drains
from mmlist.replay.model.swap import SwapoffCall
from mmlist.replay.record import At

EINTR, ENOMEM, EINVAL = 4, 12, 22
"""include/uapi/asm-generic/errno-base.h."""


def errno(ret: int | None) -> int:
    """The error number of a call's return, printed signed or not, of 32 or 64 bits; 0 for none."""
    if ret is None or ret == 0:
        return 0
    for bits in (32, 64):
        if (1 << bits) - 4096 < ret < 1 << bits:
            return (1 << bits) - ret
    return -ret if -4096 < ret < 0 else 0


class Failures(Drains):
    """The steps by which an area that a failed swapoff did not give back is missed."""

    failed_paths: dict[str, tuple[SwapoffCall, At]]

    def on_swapoff_ret(self, event: e.SwapoffRet) -> None:
        """swapoff returned: remember a failure, or that the area was given up, or refused as not in use."""
        call = self.swapoff_of(event.at)
        walked = call is not None and call.walked_at is not None
        super().on_swapoff_ret(event)
        path = None if call is None or call.torn else call.fact.path
        if event.ret in (0, None):
            self._given_up(call)
        if call is None or path is None or not path.startswith("/"):
            return
        if event.ret == 0 or event.ret is None:
            return
        if errno(event.ret) == EINVAL and not walked:
            self._refused(call, path, event.at)
        elif walked or self._was_in_use(call, event.ret):
            self.failed_paths[path] = (call, event.at)

    def _given_up(self, call: SwapoffCall | None) -> None:
        """An area was given up: it may be any that a swapoff by another path has failed on, but for those of another type."""
        type_, path = (None, None) if call is None or call.torn else (call.type, call.fact.path)
        for other, (failed, _) in list(self.failed_paths.items()):
            if other == path or type_ is None or failed.type in (None, type_):
                del self.failed_paths[other]

    def _was_in_use(self, call: SwapoffCall, ret: int) -> bool:
        area = self.areas.get(call.type) if call.type is not None else None
        return area is not None and area.used is True and errno(ret) in (EINTR, ENOMEM)

    def _refused(self, call: SwapoffCall, path: str, at: At) -> None:
        """The area at `path` is not in use, says swapoff. While another swapoff is at it, that is so for a time."""
        failed = self.failed_paths.get(path)
        if failed is None or failed[1].seq > call.at.seq or self.tied(failed[1], call.at):
            return
        if not any(other.fact.path in (path, None) for other in self.swapoffs.values()):
            named = call.told is call.at and failed[0].told is failed[0].at and call.type == failed[0].type
            self.emit(AreaLost(at, failed[0], failed[1], path, "swapoff", named))

    def on_swapon_ret(self, event: e.SwaponRet) -> None:
        """swapon returned: with 0 the area was not in use."""
        begun = self.swapons.get(self.key(event.at))
        super().on_swapon_ret(event)
        path = event.path or (begun.path if begun is not None else None)
        if event.ret != 0 or path is None:
            return
        failed = self.failed_paths.pop(path, None)
        if failed is None or self.tied(failed[1], event.at):
            return
        if not any(call.fact.path in (path, None) for call in self.swapoffs.values()):
            named = event.type is not None and failed[0].told is failed[0].at and event.type == failed[0].type
            self.emit(AreaLost(event.at, failed[0], failed[1], path, "swapon", named))
