"""The model against a second, dumber one (dumb_model.py): random histories of kernel steps, right ones and wrong ones.

After each step both are asked for the list in order, counts, holdings, areas, and for what the step broke. A right kernel is
also told without list events: then the model joins and removes by itself, and has to come to the same list.

One file, over 400 lines: the wrong rules are told in the words of the right ones, as subclasses of theirs.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import pytest
from dumb_model import CODES, SHIFT, Broken, Dumb
from history_language import EXPLICIT, IMPLICIT, Story
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from mmlist.replay import events as e
from mmlist.replay.invariants import collect
from mmlist.replay.model import Carries
from mmlist.replay.model.changes import Change
from mmlist.replay.model.profile import PF_BORROWED_MM, PF_KTHREAD

MMS = tuple(0x1000 * n for n in range(1, 6))
AREAS = (0, 1)
ENTRIES = tuple(area << SHIFT | offset for area in AREAS for offset in (1, 2, 3))
SWAPOFF = 9
KTHREAD = 8

_LIST_EVENTS = (e.MmlistAdd, e.MmlistDel, e.MmlistDrain)
pids = st.sampled_from([1, 2, 3])


class Asked(Story):
    """A model whose invariants are asked at each step; what they answer goes to a judge as well."""

    def __init__(self, profile: str, carries: Carries) -> None:
        super().__init__(profile, carries)
        self.invariants = [one for one in collect() if profile in one.profiles and one.code in CODES]

    def tell_one(self, event: e.Event) -> Broken:
        changes = self.state.step(event)
        self.judge.judge(changes)
        return {found for change in changes for found in self._asked(change)}

    def _asked(self, change: Change) -> Broken:
        return {
            (one.code, None if found.mm is None else found.mm.address)
            for one in self.invariants
            if type(change) in one.changes
            for found in one.check(change, self.state)
        }


class Right(RuleBasedStateMachine):
    """What a right kernel may do. `over`: a wrong step has left nothing that two models could agree on."""

    profile = "modern"

    def __init__(self) -> None:
        super().__init__()
        self.dumb = Dumb(self.profile)
        self.explicit = Asked(self.profile, EXPLICIT)
        self.implicit: Asked | None = Asked(self.profile, IMPLICIT)
        self.writeok: set[int] = set()
        self.cached: set[int] = set()  # entries whose pages the swap cache holds
        self.torn: set[int] = set()  # mms behind their exit_mmap
        self.over = False
        self.line = 0
        for area in AREAS:
            self.swaps_on(area)

    # --- telling -----------------------------------------------------------------------------------------------------

    def tell(self, pid: int, *events: tuple[Any, ...]) -> Broken:
        """Tell one task's events, each on a line of its own, to all; both must find the same broken."""
        broken: Broken = set()
        for kind, *of in events:
            event = kind(self.explicit.at(pid, pid % 4), *of)
            due, found = self.dumb.step(event), self.explicit.tell_one(event)
            assert found == due, event
            broken |= due
            if self.implicit is not None and kind not in _LIST_EVENTS:
                assert self.implicit.tell_one(event) == set(), event
        return broken

    @property
    def swap_only(self) -> bool:
        return self.profile != "2.6.9"

    def some(self, data: st.DataObject, found: Any) -> Any:
        return data.draw(st.sampled_from(sorted(found)))

    def live(self) -> list[int]:
        return [address for address, mm in self.dumb.mms.items() if not mm.dying]

    def dying(self) -> list[int]:
        return [address for address, mm in self.dumb.mms.items() if mm.dying and address not in self.torn]

    def unborn(self) -> list[int]:
        return [address for address in MMS if address not in self.dumb.mms]

    def slots(self) -> list[int]:
        return [one for one in ENTRIES if one >> SHIFT in self.writeok and not self.taken(one)]

    def taken(self, entry: int) -> bool:
        return entry in self.cached or self.dumb.counts[entry] > 0

    def inuse(self) -> tuple[int, ...]:
        return tuple(sum(self.taken(one) for one in ENTRIES if one >> SHIFT == area) for area in AREAS)

    def listed(self, mm: int) -> bool:
        return mm in self.dumb.order

    # --- births ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.over and self.unborn())
    @rule(data=st.data(), pid=pids)
    def execs(self, data: st.DataObject, pid: int) -> None:
        mm = self.some(data, self.unborn())
        join = () if self.swap_only else ((e.MmlistAdd, mm, 0),)
        self.tell(pid, (e.MmInit, mm), *join, (e.ExecMmap, mm))

    @precondition(lambda self: not self.over and self.unborn())
    @rule(data=st.data(), pid=pids)
    def fails_to_exec(self, data: st.DataObject, pid: int) -> None:
        mm = self.some(data, self.unborn())
        self.tell(pid, (e.MmInit, mm), (e.Mmdrop, mm), (e.MmFree, mm))

    @precondition(lambda self: not self.over and self.unborn() and self.live())
    @rule(data=st.data(), pid=pids)
    def forks(self, data: st.DataObject, pid: int) -> None:
        child, parent = self.some(data, self.unborn()), self.some(data, self.live())
        holds = sorted(self.dumb.mms[parent].holds)
        if holds and not self.listed(parent):
            return  # only where a step before was wrong: the child would get on a ring apart
        self.tell(pid, (e.MmInit, child), (e.DupMmap, parent, child))
        if not self.swap_only:
            self.tell(pid, (e.MmlistAdd, child, parent))
        for entry in holds:
            self.tell(pid, (e.SwapDuplicate, entry))
            if not self.listed(child):
                self.tell(pid, (e.MmlistAdd, child, parent))
            self.tell(pid, (e.SwapAssign, child, entry, "fork"))
        self.tell(pid, (e.MmFork, parent, child))

    # --- entries -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.over and self.slots() and self.live() + self.dying())
    @rule(data=st.data(), pid=pids, shared=st.booleans(), kept=st.booleans())
    def pages_out(self, data: st.DataObject, pid: int, shared: bool, kept: bool) -> None:
        """Also of a dying mm, whose page tables are not gone yet; `kept`: the page stays in the swap cache."""
        entry = self.some(data, self.slots())
        mapping = [self.some(data, self.live() + self.dying())]
        if shared and self.live():
            mapping = sorted({*mapping, self.some(data, self.live())})
        self.tell(pid, (e.SwapAlloc, entry))
        self.cached.add(entry)
        for mm in mapping:
            self.tell(pid, (e.SwapDuplicate, entry))
            if self.swap_only and not self.listed(mm):
                self.tell(pid, (e.MmlistAdd, mm, 0))
            self.tell(pid, (e.SwapAssign, mm, entry, "unmap"))
        if not kept:
            self.uncache(pid, entry)

    def uncache(self, pid: int, entry: int) -> None:
        self.tell(pid, (e.PutSwapFolio if self.profile == "modern" else e.SwapFree, entry))
        self.cached.discard(entry)

    @precondition(lambda self: not self.over and self.cached)
    @rule(data=st.data(), pid=pids)
    def writes_out(self, data: st.DataObject, pid: int) -> None:
        self.uncache(pid, self.some(data, self.cached))

    def holders(self) -> list[tuple[int, int]]:
        return [(mm, entry) for mm in self.live() for entry in sorted(self.dumb.mms[mm].holds)]

    def clear(self, pid: int, mm: int, entry: int, why: str) -> None:
        self.tell(pid, (e.SwapClear, mm, entry, why), (e.SwapFree, entry))

    @precondition(lambda self: not self.over and self.holders())
    @rule(data=st.data(), pid=pids)
    def faults(self, data: st.DataObject, pid: int) -> None:
        self.clear(pid, *self.some(data, self.holders()), "fault")

    # --- counts ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.over and self.live())
    @rule(data=st.data(), pid=pids)
    def gets(self, data: st.DataObject, pid: int) -> None:
        mm = self.some(data, self.live())
        self.tell(pid, (e.Mmget, mm), (e.GetTaskMm, 1 + pid % 3, mm))

    @precondition(lambda self: not self.over and self.live())
    @rule(data=st.data(), pid=pids)
    def puts(self, data: st.DataObject, pid: int) -> None:
        """The last one begins the end: 2.6.9 removes it in the same step."""
        mm = self.some(data, self.live())
        self.tell(pid, (e.Mmput, mm))
        if self.dumb.mms[mm].users:
            return
        if not self.swap_only and self.listed(mm):
            self.tell(pid, (e.MmlistDel, mm, "mmput"))
        self.tell(pid, (e.ExitMmap, mm))

    @precondition(lambda self: not self.over and self.dying())
    @rule(data=st.data(), pid=pids)
    def ends(self, data: st.DataObject, pid: int) -> None:
        mm = self.some(data, self.dying())
        for entry, times in sorted(self.dumb.mms[mm].holds.items()):
            for _ in range(times):
                self.clear(pid, mm, entry, "zap")
        self.tell(pid, (e.ExitMmapRet, mm))
        if self.listed(mm):
            self.tell(pid, (e.MmlistDel, mm, "mmput"))
        self.torn.add(mm)
        self.drop(pid, mm)

    def drop(self, pid: int, mm: int) -> None:
        self.tell(pid, (e.Mmdrop, mm))
        if mm in self.torn and not self.dumb.mms[mm].count:
            self.tell(pid, (e.MmFree, mm))
            self.torn.discard(mm)

    @precondition(lambda self: not self.over and self.live())
    @rule(data=st.data(), pid=pids)
    def grabs(self, data: st.DataObject, pid: int) -> None:
        self.tell(pid, (e.Mmgrab, self.some(data, self.live())))

    def grabbed(self) -> list[int]:
        return [address for address, mm in self.dumb.mms.items() if mm.count > (address not in self.torn)]

    @precondition(lambda self: not self.over and self.grabbed())
    @rule(data=st.data(), pid=pids)
    def drops(self, data: st.DataObject, pid: int) -> None:
        self.drop(pid, self.some(data, self.grabbed()))

    @precondition(lambda self: not self.over and self.live())
    @rule(data=st.data())
    def borrows(self, data: st.DataObject) -> None:
        """A kernel thread uses an mm for a time; get_task_mm of it is NULL, so nobody is raised."""
        mm = self.some(data, self.live())
        flag = {"modern": PF_KTHREAD, "2.6.10": PF_BORROWED_MM, "2.6.9": 0}[self.profile]
        self.tell(KTHREAD, (e.Mmgrab, mm), (e.TaskFlags, KTHREAD, flag), (e.KthreadUseMm, mm))
        self.tell(1, (e.GetTaskMm, KTHREAD, 0))
        after = PF_KTHREAD if self.profile == "modern" else 0
        self.tell(KTHREAD, (e.TaskFlags, KTHREAD, after), (e.KthreadUnuseMm, mm), (e.Mmdrop, mm))

    # --- areas -------------------------------------------------------------------------------------------------------

    @precondition(lambda self: not self.over and len(self.writeok) < len(AREAS))
    @rule(area=st.sampled_from(AREAS))
    def swaps_on(self, area: int) -> None:
        if area not in self.writeok:
            self.tell(1, (e.Swapon, "/swap", area), (e.SwaponRet, 0, "/swap", area))
            self.writeok.add(area)

    @precondition(lambda self: not self.over and self.writeok)
    @rule(data=st.data(), fails=st.booleans())
    def swaps_off(self, data: st.DataObject, fails: bool) -> None:
        area = self.some(data, self.writeok)
        self.tell(SWAPOFF, (e.Swapoff, None, area), (e.TryToUnuse, area))
        if fails:
            self.tell(SWAPOFF, (e.TryToUnuseRet, -4), (e.SwapoffRet, -4, area))
            return
        self.walk(area)
        for entry in [entry for entry in sorted(self.cached) if entry >> SHIFT == area]:
            if self.dumb.counts[entry] == (self.profile != "modern"):
                self.uncache(SWAPOFF, entry)
        if self.inuse()[area]:  # a dying mm holds it
            self.tell(SWAPOFF, (e.TryToUnuseRet, -4), (e.SwapoffRet, -4, area))
            return
        self.tell(SWAPOFF, (e.TryToUnuseRet, 0))
        self.writeok.discard(area)
        self.drain(area)
        self.tell(SWAPOFF, (e.SwapoffRet, 0, area, None, None, self.inuse()))

    def walk(self, area: int) -> None:
        """One pass: 2.6.10 raises a dying mm for a moment, and goes past it."""
        for mm in list(self.dumb.order):
            if self.dumb.mms[mm].dying:
                if self.profile == "2.6.10":
                    self.tell(SWAPOFF, (e.Mmget, mm), (e.Mmput, mm))
                self.tell(SWAPOFF, (e.MmlistVisit, mm, 0))
                continue
            self.tell(SWAPOFF, (e.MmlistVisit, mm, 1, self.dumb.mms[mm].users + 1), (e.UnuseMm, mm, area))
            for entry, times in sorted(self.dumb.mms[mm].holds.items()):
                for _ in range(times if entry >> SHIFT == area else 0):
                    self.clear(SWAPOFF, mm, entry, "unuse")
            self.tell(SWAPOFF, (e.Mmput, mm))

    def drain(self, area: int) -> None:
        if not self.swap_only:
            return
        busy = next((one for one, pages in enumerate(self.inuse()) if pages), -1)
        self.tell(SWAPOFF, (e.FetchedInuse, self.inuse(), "drain_mmlist"), (e.MmlistDrain, busy))
        if busy < 0:
            self.empty()

    def empty(self) -> None:
        for mm in list(self.dumb.order):
            self.tell(SWAPOFF, (e.MmlistDel, mm, "drain"))

    # --- both agree --------------------------------------------------------------------------------------------------

    def told(self) -> list[Asked]:
        return [self.explicit] + ([self.implicit] if self.implicit is not None else [])

    @invariant()
    def both_have_the_same_list(self) -> None:
        for told in self.told() if not self.over else ():
            assert [mm.address for mm in told.state.members_in_order()] == self.dumb.order
            assert [mm.address for mm in told.state.list.walk()] in (self.dumb.order, [])

    @invariant()
    def both_have_the_same_lives_counts_and_holdings(self) -> None:
        for told in self.told():
            assert told.state.mms.keys() == self.dumb.mms.keys()
            for address, mm in self.dumb.mms.items():
                found = told.state.mms[address]
                assert (found.users, found.dying) == (mm.users, mm.dying)
                assert found.count in (mm.count, None)
                assert {entry: hold.count for entry, hold in (found.holdings or {}).items()} == mm.holds

    @invariant()
    def both_have_the_same_areas_and_swap_counts(self) -> None:
        for told in self.told():
            assert {area.type for area in told.state.areas.values() if area.used} == self.dumb.in_use
            for value, entry in told.state.entries.items():
                if entry.count is not None and value not in self.dumb.doubted:
                    assert entry.count == self.dumb.counts[value]

    @invariant()
    def a_right_kernel_is_not_accused(self) -> None:
        if self.implicit is not None:
            for told in self.told():
                assert [(v.code, v.message) for v in told.judge.violations] == []


