"""CPUs, tasks, and whose turn it is: each task is a generator that yields where another CPU may do a step.

`yield` lets other CPUs go on; `yield SLEEP` gives up this one. Who holds a spin lock keeps its CPU.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from random import Random

from mmlist.replay.simulate.memory import Lock, Mm, Page, RwSem
from mmlist.replay.simulate.settings import Settings
from mmlist.replay.simulate.trace import Line, Ring

SLEEP = True
Steps = Generator[bool | None, None, None]
"""What a kernel function is here."""

_PREEMPT = 0.04
PF_KTHREAD = 0x0020_0000
PF_BORROWED_MM = 0x0200_0000


class Task:
    """A task. `atomic` counts the spin locks that it holds; `mm` is tsk->mm."""

    __slots__ = ("alloc_lock", "atomic", "code", "comm", "cpu", "dying", "flags", "held", "mm", "pid", "struct")

    def __init__(self, pid: int, comm: str, struct: int, mm: Mm | None) -> None:
        self.pid = pid
        self.comm = comm
        self.struct = struct
        self.mm = mm
        self.flags = 0
        self.atomic = 0
        self.cpu = 0
        self.dying = False
        self.held: list[str] = []
        self.alloc_lock = Lock("&p->alloc_lock", struct + 0xB48)
        self.code: Steps | None = None


class Cpu:
    """A CPU: who runs on it, and the mm it still has loaded though the task is gone (lazy TLB)."""

    __slots__ = ("lazy", "number", "task")

    def __init__(self, number: int) -> None:
        self.number = number
        self.task: Task | None = None
        self.lazy: Mm | None = None


class Machine:
    """The CPUs, the tasks, the run queue; and how a task says something, waits, and takes a lock."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.random = Random(settings.seed)
        self.ring = Ring(settings, self.random)
        self.cpus = [Cpu(number) for number in range(settings.cpus)]
        self.tasks: dict[int, Task] = {}
        self.runnable: deque[Task] = deque()
        self.next_pid = 100

    def chance(self, share: float) -> bool:
        """True in `share` of all calls."""
        return self.random.random() < share

    def start(self, task: Task, code: Steps) -> None:
        """`task` will run `code`."""
        task.code = code
        self.tasks[task.pid] = task
        self.runnable.append(task)

    def turn(self) -> None:
        """One CPU does one step."""
        cpu = self.cpus[int(self.random.random() * len(self.cpus))]
        task = cpu.task
        if task is None:
            if not self.runnable:
                return
            task = cpu.task = self.runnable.popleft()
            task.cpu = cpu.number
            self.switched(cpu, task)
        assert task.code is not None
        try:
            sleeps = task.code.send(None)
        except StopIteration:
            cpu.task = None
            self.tasks.pop(task.pid, None)
            return
        if not task.atomic and (sleeps or self.random.random() < _PREEMPT):
            cpu.task = None
            self.runnable.append(task)

    def switched(self, cpu: Cpu, task: Task) -> None:
        """`task` begins to run on `cpu` (kernel/sched/core.c: finish_task_switch)."""

    def say(self, task: Task, name: str, body: str) -> None:
        """An explicit event."""
        if self.ring.explicit:
            self.ring.line(task.cpu, task.comm, task.pid, name, body)
        elif self.ring.hooks and name in _HOOK_PLACES:
            self.ring.line(task.cpu, task.comm, task.pid, name, f"({_HOOK_PLACES[name]}+0x0/0x10) {body}")

    def tell(self, task: Task, name: str, body: str) -> None:
        """A probe or a tracepoint."""
        if self.ring.probes:
            self.ring.line(task.cpu, task.comm, task.pid, name, body)

    def point(self, task: Task, name: str, body: str) -> None:
        """A static tracepoint, which any log may carry."""
        self.ring.line(task.cpu, task.comm, task.pid, name, body)

    def reserve(self, task: Task, name: str) -> Line | None:
        """A probe that will fetch after its time stamp was taken; the task stays on its CPU until `ring.fill`."""
        return self.ring.line(task.cpu, task.comm, task.pid, name, None) if self.ring.probes else None

    def lock(self, task: Task, lock: Lock, told: bool = True) -> Steps:
        """Take a spin lock; lockdep tells before it is waited for (kernel/locking/lockdep.c: lock_acquire)."""
        task.atomic += 1
        if told and self.ring.locks:
            self.ring.line(task.cpu, task.comm, task.pid, "lock_acquire", f"{lock.address:#x} {lock.name}")
        while lock.owner is not None:
            yield None
        lock.owner = task

    def unlock(self, task: Task, lock: Lock, told: bool = True) -> None:
        """Let go of a spin lock."""
        if told and self.ring.locks:
            self.ring.line(task.cpu, task.comm, task.pid, "lock_release", f"{lock.address:#x} {lock.name}")
        lock.owner = None
        task.atomic -= 1

    def down_read(self, sem: RwSem) -> Steps:
        """Wait for a rw_semaphore as a reader."""
        while sem.writer:
            yield SLEEP
        sem.readers += 1

    def down_write(self, sem: RwSem) -> Steps:
        """Wait for a rw_semaphore as the writer."""
        while sem.writer or sem.readers:
            yield SLEEP
        sem.writer = True

    def lock_page(self, page: Page) -> Steps:
        """mm/filemap.c: folio_lock."""
        while page.locked:
            yield SLEEP
        page.locked = True


_HOOK_PLACES = {
    "mmlist_add": "mmlist_hook_add",
    "mmlist_del": "mmlist_hook_del",
    "mmlist_visit": "mmlist_hook_visit",
    "mmlist_drain": "mmlist_hook_drain",
    "swap_assign": "mmlist_hook_pte_set",
    "swap_clear": "mmlist_hook_pte_clear",
}
