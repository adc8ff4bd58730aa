"""The patch's kernel as a tiny machine of atomic steps, and the search of all its interleavings: no code of the model's.

Tasks are little programs over three mms, two swap entries (one an area) and the locks. A step is atomic where nothing that
another task does could come in between and be told: a lock is taken by the first step under it and let go by the last
one, and a step that needs a lock that another holds is not enabled. `list_empty` is read without a lock, so its reading is
a step of its own, and so is each `list_del_init` of the drain and each look at inuse_pages.

Sources: the patch "lighten mmlist_lock" (2.6.10) and 5.10 to 7.1: mm/rmap.c: try_to_unmap_one, mm/memory.c:
copy_nonpresent_pte (2.6.10: copy_page_range), kernel/fork.c: mmput, mm/swapfile.c: try_to_unuse, drain_mmlist, swapoff.
One file, over 400 lines: a machine is read as a whole, and the search knows nothing of what it searches.
What is left out: shmem, a swap cache that outlives the pageout, start_mm of 2.6.10's walk, failures.
"""

from __future__ import annotations

import gc
from collections import Counter, deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

NONE, LIVE, DYING, ZAPPED, FREED = range(5)
"""The lives of an mm: not born, with users, without, its page tables gone, its struct gone."""

HEAD = -1
"""init_mm, as a place in the list."""

Said = tuple[Any, ...]
"""What a step says in a log: ("add", mm, after) and so on."""


class Task(NamedTuple):
    """Where a task is: its next step (empty: over), what it works on, and what it keeps. `then` follows a final mmput."""

    step: str
    mms: tuple[int, ...] = ()
    entry: int = 0
    parent: int = HEAD
    empty: bool = False
    prev: int = HEAD
    at: int = HEAD
    then: str = ""


class State(NamedTuple):
    """One state of the kernel; a task is known by its place in `tasks`, an area by its entry's number."""

    order: tuple[int, ...]
    poisoned: frozenset[int]
    life: tuple[int, ...]
    users: tuple[int, ...]
    held: frozenset[tuple[int, int]]  # (mm, entry)
    cached: frozenset[int]
    counts: tuple[int, ...]  # duplicates that were not freed, without the cache's
    writeok: frozenset[int]
    used: frozenset[int]
    locks: frozenset[tuple[str, int]]  # (lock, task that holds it)
    tasks: tuple[Task, ...]


class Move(NamedTuple):
    """A step that was taken: by whom, what it says, what it broke, and where it leads."""

    task: int
    says: tuple[Said, ...]
    broke: frozenset[str]
    to: State


