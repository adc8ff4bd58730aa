"""What the machine is asked to do: processes that fork, exec, touch and exit, reclaim, an administrator of swap."""

from __future__ import annotations

from mmlist.replay.simulate import others, swapoff_26
from mmlist.replay.simulate.fault import do_swap_page, touch
from mmlist.replay.simulate.fork import execve, fork
from mmlist.replay.simulate.kernel import Kernel
from mmlist.replay.simulate.machine import SLEEP, Steps, Task
from mmlist.replay.simulate.memory import Area
from mmlist.replay.simulate.pageout import pageout, pick_page
from mmlist.replay.simulate.swapcache import reclaim_cached
from mmlist.replay.simulate.swapoff import swapoff, swapon, try_to_unuse
from mmlist.replay.simulate.teardown import mmput, zap

_PAGES = 24
_CALM = 0.35  # the share of times without need of memory
_COMMS = ("sh", "fk", "hold A", "vm-parent", "kworker/x", "one", "<...>")
_CLONE_VM = 0x3D0F00
_CLONE = 0x1200000


def new_task(k: Kernel, comm: str) -> Task:
    """A task that does nothing yet."""
    k.next_pid += 1
    return Task(k.next_pid, comm, 0xFF11_0000_0600_0000 + (k.next_pid & 0xFFF) * 0x2100, None)


