"""Lines of sched, irq and kmem between the lines of ours, at times between theirs: fast, since there may be 10^7 of them.

Source: TP_printk in include/trace/events/sched.h, irq.h, kmem.h; a real capture with all of them enabled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from random import Random

from mmlist.replay.simulate.printing import PRINTERS
from mmlist.replay.simulate.trace import Line

_ALLOCATED = "ptr=00000000{number:08x} bytes_req=152 bytes_alloc=152 gfp_flags=GFP_KERNEL node=-1"
_BODIES = {
    "sched:sched_switch": "prev_comm={comm} prev_pid={pid} prev_prio=120 prev_state=S"
    " ==> next_comm=swapper/{cpu} next_pid=0 next_prio=120",
    "sched:sched_waking": "comm={comm} pid={pid} prio=120 target_cpu=00{cpu}",
    "sched:sched_wakeup": "comm={comm} pid={pid} prio=120 target_cpu=00{cpu}",
    "sched:sched_stat_runtime": "comm={comm} pid={pid} runtime={number} [ns]",
    "irq:irq_handler_entry": "irq=24 name=virtio0-requests",
    "irq:irq_handler_exit": "irq=24 ret=handled",
    "irq:softirq_raise": "vec=9 [action=RCU]",
    "irq:softirq_entry": "vec=9 [action=RCU]",
    "irq:softirq_exit": "vec=9 [action=RCU]",
    "kmem:kmem_cache_alloc": f"call_site=vm_area_dup+0x1c/0x80 {_ALLOCATED} accounted=true",
    "kmem:kmem_cache_free": "call_site=rcu_do_batch+0x19a/0x540 ptr=00000000{number:08x} name=cred_jar",
    "kmem:kmalloc": f"call_site=load_elf_binary+0x1a4/0xd40 {_ALLOCATED} accounted=false",
    "kmem:mm_page_alloc": "page=00000000{number:08x} pfn=0x{number:x} order=0 migratetype=1"
    " gfp_flags=GFP_HIGHUSER_MOVABLE|__GFP_COMP",
}
_COMMS = ("sh", "init", "kworker/0:1", "rcu_preempt", "cat", "vm-parent", "ksoftirqd/1", "virtio-blk")
_POOL = 4096
_STAMP = "99999.999999"
"""The time that stands in a line of the pool; the real one goes there."""
_TIME = re.compile(rb"(\d+)\.(\d{6}): ")
_AT_ONCE = 512


def mixed(ours: Iterable[bytes], form: str, each: int, seed: int = 0) -> Iterator[bytes]:
    """`ours`, lines with their ends in form `form`, with `each` lines of noise before each line that has a time.

    Yields whole lines, many at once. Times stay in order; the noise is no event of ours.
    """
    pool = _pool(form, Random(seed))
    found: list[bytes] = []
    place, before = 0, None
    for line in ours:
        match = _TIME.search(line)
        if match is not None:
            now = int(match[1]) * 10**6 + int(match[2])
            since = now if before is None else before
            for number in range(1, each + 1):
                seconds, micros = divmod(since + (now - since) * number // (each + 1), 10**6)
                head, tail = pool[place]
                found.append(b"%s%5d.%06d%s" % (head, seconds, micros, tail))
                place = (place + 1) % _POOL
            before = now
        found.append(line)
        if len(found) > _AT_ONCE:
            yield b"".join(found)
            found = []
    yield b"".join(found)


def _pool(form: str, random: Random) -> list[tuple[bytes, bytes]]:
    """Lines of noise, each as what stands before its time and what stands behind."""
    found = []
    for _ in range(_POOL):
        event, body = random.choice(list(_BODIES.items()))
        name = event.partition(":")[2]
        cpu, pid, comm = random.randrange(2), random.randrange(2, 400), random.choice(_COMMS)
        said = body.format(comm=comm, pid=pid, cpu=cpu, number=random.randrange(1 << 28))
        text = PRINTERS[form](Line(99_999_999_999_000, cpu, comm, pid, name, said)) + "\n"
        if form == "perf_script":  # of another subsystem than ours
            text = text.replace(f"mmlist:{name}:", f"{event}:".rjust(len(f"mmlist:{name}:")), 1)
        head, _, tail = text.partition(_STAMP)
        found.append((head.encode(), tail.encode()))
    return found