class Kernel:
    """One state being stepped on: everything may be changed, then it is frozen again."""

    def __init__(self, state: State, me: int, modern: bool, faults: frozenset[str]) -> None:
        self.order = list(state.order)
        self.poisoned = set(state.poisoned)
        self.life = list(state.life)
        self.users = list(state.users)
        self.held = set(state.held)
        self.cached = set(state.cached)
        self.counts = list(state.counts)
        self.writeok = set(state.writeok)
        self.used = set(state.used)
        self.locks = dict(state.locks)
        self.tasks = list(state.tasks)
        self.me = me
        self.modern = modern
        self.faults = faults
        self.says: list[Said] = []
        self.broke: set[str] = set()

    def frozen(self) -> State:
        return State(
            tuple(self.order), frozenset(self.poisoned), tuple(self.life), tuple(self.users), frozenset(self.held),
            frozenset(self.cached), tuple(self.counts), frozenset(self.writeok), frozenset(self.used),
            frozenset(self.locks.items()), tuple(self.tasks),
        )  # fmt: skip

    # --- what steps are made of --------------------------------------------------------------------------------------

    @property
    def task(self) -> Task:
        return self.tasks[self.me]

    def go(self, step: str, **changed: Any) -> None:
        self.tasks[self.me] = self.task._replace(step=step, **changed)

    def done(self) -> None:
        self.tasks[self.me] = Task("")

    def say(self, *what: Any) -> None:
        self.says.append(what)

    def free(self, *names: str) -> bool:
        """Whether no other task holds one of these locks."""
        return all(self.locks.get(name, self.me) == self.me for name in names)

    def lock(self, *names: str) -> None:
        self.locks.update(dict.fromkeys(names, self.me))

    def unlock(self, *names: str) -> None:
        for name in names:
            self.locks.pop(name, None)

    def ptl(self, mm: int, entry: int) -> str:
        """2.6.10 has one page_table_lock an mm, modern kernels one a page of page tables."""
        return f"ptl {mm} {entry}" if self.modern else f"ptl {mm}"

    def slots(self) -> tuple[str, ...]:
        """What a slot is handed out and given back under: 2.6.10's swap_list_lock, that the drain holds; modern: none."""
        return () if self.modern else ("swap_list",)

    def mmaps(self, parent: int, child: int) -> tuple[str, ...]:
        """What dup_mmap holds: the parent's mmap_sem, in modern kernels the child's, too."""
        return (f"mmap {parent}", f"mmap {child}") if self.modern else (f"mmap {parent}",)

    def inuse(self, entry: int) -> bool:
        return entry in self.cached or self.counts[entry] > 0

    def duplicate(self, entry: int) -> None:
        if not self.inuse(entry):
            self.broke.add("S1")
        self.counts[entry] += 1
        self.say("duplicate", entry)

    def swap_free(self, entry: int) -> None:
        self.counts[entry] -= 1
        if self.counts[entry] < 0:
            self.broke.add("S1")
        self.say("free", entry)

    def uncache(self, entry: int) -> None:
        self.cached.discard(entry)
        self.say("uncache", entry)

    def clear(self, mm: int, entry: int, why: str) -> None:
        self.held.discard((mm, entry))
        self.say("clear", mm, entry, why)
        self.swap_free(entry)

    def add(self, mm: int, after: int) -> None:
        """list_add under mmlist_lock; only a modern kernel looks again whether it is linked (the pte lock is split)."""
        if self.modern and mm in self.order and "no recheck" not in self.faults:
            return
        if mm in self.order:
            self.broke.add("M2")
        if mm in self.poisoned:
            self.broke.add("M4")
        if after != HEAD and after not in self.order:
            self.broke.add("M8")
        self.say("add", mm, after)
        if not self.broke:
            self.order.insert(0 if after == HEAD else self.order.index(after) + 1, mm)

    # --- pageout: mm/vmscan.c: shrink_list, mm/rmap.c: try_to_unmap_one ----------------------------------------------

    def pageout(self, entry: int) -> None:
        """add_to_swap: a slot is handed out, the page locked."""
        self.lock(f"page {entry}")
        self.cached.add(entry)
        self.say("alloc", entry)
        self.go("unmap", entry=entry)

    def unmap(self) -> None:
        """The pte is cleared, its entry duplicated; an mm whose page tables are gone has none."""
        mm, entry = self.task.mms[0], self.task.entry
        if self.life[mm] not in (LIVE, DYING):
            self._unmapped()
            return
        self.lock(self.ptl(mm, entry))
        if "join first" in self.faults:
            self.go("look")
            return
        self.duplicate(entry)
        self.go("look")

    def look(self) -> None:
        """list_empty(&mm->mmlist), without a lock."""
        mm = self.task.mms[0]
        empty = mm not in self.order and "no join" not in self.faults
        self.go("join" if empty else "late" if "join first" in self.faults else "set")

    def join(self) -> None:
        self.add(self.task.mms[0], self.task.parent)
        self.go("late" if "join first" in self.faults else "set")

    def late(self) -> None:
        """The duplicate after the join: the order of which drain_mmlist's comment says that it would be racy."""
        self.duplicate(self.task.entry)
        self.go("set")

    def set(self) -> None:
        mm, entry = self.task.mms[0], self.task.entry
        self.held.add((mm, entry))
        self.unlock(self.ptl(mm, entry))
        self.say("assign", mm, entry, "unmap" if self.task.parent == HEAD else "fork")
        if self.task.parent != HEAD:
            self.unlock(self.ptl(self.task.parent, entry))
            self.go("copy", entry=entry + 1)
        else:
            self._unmapped()

    def _unmapped(self) -> None:
        mms = self.task.mms[1:]
        self.go("unmap" if mms else "written", mms=mms)

    def written(self) -> None:
        """The page is written, leaves the swap cache and is free."""
        self.unlock(f"page {self.task.entry}")
        self.uncache(self.task.entry)
        self.done()

    # --- fork: kernel/fork.c: dup_mmap, mm/memory.c: copy_page_range -------------------------------------------------

    def fork(self) -> None:
        """copy_mm: the child is born, the parent's mmap_sem taken (modern: the child's, too)."""
        parent, child = self.task.parent, self.task.mms[0]
        if self.life[parent] != LIVE:
            self.done()
            return
        self.life[child], self.users[child] = LIVE, 1
        self.lock(*self.mmaps(parent, child))
        self.say("init", child, parent)
        self.go("copy", entry=0)

    def copy(self) -> None:
        """The next pte, under both page table locks: an entry is duplicated."""
        parent, child, entry = self.task.parent, self.task.mms[0], self.task.entry
        if entry == len(self.counts):
            self.unlock(*self.mmaps(parent, child))
            self.say("fork", parent, child)
            exits = self.task.then
            self.done()
            if exits:
                self.go("put", mms=(child,))
        elif (parent, entry) not in self.held:
            self.go("copy", entry=entry + 1)
        else:
            self.lock(self.ptl(parent, entry), self.ptl(child, entry))
            self.duplicate(entry)
            self.go("look")

    # --- a fault: mm/memory.c: do_swap_page --------------------------------------------------------------------------

    def fault(self) -> None:
        mm, entry = self.task.mms[0], self.task.entry
        if (mm, entry) in self.held and self.life[mm] == LIVE:
            self.clear(mm, entry, "fault")
        self.done()

    # --- the last put: kernel/fork.c: mmput --------------------------------------------------------------------------

    def put(self) -> None:
        """mmput; the last one tears the address space down."""
        mm = self.task.mms[0]
        self.users[mm] -= 1
        if self.users[mm] < 0:
            self.broke.add("C1")
        self.say("put", mm)
        if self.users[mm]:
            self._put_over()
            return
        if self.life[mm] != LIVE:
            self.broke.add("C3")
        self.life[mm] = DYING
        self.go("leaving" if "removed first" in self.faults else "exit")

    def _put_over(self) -> None:
        if self.task.then:
            self.go(self.task.then, then="", mms=())
        else:
            self.done()

    def exit(self) -> None:
        """exit_mmap begins."""
        self.say("exit", self.task.mms[0])
        self.go("zap")

    def zap(self) -> None:
        """A pte after the other, then the page tables."""
        mm = self.task.mms[0]
        for entry in range(len(self.counts)):
            if (mm, entry) in self.held:
                self.clear(mm, entry, "zap")
                return
        self.life[mm] = ZAPPED
        self.say("exited", mm)
        self.go("free_mm" if "removed first" in self.faults else "leaving")

    def leaving(self) -> None:
        """list_empty(&mm->mmlist), without a lock."""
        leaves = self.task.mms[0] in self.order and "no removal" not in self.faults
        self.go("leave" if leaves else self._left())

    def _left(self) -> str:
        return "exit" if "removed first" in self.faults else "free_mm"

    def leave(self) -> None:
        """list_del under mmlist_lock; of a node that a drain made point at itself it is harmless."""
        mm = self.task.mms[0]
        if mm in self.order and self.life[mm] != ZAPPED:
            self.broke.add("M5")
        if mm in self.order:
            self.order.remove(mm)
        elif mm in self.poisoned:
            self.broke.add("M11")
        self.poisoned.add(mm)
        self.say("del", mm, "mmput")
        self.go(self._left())

    def free_mm(self) -> None:
        mm = self.task.mms[0]
        if mm in self.order:
            self.broke.add("M6")
        if self.users[mm]:
            self.broke.add("C4")
        self.life[mm] = FREED
        self.say("free_mm", mm)
        self._put_over()

    # --- swapoff: mm/swapfile.c --------------------------------------------------------------------------------------

    def swapoff(self) -> None:
        """SWP_WRITEOK is cleared: no slot of the area is handed out from here on."""
        self.writeok.discard(self.task.entry)
        self.say("swapoff", self.task.entry)
        self.go("next", prev=HEAD, at=HEAD)

    def next(self) -> None:
        """Under mmlist_lock: the next member is held, or skipped where its mm_users is 0 (then the lock stays taken)."""
        area, at = self.task.entry, self.task.at
        if at != HEAD and at not in self.order:
            self.broke.add("M9")
            return
        place = 0 if at == HEAD else self.order.index(at) + 1
        self.unlock("mmlist")
        if not self.inuse(area) or place == len(self.order):
            prev = self.task.prev
            if prev == HEAD:
                self.go("walked", at=HEAD)
            else:
                self.go("put", mms=(prev,), then="walked", prev=HEAD, at=HEAD)
            return
        mm = self.order[place]
        if not self.users[mm] and "no guard" not in self.faults:
            self.say("visit", mm, 0, 0)
            self.lock("mmlist")
            self.go("next", at=mm)
            return
        if not self.users[mm]:
            self.broke |= {"C2", "D9"}
        self.users[mm] += 1
        self.say("visit", mm, 1, self.users[mm])
        prev = self.task.prev
        if prev != HEAD:
            self.go("put", mms=(prev,), then="unuse", prev=mm, at=mm)
        else:
            self.go("unuse", prev=mm, at=mm)

    def unuse(self) -> None:
        """unuse_process, unuse_mm: the entry is swapped in."""
        mm, area = self.task.prev, self.task.entry
        self.say("unuse", mm, area)
        if (mm, area) in self.held:
            self.clear(mm, area, "unuse")
        self.go("next")

    def walked(self) -> None:
        """The pass is over: another one, if pages are still in use."""
        if self.inuse(self.task.entry):
            self.go("next", prev=HEAD, at=HEAD)
            return
        self.say("unused")
        self.go("look_inuse", at=0)

    def look_inuse(self) -> None:
        """drain_mmlist, under swap_list_lock: inuse_pages of one area after the other."""
        area = self.task.at
        if "drain unlocked" not in self.faults:
            self.lock("swap_list")
        if self.inuse(area) and "no look" not in self.faults:
            self.say("drain", area, tuple(int(self.inuse(area)) for area in range(len(self.counts))))
            self.go("closed")
        elif area + 1 < len(self.counts):
            self.go("look_inuse", at=area + 1)
        else:
            pages = tuple(int(self.inuse(area)) for area in range(len(self.counts)))
            if "no look" in self.faults and any(pages):
                self.broke.add("D1")
            self.say("drain", -1, pages if "no look" in self.faults else (0,) * len(pages))
            self.go("drain")

    def drain(self) -> None:
        """list_del_init of each member, under mmlist_lock."""
        if not self.order:
            self.unlock("mmlist")
            self.go("closed")
            return
        self.lock("mmlist")
        self.say("del", self.order.pop(0), "drain")

    def closed(self) -> None:
        """The area is gone, the locks are let go."""
        area = self.task.entry
        self.unlock("swap_list")
        if self.inuse(area) or any(entry == area for _, entry in self.held):
            self.broke.add("D5")
        self.used.discard(area)
        self.say("off", area)
        self.done()