def boot(k: Kernel) -> None:
    """The tasks that are there when the log begins; none has an mm that the log does not tell of."""
    for comm, code in (("kswapd0", kswapd), ("ps", others.reader), ("swapper", administrator)):
        task = new_task(k, comm)
        k.start(task, code(k, task))
    for number in range(1 + k.settings.tasks // 6):
        task = new_task(k, f"kworker/{number}")
        k.start(task, others.borrower(k, task))
    task = new_task(k, "kworker/u4:0")
    k.start(task, others.kworker(k, task))
    init = Task(1, "init", 0xFF11_0000_0600_0000, None)
    k.start(init, init_process(k, init))


def init_process(k: Kernel, t: Task) -> Steps:
    """PID 1: an mm of its own by exec, then children without end."""
    while t.mm is None:  # a kernel thread that becomes a process
        yield from execve(k, t)
    while True:
        yield SLEEP
        if len(k.tasks) < k.settings.tasks + 6 and k.chance(0.2):
            yield from spawn(k, t)
        else:
            yield from act(k, t, 0.1)


def process(k: Kernel, t: Task) -> Steps:
    """Touches memory, forks, execs, starts threads; exits after a while."""
    k.tell(t, "task_rename", f"pid={t.pid} oldcomm=init newcomm={t.comm} oom_score_adj=0")
    while not k.chance(0.03):
        yield SLEEP
        yield from act(k, t, 1.0)
    yield from do_exit(k, t)


def act(k: Kernel, t: Task, busy: float) -> Steps:
    """One thing that a process does; `busy` scales what makes new tasks and mms."""
    mm = t.mm
    assert mm is not None
    dice = k.random.random()
    if dice < 0.06 * busy and len(k.tasks) < k.settings.tasks + 6:
        yield from spawn(k, t)
    elif dice < 0.09 * busy and len(k.tasks) < k.settings.tasks + 6:
        yield from clone_thread(k, t)
    elif dice < 0.12 * busy:
        yield from execve(k, t)
    elif dice < 0.3 and mm.pte:
        va = pick(k, t)
        if isinstance(mm.pte.get(va), int):
            yield from do_swap_page(k, t, mm, va)
    elif dice < 0.38 and mm.pte:
        yield from k.down_read(mm.sem)
        yield from zap(k, t, mm, pick(k, t))
        mm.sem.readers -= 1
    elif dice < 0.6 and (not k.calm or k.chance(0.02)):
        page = pick_page(k)  # direct reclaim, of anybody's page
        if page is not None:
            yield from pageout(k, t, page)
    elif not mm.sem.writer:
        touch(k, mm, int(k.random.random() * _PAGES))


def pick(k: Kernel, t: Task) -> int:
    """The number of a page of the task's mm, one that is out if the dice say so."""
    assert t.mm is not None
    ptes = t.mm.pte
    out = [va for va, pte in ptes.items() if isinstance(pte, int)] if k.chance(0.8) else []
    some = out or list(ptes)
    return some[int(k.random.random() * len(some))] if some else 0


def spawn(k: Kernel, t: Task) -> Steps:
    """Fork."""
    child = new_task(k, _COMMS[int(k.random.random() * len(_COMMS))])
    yield from fork(k, t, child)
    if child.mm is None:
        return
    tell_new(k, t, child, _CLONE)
    k.start(child, process(k, child))


def tell_new(k: Kernel, t: Task, child: Task, flags: int) -> None:
    """What copy_process says of a new task."""
    assert child.mm is not None
    k.point(t, "task_newtask", f"pid={child.pid} comm={t.comm} clone_flags={flags:x} oom_score_adj=0")
    place = f"(kernel_clone+0xbf/0x430 <- copy_process) task={child.struct:#x} pid={child.pid}"
    k.tell(t, "copy_process_ret", f"{place} mm={child.mm.addr:#x} {k.fetch(child.mm)}")
    k.tell(t, "sched_process_fork", f"comm={t.comm} pid={t.pid} child_comm={t.comm} child_pid={child.pid}")


def clone_thread(k: Kernel, t: Task) -> Steps:
    """CLONE_VM: one user more of the same mm (kernel/fork.c: copy_mm)."""
    mm = t.mm
    assert mm is not None
    child = new_task(k, "thr")
    child.mm = mm
    if not k.wrong("thread-without-get"):
        k.say(t, "mmget", f"mm={mm.addr:#x} users={mm.users}")
        mm.users += 1
    yield None
    tell_new(k, t, child, _CLONE_VM)
    k.start(child, process(k, child))


def do_exit(k: Kernel, t: Task) -> Steps:
    """kernel/exit.c: exit_mm; the CPU keeps the mm lazily until it runs something else."""
    mm = t.mm
    assert mm is not None
    place = f"(exit_mm_release+0x0/0x20) task={t.struct:#x} pid={t.pid}"
    k.tell(t, "exit_mm_release", f"{place} mm={mm.addr:#x} {k.fetch(mm)}")
    yield None
    yield from k.lock(t, t.alloc_lock, told=False)
    lazy = k.cpus[t.cpu].lazy is None
    if lazy:
        k.mmgrab(t, mm)
        k.cpus[t.cpu].lazy = mm
    t.mm = None
    k.unlock(t, t.alloc_lock, told=False)
    if not k.wrong("exit-forgets-put"):
        yield from mmput(k, t, mm)
    k.point(t, "sched_process_exit", f"comm={t.comm} pid={t.pid} prio=120")


def kswapd(k: Kernel, t: Task) -> Steps:
    """Pages out whom it meets, and frees what only the cache has."""
    while True:
        yield SLEEP
        if k.chance(0.5):
            yield from reclaim_cached(k, t)
        page = pick_page(k)
        if page is not None and (not k.calm or k.chance(0.02)):
            yield from pageout(k, t, page)


def administrator(k: Kernel, t: Task) -> Steps:
    """swapon and swapoff, one after the other."""
    walk = try_to_unuse if k.modern else swapoff_26.try_to_unuse
    yield from swapon(k, t)
    while True:
        k.calm = k.chance(_CALM)
        for _ in range(int(k.random.random() * 40)):
            yield SLEEP
        used = [area for area in k.areas if area.used]
        if used and k.chance(0.5):
            yield from swapoff(k, t, choose(k, used), walk)
        elif any(not area.used for area in k.areas):
            yield from swapon(k, t)


def choose(k: Kernel, areas: list[Area]) -> Area:
    """One of `areas`."""
    return areas[int(k.random.random() * len(areas))]
