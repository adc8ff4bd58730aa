"""The kernel's own data: mms and their addresses, swap areas and their slots, mmlist and its lock; and the seeded bug."""

from __future__ import annotations

from mmlist.replay.simulate.bugs import BUGS
from mmlist.replay.simulate.machine import Cpu, Machine, Steps, Task
from mmlist.replay.simulate.memory import Area, Lock, Mm, Node, Page, Poison, Slot, list_empty
from mmlist.replay.simulate.settings import LAYOUTS, Settings

_SPLIT_PTLS = 4
_SLOTS_RESERVED = 4
_SLOTS = 4096


class Kernel(Machine):
    """All of the machine's state. Its functions that yield are in the modules named after what they do."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.layout = LAYOUTS[settings.profile]
        self.modern = settings.profile == "modern"
        self.old = settings.profile == "2.6.9"
        self.bug = BUGS[settings.bug] if settings.bug else None
        self.bug_name = settings.bug
        self.fired = 0
        self.POISON = Poison(self.layout.poison1)
        self.POISON2 = Poison(self.layout.poison2)
        self.NULL = Poison(0)
        self.free_mms: list[Mm] = []
        self.mms: list[Mm] = []
        self.calm = False  # nobody needs memory
        self.nr = 0  # mmlist_nr of 2.6.9
        self.mmlist_lock = Lock("mmlist_lock", self.layout.mmlist_lock)
        self.swap_lock = Lock("swap_lock" if self.modern else "swaplock", self.layout.mmlist_lock + 0x40)
        self.areas = [Area(type_) for type_ in range(settings.areas)]
        self.deferred: list[Mm] = []  # mmput_async's work
        self.cached: list[Page] = []  # in the swap cache and mapped by nobody
        self.init_mm = Mm(self.layout.init_mm, self.layout.mmlist_offset, 0)
        self.init_mm.users, self.init_mm.count = 2, 1

    # Memory.

    def allocate_mm(self) -> Mm:
        """allocate_mm(): the address freed last comes first, as a slab's does."""
        if self.free_mms:
            mm = self.free_mms.pop()
        else:
            index = len(self.mms)
            mm = Mm(self.layout.mm_base + index * self.layout.mm_size, self.layout.mmlist_offset, index)
            mm.ptl = self._page_table_locks(mm)
            self.mms.append(mm)
        mm.generation += 1
        mm.born = True
        mm.borrowers = mm.extra = 0
        return mm

    def _page_table_locks(self, mm: Mm) -> list[Lock]:
        """One page_table_lock an mm in 2.6, one a page table since 2.6.15."""
        name = "ptlock_ptr(page)" if self.modern else "&mm->page_table_lock"
        return [Lock(name, mm.addr + 0x70 + 4 * i) for i in range(_SPLIT_PTLS if self.modern else 1)]

    def ptl(self, mm: Mm, va: int) -> Lock:
        """The lock of the page table that maps `va`."""
        locks = mm.ptl
        return locks[(va >> 3) % len(locks)]

    def fetch(self, mm: Mm) -> str:
        """What a probe with the fetch arguments of captures/ reads of `mm` now."""
        return f"users={mm.users} count={mm.count} next={mm.next.node:#x} prev={mm.prev.node:#x}"

    def fetch_head(self) -> str:
        """init_mm.mmlist as a probe reads it now."""
        return f"head={self.init_mm.next.node:#x} tail={self.init_mm.prev.node:#x}"

    def fetch_inuse(self) -> str:
        """inuse_pages of the first two areas; a type that never was reads stale bytes, here 0."""
        inuse = [area.inuse for area in self.areas[:2]] + [0, 0]
        return f"inuse0={inuse[0]} inuse1={inuse[1]}"

    def probe(self, task: Task, name: str, place: str, mm: Mm, more: str = "") -> Steps:
        """An entry or return probe that fetches `mm`: now and then a step of another CPU after its time stamp."""
        if not self.ring.probes:
            return
        if self.random.random() < 0.1:
            task.atomic += 1
            line = self.reserve(task, name)
            yield None
            self.ring.fill(line, f"({place}) mm={mm.addr:#x} {self.fetch(mm)}{more}")
            task.atomic -= 1
        else:
            self.ring.line(task.cpu, task.comm, task.pid, name, f"({place}) mm={mm.addr:#x} {self.fetch(mm)}{more}")

    def visit(self, task: Task, mm: Mm, got: int) -> None:
        """The walk meets `mm`: what the hook says, after the get."""
        fetched = self.fetch(mm) if self.ring.hooks else f"users={mm.users}"
        self.say(task, "mmlist_visit", f"mm={mm.addr:#x} got={got} {fetched}")

    # The seeded bug.

    def wrong(self, name: str) -> bool:
        """Whether the step that comes now goes wrong: the bug seeded is this one, and its dice say so."""
        if self.bug_name != name:
            return False
        assert self.bug is not None
        if self.random.random() >= self.bug.rate:
            return False
        self.fired += 1
        if self.fired == 1:
            self.ring.mark_next = True
        return True

    # Swap.

    def slot(self, entry: int) -> Slot | None:
        """The slot of `entry`, None if it is free or no area's."""
        type_, offset = entry >> self.layout.type_shift, entry & ((1 << self.layout.type_shift) - 1)
        return self.areas[type_].slots.get(offset) if type_ < len(self.areas) else None

    def entry(self, area: Area, offset: int) -> int:
        """swp_entry(type, offset)."""
        return area.type << self.layout.type_shift | offset

    def reserve_slots(self, area: Area) -> int | None:
        """A free offset of `area`, lowest after the last one; a batch is reserved for the CPU (mm/swap_slots.c)."""
        if not area.reserved:
            wanted = _SLOTS_RESERVED if self.modern else 1
            offset = area.cursor
            for _ in range(_SLOTS):
                if offset not in area.slots:
                    area.reserved.append(offset)
                    area.inuse += 1
                    if len(area.reserved) == wanted:
                        break
                offset = offset % _SLOTS + 1
            area.cursor = offset % _SLOTS + 1 if self.random.random() < 0.5 else 1
            area.reserved.reverse()
        return area.reserved.pop() if area.reserved else None

    def release_slot(self, entry: int) -> None:
        """The slot of `entry` is free, if nobody counts it and no page caches it (mm/swapfile.c: swap_range_free)."""
        type_, offset = entry >> self.layout.type_shift, entry & ((1 << self.layout.type_shift) - 1)
        area = self.areas[type_]
        slot = area.slots.get(offset)
        if slot is not None and slot.count <= 0 and slot.cache is None:
            del area.slots[offset]
            area.inuse -= 1

    # The struct's references.

    def mmgrab(self, task: Task, mm: Mm) -> None:
        """include/linux/sched/mm.h: mmgrab."""
        self.say(task, "mmgrab", f"mm={mm.addr:#x} count={mm.count}")
        mm.count += 1

    def mmdrop(self, task: Task, mm: Mm) -> None:
        """include/linux/sched/mm.h: mmdrop; the last one frees (kernel/fork.c: __mmdrop)."""
        self.say(task, "mmdrop", f"mm={mm.addr:#x} count={mm.count}")
        mm.count -= 1
        if mm.count == 0:
            self.tell(task, "__mmdrop", f"(__mmdrop+0x0/0x130) mm={mm.addr:#x} {self.fetch(mm)}")
            self.say(task, "mm_free", f"mm={mm.addr:#x}")
            mm.born = False
            self.free_mms.append(mm)

    def switched(self, cpu: Cpu, task: Task) -> None:
        """finish_task_switch: the reference of a lazy mm goes when the CPU runs something else."""
        if cpu.lazy is not None and (task.mm is not None or self.chance(0.3)):
            mm, cpu.lazy = cpu.lazy, None
            self.mmdrop(task, mm)

    def listed(self, mm: Node) -> bool:
        """!list_empty(&mm->mmlist)."""
        return not list_empty(mm)