Step = Callable[[Kernel], None]


def enabled(kernel: Kernel) -> list[Step]:
    """The steps that the task may take now: none while another holds a lock that one of them needs."""
    task = kernel.task
    if task.step == "pageout":
        return _handed_out(kernel)
    return [getattr(Kernel, task.step)] if kernel.free(*_needed(kernel, task)) else []


def _handed_out(kernel: Kernel) -> list[Step]:
    """get_swap_page: any free slot of an area that is writable; where there is none, the page stays."""
    if not kernel.free(*kernel.slots()):
        return []
    slots = [entry for entry in sorted(kernel.writeok) if not kernel.inuse(entry)]
    return [partial(Kernel.pageout, entry=entry) for entry in slots] or [Kernel.done]


def _needed(kernel: Kernel, task: Task) -> tuple[str, ...]:
    """The locks that the step takes, or runs under for its own time."""
    mm, entry, slots = task.mms[0] if task.mms else HEAD, task.entry, kernel.slots()
    match task.step:
        case "unmap":
            return (kernel.ptl(mm, entry),)
        case "fork":
            return kernel.mmaps(task.parent, mm)
        case "copy" if entry < len(kernel.counts):
            return kernel.ptl(task.parent, entry), kernel.ptl(mm, entry)
        case "join" | "leave" | "next" | "drain":
            return ("mmlist",)
        case "written":
            return slots
        case "fault":
            return f"page {entry}", f"mmap {mm}", kernel.ptl(mm, entry), *slots
        case "zap":
            return *(kernel.ptl(mm, entry) for entry in range(len(kernel.counts))), *slots
        case "unuse":
            return f"page {entry}", f"mmap {task.prev}", kernel.ptl(task.prev, entry), *slots
    return ()


