"""What all parts of the model share: the mms by address, the list, and the changes of the step that is going on."""

from __future__ import annotations

from mmlist.replay.facts import Fact
from mmlist.replay.model.carries import Carries
from mmlist.replay.model.changes import Born, Change, NrShown
from mmlist.replay.model.mm import APART, MEMBER, Mm
from mmlist.replay.model.mmlist import Mmlist, Node
from mmlist.replay.model.profile import Profile
from mmlist.replay.model.swap import Area, Entry, SwapoffCall
from mmlist.replay.model.ties import Ties
from mmlist.replay.record import At

INIT_MM = 0


class Core:
    """The state, and the few operations that every part needs."""

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
        """`mmlist_offset` in bytes, `init_mm` an address, each None if unknown; `grain` is the clock's, in units of ts."""
        self.profile = profile
        self.carries = carries
        self.balanced = carries.balanced
        self.offset = mmlist_offset
        self.init_mm = init_mm
        self.head_address = None if init_mm is None or mmlist_offset is None else init_mm + mmlist_offset
        self.shift = shift
        self.grain = grain
        self.ties = Ties(grain)
        self.mms: dict[int, Mm] = {}
        self.generations: dict[int, int] = {}
        self.list = Mmlist()
        self.members: dict[int, Mm] = {}
        self.entries: dict[int, Entry] = {}
        self.areas: dict[int, Area] = {}
        self.swapoffs: dict[int, SwapoffCall] = {}
        self.holders: dict[tuple[int, int], Mm] = {}
        self.changes: list[Change] = []
        self.facts: list[Fact] = []
        self.compared = 0
        self.differing = 0
        self.loss_seq = 0
        self.under_way: dict[Mm, None] = {}  # whose join was due, or step seen early, since the last loss
        self.released = 0  # replay position up to which anybody's holdings may have been released unseen
        self.differences: list[tuple[At, str]] = []
        self.gets_invisible = False
        self.task_mms: dict[int, int] = {}
        self.unseen_release: At | None = None  # an mm ended with entries that no line released: lines are missing
        self.reborn: list[tuple[int, At]] = []  # births at addresses where mms live whose frees are not in the log
        self.first_free: At | None = None
        self.freed_again: dict[int, int] = {}  # frees of addresses at which none lived, more than births since
        self.freed: dict[int, Mm] = {}  # the last one at an address, from its free on until the address is used again
        self.swapoff_over: At | None = None  # where the last swapoff returned, whatever it returned
        self.nr: int | None = None  # mmlist_nr of 2.6.9, as last shown and counted since
        self.nr_at: At | None = None
        self.nr_changes: dict[int | None, At] = {}  # the last join or removal, by CPU
        self.cpus: set[int | None] = set()
        self.nr_odd: NrShown | None = None  # one that differs, until no line of equal time can come that explains it
        self.nr_seq = 0
        self.broken: At | None = None  # a linked node was added again: links are no guide from here on

    def seen_early(self, mm: Mm, step: str) -> None:
        """The list showed a `step` (join, leave) of `mm` before the event that says it."""
        mm.early = step
        self.under_way[mm] = None

    def emit(self, change: Change) -> None:
        """Add a change to the answer of this step."""
        self.changes.append(change)

    def mm_at(self, address: int, at: At) -> Mm:
        """The mm now living at `address`; one of unknown birth if none is known."""
        mm = self.mms.get(address)
        if mm is None:
            mm = self.new_mm(address, at)
        mm.last_seen = at
        return mm

    def gone_beside(self, address: int, at: At) -> bool:
        """Whether what `at` says of the mm at `address` is older than its free: a line of equal time on another CPU."""
        gone = self.freed.get(address)  # of no life that goes on: a new one takes it out
        if gone is None or gone.freed is None or not self.carries.births or gone.freed.seq <= self.loss_seq:
            return False
        return self.tied(gone.freed, at)

    def gone_before(self, address: int, at: At) -> Mm | None:
        """The mm that was freed at `address` before `at`, if the log would show who took it since; else None."""
        gone = self.freed.get(address)
        if gone is None or gone.freed is None or gone.zero is None or gone.freed.seq <= self.loss_seq:
            return None
        complete = self.carries.births and self.carries.gets_explicit and not self.gets_invisible
        return gone if complete and not self.tied(gone.freed, at) else None

    def new_mm(self, address: int, at: At) -> Mm:
        """A new generation at `address`, nothing known of it."""
        generation = self.generations.get(address, 0) + 1
        self.freed.pop(address, None)
        self.generations[address] = generation
        mm = self.mms[address] = Mm(address, generation, at.line)
        return mm

    def birth(self, address: int, at: At) -> Mm:
        """A new generation, known from its first step on."""
        mm = self.new_mm(address, at)
        mm.born = mm.last_seen = at
        mm.users = mm.count = 1
        mm.users_at = at
        mm.life.born_line, mm.life.born_ts = at.line, at.ts
        self.emit(Born(at, mm))
        return mm

    def node_of(self, address: int, at: At) -> Node:
        """The list node at `address`: the head's, a known mm's, or that of an mm met here for the first time."""
        if address == self.head_address:
            return self.list.head
        assert self.offset is not None
        return self.mm_at(address - self.offset, at).node

    def node_address(self, node: Node) -> int | None:
        """The address of `node`, None if it is not known."""
        if node.mm is None:
            return self.head_address
        return None if self.offset is None else node.mm.address + self.offset

    def key(self, at: At) -> int:
        """The task that `at` is on: its pid, or a number below 0 for the idle task of a CPU."""
        return at.pid or -1 - (at.cpu or 0)

    def tied(self, one: At | None, other: At) -> bool:
        """Whether the clock does not fix the order of two lines: other CPUs, and times no further apart than its grain."""
        if one is None or one.cpu == other.cpu:
            return False
        if one.ts is None or other.ts is None:
            return True
        return abs(other.ts - one.ts) <= self.grain

    def linked(self, mm: Mm) -> bool:
        """Whether `mm` is known to be linked, on mmlist or on a ring apart."""
        return mm.listed in (MEMBER, APART)

    def type_of(self, entry: int) -> int:
        """The swap area's index in `entry` (include/linux/swapops.h: swp_type)."""
        return entry >> self.shift

    def list_known(self, mm: Mm) -> bool:
        """Whether no loss has come since the membership of `mm` was last known."""
        return mm.listed_seq > self.loss_seq or self.loss_seq == 0
