"""A history language for model tests: `story("init a; swapout a 1; fork a b; ...")` fits on a line."""

from __future__ import annotations

from msgspec.structs import replace

from mmlist.replay import events as e
from mmlist.replay.facts import Violation
from mmlist.replay.invariants import collect
from mmlist.replay.judge import Judge
from mmlist.replay.model import PROFILES, Carries, State
from mmlist.replay.record import At

EXPLICIT = Carries(
    joins_explicit=True,
    leaves_explicit=True,
    assigns_explicit=True,
    clears_explicit=True,
    unuse_clears=True,
    drain_explicit=True,
    joins_visible=True,
    releases_visible=True,
    duplicates_visible=True,
    counts_visible=True,
    counts_explicit=True,
    unuse_visible=True,
    allocs_visible=True,
    swapons_visible=True,
    swapoffs_visible=True,
    swapoffs_complete=True,
    exit_visible=True,
    exit_ret=True,
    births=True,
    frees=True,
    visits_explicit=True,
    gets_explicit=True,
    grabs_explicit=True,
    unborrows=True,
    whole=True,
)
"""A log in which every step is an event of its own."""

IMPLICIT = replace(EXPLICIT, joins_explicit=False, leaves_explicit=False, drain_explicit=False)
"""The same without list events: the model works out who joins and leaves."""