def moves(state: State, modern: bool, faults: frozenset[str] = frozenset()) -> Iterator[Move]:
    """Every step that some task may take in `state`."""
    for me, task in enumerate(state.tasks):
        kernel = Kernel(state, me, modern, faults)
        for number, step in enumerate(enabled(kernel) if task.step else ()):
            if number:
                kernel = Kernel(state, me, modern, faults)
            step(kernel)
            if not kernel.broke and unlisted(kernel):
                kernel.broke.add("M1")
            yield Move(me, tuple(kernel.says), frozenset(kernel.broke), kernel.frozen())


def unlisted(kernel: Kernel | State) -> set[int]:
    """Who has users, holds an entry of an area in use, and is not on mmlist."""
    return {mm for mm, entry in kernel.held if entry in kernel.used and kernel.life[mm] == LIVE} - set(kernel.order)


class Graph:
    """All states that can be reached, and the steps between them. A step that broke more than M1 leads nowhere."""

    def __init__(self, start: State, *, modern: bool, faults: frozenset[str] = frozenset()) -> None:
        self.start = start
        self.moves: dict[State, list[Move]] = {}
        self.came: dict[State, tuple[State, int] | None] = {start: None}
        self.broke: Counter[str] = Counter()
        gc.disable()  # nothing here is garbage, and looking for it takes as long as the search
        try:
            self._search(modern, faults)
        finally:
            gc.enable()

    def _search(self, modern: bool, faults: frozenset[str]) -> None:
        one = {self.start: self.start}  # each state once in memory, however many steps lead to it
        waiting = deque([self.start])
        while waiting:
            state = waiting.popleft()
            found = self.moves[state] = [
                move._replace(to=one.setdefault(move.to, move.to)) for move in moves(state, modern, faults)
            ]
            for number, move in enumerate(found):
                self.broke.update(move.broke)
                if move.broke <= {"M1"} and move.to not in self.came:
                    self.came[move.to] = state, number
                    waiting.append(move.to)

    @property
    def steps(self) -> int:
        return sum(map(len, self.moves.values()))

    def ends(self) -> list[State]:
        """The states in which nobody can take a step."""
        return [state for state, found in self.moves.items() if not found]

    def path_to(self, state: State) -> list[Move]:
        """A shortest way there."""
        path: list[Move] = []
        while (came := self.came[state]) is not None:
            state, number = came
            path.append(self.moves[state][number])
        return path[::-1]

    def paths(self) -> Iterator[list[Move]]:
        """Ways from the start, each as long as it meets steps that none before it took: together they take every step."""
        fresh = {state: list(range(len(found))) for state, found in self.moves.items()}
        for begin in self.moves:
            while fresh[begin]:
                path, state = self.path_to(begin), begin
                while numbers := fresh.get(state):
                    move = self.moves[state][numbers.pop()]
                    path.append(move)
                    if not move.broke <= {"M1"}:
                        break
                    state = move.to
                yield path

    def stuck(self) -> set[State]:
        """The states from which no end can be reached any more."""
        before: dict[State, list[State]] = {}
        for state, found in self.moves.items():
            for move in found:
                before.setdefault(move.to, []).append(state)
        good = set(self.ends())
        waiting = list(good)
        while waiting:
            for state in before.get(waiting.pop(), ()):
                if state not in good:
                    good.add(state)
                    waiting.append(state)
        return set(self.moves) - good


Swapped = tuple[tuple[tuple[int, int], ...], tuple[int, ...]]


def start(*tasks: Task, swapped: Swapped = ((), ()), areas: int = 2) -> State:
    """Three mms, of which those that a task forks are yet to be born, with a user for each task that puts or forks them.

    `swapped`: who holds which entry as (mm, entry), and the members in order.
    """
    holds, order = swapped
    born = {task.mms[0] for task in tasks if task.step == "fork"}
    users = [0 if mm in born else max(1, sum(_uses(task, mm) for task in tasks)) for mm in range(3)]
    both = frozenset(range(areas))
    return State(
        order=order,
        poisoned=frozenset(),
        life=tuple(NONE if mm in born else LIVE for mm in range(3)),
        users=tuple(users),
        held=frozenset(holds),
        cached=frozenset(),
        counts=tuple(sum(1 for _, entry in holds if entry == area) for area in range(areas)),
        writeok=both,
        used=both,
        locks=frozenset(),
        tasks=tasks,
    )


def _uses(task: Task, mm: int) -> bool:
    return (task.step == "put" and mm in task.mms) or (task.step == "fork" and mm == task.parent)
