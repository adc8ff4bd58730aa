"""Whether time grows with the input's size alone, and memory with nothing, whatever stands in the input.

    python bench/linear.py [--only WORD] [--size BYTES] [--limit SECONDS]

Each shape of input is made to hurt: a line that a pattern could try in many ways, lines that each make the parser look at
all that it has. It is parsed and replayed at SIZE and at four times SIZE, each in a process of its own; four times the
input may take about four times as long. Exits with 1 where it takes more than eight times, or more than the limit.
Over 400 lines, most of them shapes: a list, to be read as one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEADER = b"# tracer: nop\n#\n"
GROWTH = 4
WORST = 8.0
"""Four times the input may take this many times as long: memory that no longer fits a cache costs too."""

NOISE = 0.08  # seconds: what is faster than that has no ratio
PEAK = 64  # MB over an idle process, for what cannot be a line
SIZE = 240_000  # four times that is just below the longest line

Shape = Callable[[int], bytes]

_PAYLOADS = {
    "task_newtask": b"pid=7 comm=sh clone_flags=1200000 oom_score_adj=0",
    "task_rename": b"pid=7 oldcomm=sh newcomm=sh oom_score_adj=0",
    "sched_process_fork": b"comm=sh pid=7 child_comm=sh child_pid=8",
    "sched_process_exec": b"filename=/bin/sh pid=7 old_pid=7",
    "sched_process_exit": b"comm=sh pid=7 prio=120 group_dead=true",
    "sched_process_free": b"comm=sh pid=7 prio=120",
    "signal_generate": b"sig=9 errno=0 code=0 comm=sh pid=7 grp=1 res=0",
    "mark_victim": b"pid=7 comm=sh total-vm=1kB, anon-rss:1kB",
    "rss_stat": b"mm_id=1 curr=1 type=MM_ANONPAGES size=1B",
    "lock_acquire": b"0xffff888003a1c000 try read &mm->mmap_lock",
    "lock_release": b"0xffff888003a1c000 &mm->mmap_lock",
    "sched_switch": b"prev_comm=sh prev_pid=7 prev_prio=120 prev_state=R ==> next_comm=sh next_pid=8 next_prio=120",
    "sched_wakeup": b"comm=sh pid=7 prio=120 success=1 target_cpu=000",
    "sched_waking": b"comm=sh pid=7 prio=120 target_cpu=000",
}
"""A text of each event that has a pattern of its own."""

_TEXTS = {
    "brackets": b"(",
    "square brackets": b"[",
    "brackets in pairs": b"()",
    "brackets closed too often": b") {",
    "braces": b"{",
    "blanks": b" ",
    "blanks and a dash": b" -",
    "dashes": b"-",
    "digits": b"7",
    "hashes": b"#",
    "hashes and CPUs": b"#### CPU 1 ",
    "equal signs": b"a=a=",
    "pairs": b"a=a ",
    "pairs of different keys": b"",
    "quotes": b'k="',
    "strings": b'k="v" ',
    "strings in strings": b'k="v k=" ',
    "stack arrows": b" => x",
    "arrows": b"=>",
    "colons": b": ",
    "names": b"mmput: ",
    "hex": b"0x1f",
    "frames": b"x+0x1/0x2 <ffffffff81000000> <-",
    "comments": b" /* x */",
    "stamps": b"    1.000001: ",
    "columns": b"sh-7 [000] ..... 1.000001: ",
    "buffers": b"a: cpus=1",
    "tabs": b"\t",
    "carriage returns": b"\r",
    "NULs": b"\0",
    "no UTF-8": b"\xff\xfe",
    "objects": b"[+0x1]",
    "LOST": b"CPU:1 [LOST 3 EVENTS]",
    "quotes of mails": b"> ",
    "printk": b"[    1.000000] ",
}
"""What a line is filled with."""

_BEFORE = {
    "bare": b"",
    "event": b"              sh-7       [000] .....     1.000002: mmput: ",
    "probe": b"              sh-7       [000] .....     1.000002: swapon: (swapon+0x0/0x9) path=",
    "string": b'              sh-7       [000] .....     1.000002: swapon: path="',
    "text": b"              sh-7       [000] .....     1.000002: ",
    "function": b"              sh-7       [000] .....     1.000002: sys_mmput(",
    "marker": b"              sh-7       [000] .....     1.000002: tracing_mark_write: ",
    "frame": b"\tffffffff810a0c0b ",
    "graph": b" 0)               |  /* mmput: ",
    "perf": b"              sh     7 [000]     1.000002: PERF_RECORD_COMM: ",
    "latency": b"      sh-7         0d..2.    2us : ",
}
"""What stands before it, so that more of the patterns are reached."""


def event(number: int, text: bytes = b"mmput: mm=0xffff888003a1c000", cpu: int = 0) -> bytes:
    """A line of tracefs, at `number` microseconds."""
    return b"              sh-7       [%03d] ..... %5d.%06d: %s\n" % (cpu, number // 10**6, number % 10**6, text)


def within(line: bytes, before: bytes = b"") -> bytes:
    """One line among honest ones, with a line behind it that may go on in it."""
    honest = b"".join(event(number) for number in range(1, 3))
    return HEADER + honest + before + line.replace(b"\n", b" ") + b"\n, and so on\n" + event(3)


def many(line: Callable[[int], bytes]) -> Shape:
    """A log of lines without end."""

    def made(size: int) -> bytes:
        found, length, number = [HEADER], 0, 0
        while length < size:
            number += 1
            found.append(line(number))
            length += len(found[-1])
        return b"".join(found)

    return made


def _filled(piece: bytes, before: bytes) -> Shape:
    def made(size: int) -> bytes:
        if not piece:
            return within(b" ".join(b"k%d=%d" % (n, n) for n in range(size // 12)), before)
        return within(piece * (size // len(piece)), before)

    return made


def _static(name: str, text: bytes, *, spoiled: bool) -> Shape:
    def made(size: int) -> bytes:
        piece = text[:-1] + b"!" if spoiled else text
        return within(
            (piece + b" ") * (size // len(piece)) + (b"" if spoiled else text), event(2, name.encode() + b": ")[:-1]
        )

    return made


def _first_key(name: str, text: bytes) -> Shape:
    key = text.partition(b"=")[0] + b"=" if b"=" in text else text[:6]

    def made(size: int) -> bytes:
        return within(key * (size // len(key)), event(2, name.encode() + b": ")[:-1])

    return made


def _open_strings(size: int) -> bytes:
    """A shape with five strings is learned; what follows has its pieces without end."""
    learned = event(1, b'swapon: path="x" b="x" c="x" d="x" e="x"')
    hard = b"".join((b'" %s="' % key) * (size // 20) for key in (b"b", b"c", b"d"))
    return HEADER + learned + event(2, b'swapon: path="' + hard + b"!")


def _no_reading(size: int) -> bytes:
    """Strings that can end anywhere, and a text that is none of pairs after all."""
    pairs = b" ".join(b'k%d="v"' % number for number in range(size // 11))
    return HEADER + event(1) + event(2, b"swapon: " + pairs + b" !")


def _same_key(size: int) -> bytes:
    """As many readings as can be, each with a key twice."""
    return HEADER + event(1) + event(2, b"swapon: " + b" ".join([b'k="v"'] * (size // 6)))


def _goes_on(name: bytes) -> Shape:
    """A record that every further line may be the rest of."""

    def made(size: int) -> bytes:
        return (
            HEADER + event(1) + event(2, name) + b"and on and on and on it goes, on and on\n" * (size // 40) + event(3)
        )

    return made


def _back_and_forth(number: int) -> bytes:
    """Every other line goes back in time; that of CPU 9 is never settled."""
    if number < 3:
        return event(10 - number, cpu=9)
    return event(10 * number if number % 2 else 5 * number, cpu=0)


def _lost_for_ever(size: int) -> bytes:
    """Losses that end with the log, and others among them."""
    lost = b"".join(b"CPU:%d [LOST 1 EVENTS]\n" % (number % 50 + 7) for number in range(size // 48))
    rest = b"".join(b"CPU:1 [LOST 1 EVENTS]\n" + event(n + 1, cpu=1) for n in range(size // 200))
    return HEADER + event(1) + lost + rest


def _lost_at_once(size: int) -> bytes:
    return HEADER + event(1) + b"CPU:0 [LOST 1 EVENTS]\n" * (size // 22) + event(2)


def _cpus(number: int) -> bytes:
    """As many CPUs as lines, and losses of which no CPU is said."""
    return b"[3 EVENTS DROPPED]\n" if number % 2 else event(number, cpu=number)


def _members(number: int) -> bytes:
    """An mm a line joins the list; each is named when it joins, none leaves."""
    mm, before = 0xFFFF888000000000 + number * 0x400, 0xFFFF888000000000 + (number - 1) * 0x400
    if number == 1:
        return event(1, b"mmlist_add: mm=%#x after=init_mm" % mm)
    return event(number, b"mmlist_add: mm=%#x after=%#x" % (mm, before))


def _members_leave(number: int) -> bytes:
    """Half of the lines join, the others leave: all of them members from far back."""
    mm = 0xFFFF888000000000 + (number * 0x9E3779B1 % 4096) * 0x400
    return event(number, (b"mmlist_add: mm=%#x after=init_mm" if number % 2 else b"mmlist_del: mm=%#x why=mmput") % mm)


def _wrong(number: int) -> bytes:
    """A violation a line."""
    return event(number, b"mmlist_del: mm=%#x why=mmput" % (0xFFFF888000000000 + number * 0x400))


def _slots(number: int) -> bytes:
    return event(number, b"swap_assign: mm=0xffff888003a1c000 entry=%#x why=unmap" % number)


def _tasks(number: int) -> bytes:
    return event(number, b"sched_process_fork: comm=sh pid=%d child_comm=sh child_pid=%d" % (number, number + 1))


def _dialects(number: int) -> bytes:
    """Each line in another dialect than the one before it."""
    stamp = b"%d.%06d" % divmod(number, 10**6)
    return (
        event(number),
        b"              sh     7 [000] %12s: mmlist:mmput: mm=0xffff888003a1c000\n" % stamp,
        b"              sh-7     [000] %12s: mmput:                mm=0xffff888003a1c000\n" % stamp,
        b" 0)               |  /* mmput: mm=0xffff888003a1c000 */\n",
    )[number % 4]


def _headers(number: int) -> bytes:
    return HEADER if number % 2 else event(number)


def _buffers(number: int) -> bytes:
    """trace-cmd's report of as many instances as there are lines."""
    return b"i%d:               sh-7     [000] %5d.%06d: mmput:                mm=0x1\n" % (
        number,
        number // 10**6,
        number % 10**6,
    )


