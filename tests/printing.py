"""Prints what a log says in other dialects: the second writer that the parser's readings are held against.

Source: trace_output.c of the kernel, trace-output.c of trace-cmd, builtin-script.c of perf, to_ftrace.cc of perfetto.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from mmlist.replay.record import Record

Printer = Callable[[list[Record]], Iterator[bytes]]

HEADER = [b"# tracer: nop", b"#"]
_DASHES = b" ------------------------------------------"


def _seconds(record: Record, digits: int = 6) -> bytes:
    assert record.at.ts is not None
    return b"%d.%0*d" % (record.at.ts // 10**9, digits, record.at.ts % 10**9 // 10 ** (9 - digits))


def _micros(record: Record) -> int:
    assert record.at.ts is not None
    return record.at.ts // 1000


def _text(record: Record, width: int = 0) -> bytes:
    return (record.name.encode() + b": ").ljust(width) + record.args


def _task(record: Record) -> tuple[bytes, int, int]:
    assert record.at.pid is not None and record.at.cpu is not None
    return record.at.comm, record.at.pid, record.at.cpu


def tracefs(records: list[Record]) -> Iterator[bytes]:
    """irq-info off, record-tgid on."""
    yield from HEADER
    for record in records:
        comm, pid, cpu = _task(record)
        yield b"%16s-%-7d (-------) [%03d] %12s: %s" % (comm, pid, cpu, _seconds(record), _text(record))


def counter(records: list[Record]) -> Iterator[bytes]:
    """A clock that does not count seconds, with flags."""
    for number, record in enumerate(records):
        comm, pid, cpu = _task(record)
        yield b"%16s-%-7d [%03d] d..1. %12d: %s" % (comm, pid, cpu, number, _text(record))


def latency(records: list[Record]) -> Iterator[bytes]:
    """latency-format: times since the first, marks of the delay."""
    first = _micros(records[0])
    for number, record in enumerate(records):
        comm, pid, cpu = _task(record)
        columns = b"%8.8s-%-7d %3d..... %4dus%c: " % (comm, pid, cpu, _micros(record) - first, b" +!#*@$"[number % 7])
        yield columns + _text(record)


def latency_counter(records: list[Record]) -> Iterator[bytes]:
    """latency-format with a clock that does not count nanoseconds."""
    for number, record in enumerate(records):
        comm, pid, cpu = _task(record)
        yield b"%8.8s-%-7d %3d..... %4d: %s" % (comm, pid, cpu, number, _text(record))


def verbose(records: list[Record]) -> Iterator[bytes]:
    """latency-format and verbose."""
    first = _micros(records[0])
    for number, record in enumerate(records):
        (comm, pid, cpu), now = _task(record), _micros(record)
        columns = b"%16s %7d %3d 0 00000000 %08x [%08x] " % (comm, pid, cpu, number, now)
        since = now - first
        yield columns + b"%d.%03dms (+0.000ms): %s" % (since // 1000, since % 1000, _text(record))


def graph(records: list[Record]) -> Iterator[bytes]:
    """function_graph: events as comments, the task only where it changes, no time."""
    running: dict[int, tuple[bytes, int]] = {}
    for record in records:
        comm, pid, cpu = _task(record)
        before = running.get(cpu)
        if before is not None and before[1] != pid:
            left, now = ((b"%.7s-%d" % task).center(14) for task in (before, (comm, pid)))
            yield from (_DASHES, b" %d) %s => %s" % (cpu, left, now), _DASHES, b"")
        running[cpu] = comm, pid
        yield b" %d)   0.123 us    |  down();" % cpu
        yield b" %d)               |  /* %s */" % (cpu, _text(record))


def graph_all(records: list[Record]) -> Iterator[bytes]:
    """function_graph with funcgraph-abstime, funcgraph-proc and latency-format."""
    for record in records:
        comm, pid, cpu = _task(record)
        task = (b"%.7s-%d" % (comm, pid)).center(14)
        columns = b"%12s |  %2d) %s |  d..1. |               |  " % (_seconds(record), cpu, task)
        yield columns + b"/* %s */" % _text(record)


def trace_cmd(records: list[Record]) -> Iterator[bytes]:
    """trace-cmd report."""
    yield b"cpus=2"
    for record in records:
        comm, pid, cpu = _task(record)
        yield b"%16s-%-5d [%03d] %12s: %s" % (comm, pid, cpu, _seconds(record), _text(record, 22))


def trace_cmd_latency(records: list[Record]) -> Iterator[bytes]:
    """trace-cmd report -l -t."""
    yield b"cpus=2"
    for record in records:
        comm, pid, cpu = _task(record)
        yield b"%8.8s-%-5d %3d..... %15s: %s" % (comm, pid, cpu, _seconds(record, 9), _text(record, 22))


def trace_cmd_diff(records: list[Record]) -> Iterator[bytes]:
    """trace-cmd report --ts-diff."""
    for number, record in enumerate(records):
        comm, pid, cpu = _task(record)
        since = b"(+%d)" % (_micros(record) - _micros(records[number - 1])) if number else b""
        yield b"%16s-%-5d [%03d] %12s: %-8s %s" % (comm, pid, cpu, _seconds(record), since, _text(record, 22))


def instances(records: list[Record]) -> Iterator[bytes]:
    """trace-cmd report of an instance: its name before each line."""
    yield from (line if line.startswith(b"cpus") else b"inst2: " + line for line in trace_cmd(records))


def perf(records: list[Record]) -> Iterator[bytes]:
    """perf script -F +pid --ns."""
    for record in records:
        comm, pid, cpu = _task(record)
        ids = b"%d/%d" % (pid, pid)
        yield b"%16s %11s [%03d] %15s: mmlist:%s" % (comm, ids.ljust(11), cpu, _seconds(record, 9), _text(record))


def perf_period(records: list[Record]) -> Iterator[bytes]:
    """perf script -F +period,misc."""
    for record in records:
        comm, pid, cpu = _task(record)
        columns = b"%16s %5d [%03d] K %12s: %10d " % (comm, pid, cpu, _seconds(record), 1)
        yield columns + b"      mmlist:" + _text(record)


def perf_callchains(records: list[Record]) -> Iterator[bytes]:
    """perf script of a recording with callchains: no padding, frames, an empty line."""
    for record in records:
        comm, pid, cpu = _task(record)
        yield b"%s %7d [%03d] %12s: mmlist:%s" % (comm, pid, cpu, _seconds(record), _text(record))
        yield b"\tffffffff810a0c0b kernel_clone+0x1ab ([kernel.kallsyms])"
        yield b""


def perf_nocomm(records: list[Record]) -> Iterator[bytes]:
    """perf script -F tid,cpu,time,event,trace."""
    for record in records:
        _, pid, cpu = _task(record)
        yield b"%5d [%03d] %12s:  mmlist:%s" % (pid, cpu, _seconds(record), _text(record))


def perf_notime(records: list[Record]) -> Iterator[bytes]:
    """perf script -F comm,tid,event,trace."""
    for record in records:
        comm, pid, _ = _task(record)
        yield b"%16s %5d  mmlist:%s" % (comm, pid, _text(record))


def perf_deltas(records: list[Record]) -> Iterator[bytes]:
    """perf script --deltatime: each time is that since the line before."""
    for number, record in enumerate(records):
        comm, pid, cpu = _task(record)
        since = _micros(record) - _micros(records[number - 1]) if number else 0
        columns = b"%16s %5d [%03d] %5d.%06d: " % (comm, pid, cpu, since // 10**6, since % 10**6)
        yield columns + b"mmlist:" + _text(record)


def perfetto(records: list[Record]) -> Iterator[bytes]:
    """traceconv systrace: names of any length, no dash in them."""
    yield from HEADER
    for record in records:
        comm, pid, cpu = _task(record)
        name = comm.replace(b"-", b"_") + b".of_a_long_thread"
        yield b"%16s-%-5d (%5d) [%03d] .... %s: %s" % (name, pid, pid, cpu, _seconds(record), _text(record))


def nocontext(records: list[Record]) -> Iterator[bytes]:
    """context-info off."""
    yield from HEADER
    yield from map(_text, records)


def quoted(records: list[Record]) -> Iterator[bytes]:
    """A mail's quote of a mail's quote."""
    yield from (b"> > " + line for line in tracefs(records))


def found(records: list[Record]) -> Iterator[bytes]:
    """grep -n of several files."""
    yield from (b"logs/trace.txt:%d:%s" % (number, line) for number, line in enumerate(tracefs(records), 1))


def stripped(records: list[Record]) -> Iterator[bytes]:
    """Read by a shell, which takes left blanks away."""
    yield from (line.lstrip(b" ") for line in tracefs(records))


def indented(records: list[Record]) -> Iterator[bytes]:
    """Indented by an editor."""
    yield from (b"\t  " + line for line in tracefs(records))


def dump(records: list[Record]) -> Iterator[bytes]:
    """A dump of ftrace in dmesg, among other messages of the kernel."""
    yield from (b"[    %d.000001] x86/mm: message %d of a long boot" % (n // 100 % 10, n) for n in range(250))
    yield b"[   71.891347] Dumping ftrace buffer:"
    yield b"[   71.891424] ---------------------------------"
    yield from (b"[   71.891657] " + line for line in latency(records))
    yield b"[   71.892641] ---------------------------------"
    yield b"[   71.892650] Kernel panic - not syncing: out of examples"


def journal(records: list[Record]) -> Iterator[bytes]:
    """The same in journalctl's output, with the caller that printk was asked to print."""
    yield from (b"Nov 23 10:00:01 box kernel: %s[    T1]%s" % (line[:14], line[14:]) for line in dump(records))


WITH_TIME: dict[str, Printer] = {
    printer.__name__: printer
    for printer in (
        *(tracefs, counter, latency, latency_counter, verbose, graph_all, trace_cmd, trace_cmd_latency, trace_cmd_diff),
        *(
            instances,
            perf,
            perf_period,
            perf_callchains,
            perf_nocomm,
            perfetto,
            quoted,
            found,
            stripped,
            indented,
            dump,
            journal,
        ),
    )
}
"""Dialects that tell all that a replay needs."""

WITHOUT_TIME: dict[str, Printer] = {printer.__name__: printer for printer in (graph, perf_notime, perf_deltas)}
"""Dialects in which the order of lines is that of the file."""


def printed(lines: Iterable[bytes]) -> bytes:
    """The log of `lines`."""
    return b"\n".join(lines) + b"\n"
