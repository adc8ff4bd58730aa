"""Lines in a text dialect, with what the reader's tool does to a log: losses, and what other subsystems say.

Source: kernel/trace/trace_output.c, trace-cmd's report, perf's builtin-script.c; the real logs of fixtures/captures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random

from mmlist.replay.simulate.settings import Settings
from mmlist.replay.simulate.trace import Line

Print = Callable[[Line], str]

_HEADER = (
    "# tracer: nop",
    "#",
    "#                                _-----=> irqs-off/BH-disabled",
    "#                               / _----=> need-resched",
    "#                              | / _---=> hardirq/softirq",
    "#                              || / _--=> preempt-depth",
    "#                              ||| / _-=> migrate-disable",
    "#                              |||| /     delay",
    "#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION",
    "#              | |         |   |||||     |         |",
)
_CAPTURE = '# mmlist-capture: {"release": "6.1.158"}'
"""What the kit says of the kernel that is simulated: explicit events do not tell kernels of one profile apart."""

_FIRST = 1_000_000_000  # where the times of latency-format begin
_LOST_AT_ONCE = 12
_NOISE = (
    "sched_switch: prev_comm=sh prev_pid=10 prev_prio=120 prev_state=S ==> next_comm=swapper/0 next_pid=0 next_prio=120",
    "kmem_cache_alloc: call_site=vm_area_dup+0x1c/0x80 ptr=00000000a3f7c2b1 bytes_req=200 bytes_alloc=200 node=-1",
    "irq_handler_entry: irq=24 name=virtio0-requests",
    "timer_start: timer=00000000cf1b8cc9 function=process_timeout expires=4294895296 [timeout=250] cpu=1 idx=0 flags=",
    "block_rq_complete: 254,0 W () 1288 + 8 [0]",
)


def tracefs(line: Line) -> str:
    """`cat trace`, with irq-info."""
    head = f"{line.comm:>16}-{line.pid:<7} [{line.cpu:03d}] ..... "
    return f"{head}{line.ts // 10**9:5d}.{line.ts % 10**9 // 1000:06d}: {line.name}: {line.body}"


def trace_cmd(line: Line) -> str:
    """`trace-cmd report`."""
    stamp = f"{line.ts // 10**9:5d}.{line.ts % 10**9 // 1000:06d}"
    name = line.name + ":"
    return f"{line.comm:>16}-{line.pid:<5} [{line.cpu:03d}] {stamp}: {name:<21} {line.body}"


def perf_script(line: Line) -> str:
    """`perf script`."""
    stamp = f"{line.ts // 10**9:5d}.{line.ts % 10**9 // 1000:06d}"
    name = f"mmlist:{line.name}:"
    return f"{line.comm:>16} {line.pid:5d} [{line.cpu:03d}] {stamp}: {name:>28} {line.body}"


def latency(line: Line) -> str:
    """latency-format: microseconds since the first line."""
    since = (line.ts - _FIRST) // 1000
    return f"{line.comm:>8.8}-{line.pid:<7} {line.cpu:3d}..... {since:4d}us : {line.name}: {line.body}"


def verbose(line: Line) -> str:
    """latency-format and verbose."""
    micros = line.ts // 1000
    since = micros - _FIRST // 1000
    head = f"{line.comm:>16} {line.pid:7d} {line.cpu:3d} 0 00000000 {since:08x} [{micros:08x}] "
    return f"{head}{since // 1000}.{since % 1000:03d}ms (+0.000ms): {line.name}: {line.body}"


def nocontext(line: Line) -> str:
    """context-info off: no task, CPU or time."""
    return f"{line.name}: {line.body}"


PRINTERS: dict[str, Print] = {
    "tracefs": tracefs,
    "trace_cmd": trace_cmd,
    "perf_script": perf_script,
    "latency": latency,
    "verbose": verbose,
    "nocontext": nocontext,
}


def header(settings: Settings) -> Iterator[str]:
    """What stands at the top of a log in this dialect."""
    if settings.dialect == "trace_cmd":
        yield f"cpus={settings.cpus}"
    elif settings.dialect == "nocontext":
        yield "# tracer: nop"
    elif settings.dialect in ("latency", "verbose"):
        yield "# tracer: nop"
        yield "#"
    elif settings.dialect == "tracefs":
        yield from _HEADER
        if settings.view == "explicit" and settings.profile == "modern":
            yield _CAPTURE


class Printer:
    """Prints lines one after the other and counts them; `marked` is the first behind the bug's first step."""

    def __init__(self, settings: Settings, random: Random) -> None:
        self.settings = settings
        self.random = random
        self.print = PRINTERS[settings.dialect]
        self.printed = 0
        self.marked: int | None = None
        self._due = False  # the marked line was met, and maybe lost
        self.losing: dict[int, int] = {}  # CPU -> how many more lines are lost
        self.lost: dict[int, int] = {}  # CPU -> how many were
        self.losses = 0

    def lines(self, lines: Iterable[Line]) -> Iterator[str]:
        """`lines` as they stand in the log."""
        for line in lines:
            for text in self._damaged(line):
                self.printed += 1
                yield text

    def _damaged(self, line: Line) -> Iterator[str]:
        settings, cpu = self.settings, line.cpu
        self._due = self._due or line.marked
        if settings.loss:
            if cpu not in self.losing and self.random.random() < settings.loss:
                self.losing[cpu] = 1 + int(self.random.random() * _LOST_AT_ONCE)
            if cpu in self.losing:
                if self.losing[cpu]:
                    self.losing[cpu] -= 1
                    self.lost[cpu] = self.lost.get(cpu, 0) + 1
                    return
                del self.losing[cpu]
                self.losses += 1
                yield self._loss(line, self.lost.pop(cpu))
        if settings.noise and self.random.random() < settings.noise:
            name, _, body = _NOISE[int(self.random.random() * len(_NOISE))].partition(": ")
            yield self.print(Line(line.ts, cpu, line.comm, line.pid, name, body))
        if self._due and self.marked is None:
            self.marked = self.printed + 1
        yield self.print(line)

    def _loss(self, line: Line, count: int) -> str:
        if self.settings.dialect == "trace_cmd":
            return f"CPU:{line.cpu} [{count} EVENTS DROPPED]"
        if self.settings.dialect == "perf_script":
            stamp = f"{line.ts // 10**9:5d}.{line.ts % 10**9 // 1000:06d}"
            return f"{line.comm:>16} {line.pid:5d} [{line.cpu:03d}] {stamp}: PERF_RECORD_LOST lost {count}"
        return f"CPU:{line.cpu} [LOST {count} EVENTS]"
