"""Random correct histories, against a second, dumber model: lists and sets, and no violation may be found."""

from __future__ import annotations

from history_language import EXPLICIT, IMPLICIT, Story, address, letter
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mmlist.replay import events as e

NAMES = "abcdef"
ENTRIES = range(1, 7)


class Correct(RuleBasedStateMachine):
    """What a right kernel may do: the dumb model is `order` (a list), `held` (sets) and `users` (counters)."""

    profile = "modern"

    def __init__(self) -> None:
        super().__init__()
        self.said = Story(self.profile, EXPLICIT)
        self.worked_out = Story(self.profile, IMPLICIT)
        self.order: list[str] = []
        self.held: dict[str, set[int]] = {}
        self.users: dict[str, int] = {}
        self.free = set(ENTRIES)
        self.tell("swapon 0")

    def tell(self, text: str) -> None:
        self.said.tell(text)
        self.worked_out.tell(text)

    def due(self, mm: str, site: str, after: str = "") -> None:
        """The join of a task that has duplicated: said outright to one model, due in the other."""
        parent = address(after) if after else 0
        for told in (self.said, self.worked_out):
            told.step(e.JoinDue(told.at(), address(mm), site, parent, told.at(), over=False))
        if mm not in self.order:
            self.said.tell(f"add {mm} {after}")
            self.order.insert(self.order.index(after) + 1 if after else 0, mm)

    def settle(self, mm: str, site: str, after: str = "") -> None:
        parent = address(after) if after else 0
        for told in (self.said, self.worked_out):
            told.step(e.JoinDue(told.at(), address(mm), site, parent, told.at(), over=True))

    @rule(mm=st.sampled_from(NAMES))
    def execs(self, mm: str) -> None:
        if mm not in self.users:
            self.tell(f"exec {mm}")
            self.users[mm], self.held[mm] = 1, set()

    @precondition(lambda self: self.users)
    @rule(data=st.data(), entry=st.sampled_from(ENTRIES))
    def pages_out(self, data: st.DataObject, entry: int) -> None:
        mm = data.draw(st.sampled_from(sorted(self.users)))
        if entry not in self.free:
            return
        self.free.discard(entry)
        self.tell(f"alloc {entry}; dup {entry}")
        self.due(mm, "pageout")
        self.settle(mm, "pageout")
        self.tell(f"assign {mm} {entry}")
        self.held[mm].add(entry)

    @precondition(lambda self: self.users)
    @rule(data=st.data(), child=st.sampled_from(NAMES))
    def forks(self, data: st.DataObject, child: str) -> None:
        parent = data.draw(st.sampled_from(sorted(self.users)))
        if child in self.users:
            return
        self.tell(f"init {child}")
        self.users[child], self.held[child] = 1, set()
        for entry in sorted(self.held[parent]):
            self.tell(f"dup {entry}")
            self.due(child, "fork", parent)
            self.settle(child, "fork", parent)
            self.tell(f"assign {child} {entry} fork")
            self.held[child].add(entry)
        self.tell(f"fork {parent} {child}")

    @precondition(lambda self: any(self.held.values()))
    @rule(data=st.data())
    def faults(self, data: st.DataObject) -> None:
        mm = data.draw(st.sampled_from(sorted(name for name in self.held if self.held[name])))
        self.clear(mm, data.draw(st.sampled_from(sorted(self.held[mm]))), "fault")

    def clear(self, mm: str, entry: int, why: str) -> None:
        self.tell(f"clear {mm} {entry} {why}")
        self.held[mm].discard(entry)
        if not any(entry in held for held in self.held.values()):
            self.free.add(entry)

    @precondition(lambda self: self.users)
    @rule(data=st.data())
    def gets(self, data: st.DataObject) -> None:
        mm = data.draw(st.sampled_from(sorted(self.users)))
        self.tell(f"get {mm}")
        self.users[mm] += 1

    @precondition(lambda self: self.users)
    @rule(data=st.data())
    def puts(self, data: st.DataObject) -> None:
        mm = data.draw(st.sampled_from(sorted(self.users)))
        self.tell(f"put {mm}")
        self.users[mm] -= 1
        if self.users[mm]:
            return
        self.tell(f"exit {mm}")
        for entry in sorted(self.held[mm]):
            self.clear(mm, entry, "zap")
        self.tell(f"exited {mm}")
        if mm in self.order:
            self.said.tell(f"del {mm}")
            self.order.remove(mm)
        self.tell(f"free {mm}")
        del self.users[mm], self.held[mm]

    @rule(fails=st.booleans())
    def swaps_off(self, fails: bool) -> None:
        self.tell("swapoff 0")
        if fails:
            self.tell("off 0 -4")
            return
        for mm in self.order:
            for entry in sorted(self.held[mm]):
                self.clear(mm, entry, "unuse")
        self.said.tell("drain -1")
        for mm in self.order:
            self.said.tell(f"del {mm} drain")
        self.order.clear()
        self.tell("off 0; swapon 0")

    @invariant()
    def both_models_have_the_dumb_ones_list(self) -> None:
        for told in (self.said, self.worked_out):
            assert told.members() == "".join(self.order)
            assert [letter(mm.address) for mm in told.state.list.walk()] in (self.order, [])

    @invariant()
    def both_models_have_the_dumb_ones_holdings_and_counts(self) -> None:
        for told in (self.said, self.worked_out):
            for mm, users in self.users.items():
                found = told.state.mms[address(mm)]
                assert found.users == users
                assert set(found.holdings or ()) == self.held[mm]

    @invariant()
    def a_right_kernel_is_not_accused(self) -> None:
        for told in (self.said, self.worked_out):
            assert [(v.code, v.message) for v in told.judge.violations] == []

    def teardown(self) -> None:
        assert self.said.codes() == [] and self.worked_out.codes() == []


class Correct2610(Correct):
    """The same in 2.6.10."""

    profile = "2.6.10"


TestCorrect = Correct.TestCase
TestCorrect.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCorrect2610 = Correct2610.TestCase
TestCorrect2610.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