class Right2610(Right):
    """The same in 2.6.10."""

    profile = "2.6.10"


class Right269(Right):
    """The same in 2.6.9."""

    profile = "2.6.9"


class Wrong(Right):
    """A kernel that also goes wrong. The model without list events cannot see all of it, and is not told."""

    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.implicit = None

    def goes_wrong(self, pid: int, *events: tuple[Any, ...], codes: set[str]) -> None:
        """Tell it, and that it breaks at least `codes`."""
        broken = self.tell(pid, *events)
        assert codes <= {code for code, _ in broken}
        self.seen.update({code for code, _ in broken})

    @precondition(lambda self: self.over)
    @rule()
    def goes_no_further(self) -> None:
        """Hypothesis needs something to do."""

    @precondition(lambda self: not self.over and self.dumb.order)
    @rule(data=st.data(), pid=pids)
    def adds_a_member_again(self, data: st.DataObject, pid: int) -> None:
        """The list is broken by it: no two models need agree on what comes after."""
        self.goes_wrong(pid, (e.MmlistAdd, self.some(data, self.dumb.order), 0), codes={"M2"})
        self.over = True

    def off(self) -> list[int]:
        return [mm for mm in self.dumb.mms if not self.listed(mm)]

    @precondition(lambda self: not self.over and self.off())
    @rule(data=st.data(), pid=pids, drains=st.booleans())
    def removes_what_is_off(self, data: st.DataObject, pid: int, drains: bool) -> None:
        mm = self.some(data, self.off())
        drained = self.dumb.mms[mm].drained and not self.dumb.mms[mm].poisoned
        legal = drained and not drains
        self.goes_wrong(pid, (e.MmlistDel, mm, "drain" if drains else "mmput"), codes=set() if legal else {"M11"})

    @precondition(lambda self: not self.over and any(mm.poisoned for mm in self.dumb.mms.values()))
    @rule(data=st.data(), pid=pids)
    def adds_what_was_removed_for_good(self, data: st.DataObject, pid: int) -> None:
        mm = self.some(data, [address for address, mm in self.dumb.mms.items() if mm.poisoned])
        self.goes_wrong(pid, (e.MmlistAdd, mm, 0), codes={"M4"})

    @precondition(lambda self: not self.over and self.dumb.mms)
    @rule(data=st.data(), pid=pids)
    def frees_too_early(self, data: st.DataObject, pid: int) -> None:
        """What was never used may be freed with its one user; what is linked may not, nor what has users."""
        mm = self.some(data, self.dumb.order or self.dumb.mms)
        found = self.dumb.mms[mm]
        codes = {"M6"} if self.listed(mm) else set()
        if found.users > 0 and not found.dying:
            codes.add("C4")
        self.goes_wrong(pid, (e.MmFree, mm), codes=codes)
        self.torn.discard(mm)

    @precondition(lambda self: not self.over and self.slots() and self.live())
    @rule(data=st.data(), pid=pids)
    def forgets_to_join(self, data: st.DataObject, pid: int) -> None:
        mm, entry = self.some(data, self.live()), self.some(data, self.slots())
        self.cached.add(entry)
        codes = {"M1"} if self.swap_only and not self.listed(mm) else set()
        self.goes_wrong(
            pid, (e.SwapAlloc, entry), (e.SwapDuplicate, entry), (e.SwapAssign, mm, entry, "unmap"), codes=codes
        )

    def dead(self) -> list[int]:
        return [address for address, mm in self.dumb.mms.items() if mm.zeros]

    @precondition(lambda self: not self.over and self.dead())
    @rule(data=st.data(), pid=pids)
    def puts_the_dead(self, data: st.DataObject, pid: int) -> None:
        mm = self.some(data, self.dead())
        users = self.dumb.mms[mm].users
        self.goes_wrong(pid, (e.Mmput, mm), codes={"C1"} if users < 1 else {"C3"} if users == 1 else set())

    @precondition(lambda self: not self.over and self.dead())
    @rule(data=st.data(), pid=pids)
    def gets_the_dead(self, data: st.DataObject, pid: int) -> None:
        self.goes_wrong(pid, (e.Mmget, self.some(data, self.dead())), (e.TaskFlags, pid, 0), codes={"C2"})

    @precondition(lambda self: not self.over and self.dead())
    @rule(data=st.data())
    def holds_the_dead(self, data: st.DataObject) -> None:
        """swapoff's walk takes hold of an mm without users, and walks it."""
        mm = self.some(data, self.dead())
        users = self.dumb.mms[mm].users
        self.goes_wrong(SWAPOFF, (e.MmlistVisit, mm, 1, users + 1), codes={"C2"})

    @precondition(lambda self: not self.over and self.dead())
    @rule(data=st.data(), pid=pids)
    def exits_twice(self, data: st.DataObject, pid: int) -> None:
        mm = self.some(data, self.dead())
        self.goes_wrong(pid, (e.ExitMmap, mm), codes={"C3"} if self.dumb.mms[mm].exits else set())

    def copyable(self) -> list[tuple[int, int]]:
        """(child, entry) of a child that is on the list, and does not hold it: only the count is wrong."""
        entries = {entry for _, entry in self.holders()}
        return [
            (mm, entry) for mm in self.live() if self.listed(mm) for entry in entries - self.dumb.mms[mm].holds.keys()
        ]

    @precondition(lambda self: not self.over and self.copyable())
    @rule(data=st.data(), pid=pids)
    def copies_without_a_duplicate(self, data: st.DataObject, pid: int) -> None:
        mm, entry = self.some(data, self.copyable())
        self.goes_wrong(pid, (e.SwapAssign, mm, entry, "fork"), codes={"S1"})

    @precondition(lambda self: not self.over and self.slots())
    @rule(data=st.data(), pid=pids, frees=st.booleans())
    def counts_what_is_free(self, data: st.DataObject, pid: int, frees: bool) -> None:
        """Of a slot that was in use once: of others nothing is known."""
        entry = self.some(data, self.slots())
        mm = self.some(data, self.live()) if self.live() else None
        if mm is None:
            return
        self.tell(pid, (e.SwapAlloc, entry), (e.SwapDuplicate, entry))
        self.tell(pid, (e.SwapFree, entry))
        self.uncache(pid, entry)
        self.cached.discard(entry)
        step = (e.SwapFree, entry) if frees else (e.SwapDuplicate, entry)
        self.goes_wrong(pid, step, codes={"S1"})
        if not frees:
            self.tell(pid, (e.SwapFree, entry))  # a duplicate that waits for its pte may be about to join somebody

    @precondition(lambda self: not self.over and self.writeok)
    @rule(data=st.data(), looks=st.booleans())
    def drains_though_an_area_is_in_use(self, data: st.DataObject, looks: bool) -> None:
        """Either it saw that and drains all the same, or it looked and found that it is refused, and drains."""
        others = [one for one in self.dumb.in_use if self.inuse()[one]]
        if not others or not self.swap_only or not self.dumb.order or self.writeok <= {others[-1]}:
            return
        others, area = others[-1:], self.some(data, self.writeok - {others[-1]})
        self.tell(SWAPOFF, (e.Swapoff, None, area), (e.TryToUnuse, area), (e.TryToUnuseRet, 0))
        drain = (e.MmlistDrain, others[0] if looks else -1)
        members = [(e.MmlistDel, mm, "drain") for mm in self.dumb.order]
        self.goes_wrong(SWAPOFF, (e.FetchedInuse, self.inuse(), "drain_mmlist"), drain, *members, codes={"D1"})
        self.closes(area, codes=set())

    def closes(self, area: int, codes: set[str]) -> None:
        """swapoff returns 0, whoever holds entries of the area still."""
        held = {mm for mm, found in self.dumb.mms.items() if any(entry >> SHIFT == area for entry in found.holds)}
        self.goes_wrong(SWAPOFF, (e.SwapoffRet, 0, area), codes=codes | ({"D5"} if held else set()))
        self.writeok.discard(area)
        self.cached = {entry for entry in self.cached if entry >> SHIFT != area}

    @precondition(lambda self: not self.over and self.writeok)
    @rule(data=st.data())
    def gives_up_an_area_that_is_held(self, data: st.DataObject) -> None:
        area = self.some(data, self.writeok)
        if not any(entry >> SHIFT == area for mm in self.dumb.mms.values() for entry in mm.holds):
            return
        self.tell(SWAPOFF, (e.Swapoff, None, area), (e.TryToUnuse, area), (e.TryToUnuseRet, 0))
        self.closes(area, codes={"D5"})

    @precondition(lambda self: not self.over and self.dumb.closed)
    @rule(data=st.data(), pid=pids)
    def names_an_entry_of_a_closed_area(self, data: st.DataObject, pid: int) -> None:
        area = self.some(data, self.dumb.closed)
        self.goes_wrong(pid, (e.SwapDuplicate, area << SHIFT | 1), (e.SwapFree, area << SHIFT | 1), codes={"D5"})


class Wrong2610(Wrong):
    """The same in 2.6.10."""

    profile = "2.6.10"


class Wrong269(Wrong):
    """The same in 2.6.9."""

    profile = "2.6.9"


@pytest.mark.parametrize("kernel", [Right, Right2610, Right269])
def test_the_models_agree_on_a_right_kernel(kernel):
    run_state_machine_as_test(kernel, settings=settings(max_examples=25, stateful_step_count=40, deadline=None))


def test_the_models_agree_on_what_a_wrong_kernel_breaks():
    seen: Counter[str] = Counter()
    for kernel in (Wrong, Wrong2610, Wrong269):
        kernel.seen = seen
        run_state_machine_as_test(kernel, settings=settings(max_examples=70, stateful_step_count=40, deadline=None))
    assert seen.keys() == CODES  # all of them were broken, and found by both