class Story:
    """A model, a judge, and a clock that gives each word the next line."""

    def __init__(self, profile: str = "modern", carries: Carries = EXPLICIT) -> None:
        self.state = State(PROFILES[profile], carries, mmlist_offset=0x98, init_mm=0xFFFF)
        invariants = [invariant for invariant in collect() if profile in invariant.profiles]
        self.judge = Judge(invariants, self.state, reports_loss=True)
        self.line = 0

    def at(self, pid: int = 1, cpu: int = 0) -> At:
        """The next line, a microsecond later."""
        self.line += 1
        return At(self.line, self.line * 100, self.line * 1000, cpu, pid, b"task", seq=self.line)

    def step(self, *events: e.Event) -> None:
        """Step on `events` and judge what changed."""
        for event in events:
            self.judge.judge(self.state.step(event))

    def tell(self, text: str) -> Story:
        """Each sentence ends with `;`: a verb, then names of mms (one letter: an address) and entries."""
        for sentence in filter(None, (part.strip() for part in text.split(";"))):
            verb, *words = sentence.split()
            getattr(self, "do_" + verb)(*words)
        return self

    def codes(self) -> list[str]:
        """The codes of the violations so far, roots first in order of discovery."""
        return [violation.code for violation in self.violations()]

    def violations(self) -> list[Violation]:
        """The violations so far."""
        self.judge.judge(self.state.finish(self.at()))
        return self.judge.violations

    def members(self) -> str:
        """The members in list order, as letters."""
        return "".join(letter(mm.address) for mm in self.state.members_in_order())

    def do_init(self, mm: str) -> None:
        self.step(e.MmInit(self.at(), address(mm)))

    def do_exec(self, mm: str) -> None:
        self.step(e.MmInit(self.at(), address(mm)), e.ExecMmap(self.at(), address(mm)))

    def do_fork(self, parent: str, child: str) -> None:
        self.step(e.MmFork(self.at(), address(parent), address(child)))

    def do_get(self, mm: str) -> None:
        self.step(e.Mmget(self.at(), address(mm)))

    def do_put(self, mm: str) -> None:
        self.step(e.Mmput(self.at(), address(mm)))

    def do_grab(self, mm: str) -> None:
        self.step(e.Mmgrab(self.at(), address(mm)))

    def do_drop(self, mm: str, count: str = "") -> None:
        self.step(e.Mmdrop(self.at(), address(mm), int(count) if count else None))

    def do_use(self, mm: str, pid: str = "7") -> None:
        self.step(e.KthreadUseMm(self.at(int(pid)), address(mm)))

    def do_unuse(self, mm: str, pid: str = "7") -> None:
        self.step(e.KthreadUnuseMm(self.at(int(pid)), address(mm)))

    def do_flags(self, flags: str, pid: str = "7") -> None:
        self.step(e.TaskFlags(self.at(int(pid)), int(pid), int(flags, 16)))

    def do_goes_on(self, pid: str = "7") -> None:
        """The task does something that is no part of use_mm or unuse_mm."""
        self.step(e.SwapAlloc(self.at(int(pid)), 99))

    def do_exit(self, mm: str) -> None:
        self.step(e.ExitMmap(self.at(), address(mm)))

    def do_exited(self, mm: str) -> None:
        self.step(e.ExitMmapRet(self.at(), address(mm)))

    def do_free(self, mm: str) -> None:
        self.step(e.MmFree(self.at(), address(mm)))

    def do_swapon(self, type_: str) -> None:
        self.step(e.SwaponRet(self.at(), 0, None, int(type_)))

    def do_swapoff(self, type_: str) -> None:
        self.step(e.Swapoff(self.at(9), None, int(type_)))

    def do_unuse_mm(self, mm: str, type_: str = "0") -> None:
        """swapoff walks the mm."""
        self.step(e.UnuseMm(self.at(9), address(mm), int(type_)))

    def do_inuse(self, pages: str) -> None:
        """A probe fetches inuse_pages of area 0."""
        self.step(e.FetchedInuse(self.at(9), (int(pages),), "swapoff"))

    def do_drain(self, busy: str) -> None:
        self.step(e.MmlistDrain(self.at(9), int(busy)))

    def do_off(self, type_: str, ret: str = "0") -> None:
        self.step(e.SwapoffRet(self.at(9), int(ret), int(type_)))

    def do_alloc(self, entry: str) -> None:
        self.step(e.SwapAlloc(self.at(), int(entry)))

    def do_dup(self, entry: str) -> None:
        self.step(e.SwapDuplicate(self.at(), int(entry)))

    def do_add(self, mm: str, after: str = "") -> None:
        self.step(e.MmlistAdd(self.at(), address(mm), address(after) if after else 0))

    def do_del(self, mm: str, why: str = "mmput") -> None:
        self.step(e.MmlistDel(self.at(9 if why == "drain" else 1), address(mm), why))

    def do_assign(self, mm: str, entry: str, why: str = "unmap") -> None:
        self.step(e.SwapAssign(self.at(), address(mm), int(entry), why))

    def do_clear(self, mm: str, entry: str, why: str = "fault") -> None:
        self.step(e.SwapClear(self.at(), address(mm), int(entry), why), e.SwapFree(self.at(), int(entry)))

    def do_release(self, mm: str, entry: str) -> None:
        """A pte lets go; the count is as it was."""
        self.step(e.SwapClear(self.at(), address(mm), int(entry), "zap"))

    def do_free_entry(self, entry: str) -> None:
        """The count goes down; no pte lets go."""
        self.step(e.SwapFree(self.at(), int(entry)))

    def do_swapout(self, mm: str, entry: str) -> None:
        """Pageout as the kernel does it."""
        self.do_alloc(entry)
        self.do_dup(entry)
        if letter(address(mm)) not in self.members():
            self.do_add(mm)
        self.do_assign(mm, entry)

    def do_copy(self, mm: str, entry: str, parent: str) -> None:
        """A fork's copy of an entry, as the kernel does it."""
        self.do_dup(entry)
        if letter(address(mm)) not in self.members():
            self.do_add(mm, parent)
        self.do_assign(mm, entry, "fork")

    def do_end(self, mm: str) -> None:
        """The last mmput and the free, as the kernel does them."""
        self.do_put(mm)
        self.do_exit(mm)
        life = self.state.mms.get(address(mm))
        for entry in list(life.holdings or ()) if life is not None else ():
            self.do_clear(mm, str(entry), "zap")
        self.do_exited(mm)
        if letter(address(mm)) in self.members():
            self.do_del(mm)
        self.do_free(mm)


def address(name: str) -> int:
    """The address of an mm called by a letter."""
    return 0x1000 * (ord(name) - ord("a") + 1)


def letter(mm: int) -> str:
    """The letter of an mm."""
    return chr(mm // 0x1000 - 1 + ord("a"))