def shapes() -> dict[str, Shape]:
    """All shapes by name; each makes a log of about so many bytes."""
    found: dict[str, Shape] = {}
    for context, before in _BEFORE.items():
        for name, piece in _TEXTS.items():
            found[f"{context}: {name}"] = _filled(piece, before)
    for name, text in _PAYLOADS.items():
        found[f"{name}: again and again"] = _static(name, text, spoiled=False)
        found[f"{name}: never right"] = _static(name, text, spoiled=True)
        found[f"{name}: first key"] = _first_key(name, text)
    found |= {
        "strings: shape of five": _open_strings,
        "strings: no reading": _no_reading,
        "strings: same key": _same_key,
        "lines: one byte": lambda size: HEADER + event(1) + b"a\n" * (size // 2),
        "lines: blank": lambda size: HEADER + event(1) + b"\n" * size,
        "lines: fifteen bytes": lambda size: HEADER + event(1) + b"a b-7 [000] ...\n" * (size // 16),
        "lines: junk": many(lambda number: b"%d: what is no line of a log, but for its end\n" % number),
        "lines: notes": many(lambda number: b"# note %d\n" % number),
        "lines: stack frames": lambda size: HEADER + event(1, b"<stack trace>") + b" => x\n" * (size // 6),
        "lines: headers": many(_headers),
        "lines: dialects": many(_dialects),
        "lines: buffers": many(_buffers),
        "lines: names": many(lambda number: event(number, b"name_%d: x" % number)),
        "lines: CPUs": many(_cpus),
        "lines: huge CPUs": many(lambda number: event(number, cpu=10**9 + number)),
        "rest: of a marker": _goes_on(b"tracing_mark_write: x"),
        "rest: of a string": _goes_on(b'swapon: path="x'),
        "rest: of a comm": _goes_on(b"task_rename: pid=7 oldcomm=sh newcomm=x"),
        "time: back and forth": many(_back_and_forth),
        "time: backwards": many(lambda number: event(10**9 - number)),
        "loss: for ever": _lost_for_ever,
        "loss: at once": _lost_at_once,
        "model: members": many(_members),
        "model: members leave": many(_members_leave),
        "model: violations": many(_wrong),
        "model: swap entries": many(_slots),
        "model: tasks": many(_tasks),
        "model: gets": many(lambda number: event(number, b"mmget: mm=0xffff888003a1c000 users=%d" % number)),
    }
    return found


def measure(log: Path) -> dict[str, float]:
    """Parse and replay `log` in this process: seconds of each, MB that this took more than an idle process."""
    import resource

    from mmlist.replay.errors import MmlistError
    from mmlist.replay.history import replay
    from mmlist.replay.log import Log
    from mmlist.replay.parse import Parser

    def work(what: Callable[[Log], Iterator[object]]) -> float:
        start = time.process_time()
        try:
            with Log.open(str(log)) as opened:
                for _ in what(opened):
                    pass
        except MmlistError:
            pass
        return time.process_time() - start

    warm = log.with_suffix(".warm")
    warm.write_bytes(HEADER + event(1) + b"junk\n")
    given, log = log, warm
    work(lambda opened: Parser(opened).records())
    work(replay)
    log = given
    idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    parse = work(lambda opened: Parser(opened).records())
    whole = work(replay)
    return {"parse": parse, "replay": whole, "peak": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle) / 1024}


def apart(log: Path, limit: float) -> dict[str, float] | None:
    """`measure` in a process of its own; None where it takes longer than `limit` seconds."""
    command = [sys.executable, __file__, "--measure", str(log)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace")[-3000:])
    found: dict[str, float] = json.loads(done.stdout)
    return found


def judged(name: str, shape: Shape, size: int, limit: float, log: Path) -> tuple[str, bool]:
    """A row of the table, and whether time grows as it may."""
    runs: list[dict[str, float]] = []
    for factor in (1, GROWTH):
        log.write_bytes(shape(size * factor))
        try:
            run = apart(log, limit)
        except RuntimeError as error:
            return f"{name:40} FAILED: {str(error).strip().splitlines()[-1][:150]}", False
        if run is None:
            return f"{name:40} more than {limit:g} s for {size * factor:,} bytes", False
        runs.append(run)
    small, large = runs
    ratios = [large[what] / max(small[what], NOISE / GROWTH) for what in ("parse", "replay")]
    row = f"{name:40} {small['parse']:7.2f} {large['parse']:7.2f} {small['replay']:7.2f} {large['replay']:7.2f}"
    row += f" {ratios[0]:7.1f} {ratios[1]:7.1f} {large['peak']:7.0f}"
    slow = any(ratio > WORST and large[what] > NOISE for what, ratio in zip(("parse", "replay"), ratios, strict=True))
    return row + ("   <- not linear" if slow else ""), not slow


def no_newline(log: Path, megabytes: int, limit: float) -> tuple[str, bool]:
    """A log without a newline, far too long for a line: memory is bounded."""
    name = f"{megabytes} MB without a newline"
    with log.open("wb") as out:
        out.write(HEADER + event(1))
        for _ in range(megabytes):
            out.write(b"[(a=" * (1 << 18))
    run = apart(log, limit)
    if run is None:
        return f"{name:40} more than {limit:g} s", False
    row = f"{name:40} {'':7} {run['parse']:7.2f} {'':7} {run['replay']:7.2f} {'':7} {'':7} {run['peak']:7.0f}"
    return row, run["peak"] < PEAK


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="shapes with this in their name")
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--limit", type=float, default=60, help="seconds of one measurement")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure is not None:
        print(json.dumps(measure(given.measure)))
        return
    title = f"seconds at {given.size:,} bytes and at 4 times that"
    print(f"{title:40} {'parse':>15} {'replay':>15} {'ratios':>15} {'MB':>7}")
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        for name, shape in shapes().items():
            if given.only in name:
                row, good = judged(name, shape, given.size, given.limit, log)
                failed += not good
                print(row, flush=True)
        if given.only in "without a newline":
            row, good = no_newline(log, 100, given.limit)
            failed += not good
            print(row)
    if failed:
        sys.exit(f"linear: {failed} shapes are not")


if __name__ == "__main__":
    main()
