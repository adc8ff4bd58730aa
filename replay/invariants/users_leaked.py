"""An mm has users long after its last task has gone.

What it says
    When the last task that had an mm has exited, or gone on to another by exec, or the fork has failed that made the mm, mm_users
    comes to 0 soon: within `--leak-after` (10 s).

Why the kernel needs it
    Its memory stays taken, and its swap entries: swapoff has to read them all back for nobody.

Kernel reference
    kernel/exit.c: exit_mm; fs/exec.c: exec_mmap; kernel/fork.c: mmput, get_task_mm. Fixed cases: an open userfaultfd (4.7),
    MGLRU's aging (2026).

Limits
    Suspicious, not wrong: io_uring, KVM and readers of /proc may hold on to it. Only of mms that were born in the log, where
    task_newtask and the tasks' ends are in it; a loss makes all owners unknown. A get and a put are matched by their task: who
    got may not be who keeps. Where the log ends sooner than `--leak-after`, it is undecided (not told below a hundredth of it);
    a log without seconds is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Leaked

_SHOWN = 4


def check(change: Leaked, state: State) -> Iterator[Finding]:
    """An mm that has outlived its tasks."""
    mm, gone = change.mm, change.gone
    assert change.at.ts is not None and gone.ts is not None and state.second
    seconds = (change.at.ts - gone.ts) / state.second
    getters = change.gets[-_SHOWN:]
    told = f"{len(change.gets)} gets without a put by their task" if change.gets else "no get without a put is known"
    lines = [witness(at, "taken hold of here", "mmget") for at in getters]
    role, site = ("its fork failed here", "copy_process") if change.failed else ("last task gone here", "exit_mm")
    lines.append(witness(gone, role, site))
    if change.put is not None and change.put not in getters:
        lines.append(witness(change.put, "last put here", "mmput"))
    last = "mm_users is 0 only here" if change.ended else "still in use here"
    lines.append(
        witness(
            change.at,
            last,
            "mmput",
            f"{told}; mm_users " + (f"was last known to be {mm.users}" if mm.users is not None else "is not known"),
            "who took hold of an mm puts it when he is done with it (kernel/fork.c: mmput)",
        )
    )
    ends = ", where the log ends, sooner than --leak-after" if change.short else ""
    since = "its fork failed" if change.failed else "its last task has gone"
    yield Finding(
        change.at,
        f"{name(mm)} has users {seconds:.3g} s after {since}{ends}; {told}",
        sorted(lines, key=lambda line: line.at.seq),
        mm,
        since=mm.born,
        explicit=state.carries.gets_explicit,
        cap="undecided" if change.short else "proven",
        follows=[("C1", mm), ("C2", mm), ("D6", None)],
    )


INVARIANT = Invariant(
    "C6",
    "users-leaked",
    "W",
    "mm_users stays above 0 long after the mm's last task has gone",
    ALL,
    needs(
        "mm_init mm_init_ret",
        "task_newtask",
        "sched_process_exit exit_mm_release exit_mm",
        "exit_mmap __mmput __mmput_begin",
        "mmput mmput_async",
        "clock:seconds",
    ),
    (Leaked,),
    check,
)
