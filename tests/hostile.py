"""What is thrown at the parser and the replay, and what must hold whatever it is: for test_fuzz.py and for fuzz.py.

Raising is allowed to MmlistError alone, and every physical line is counted exactly once.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from mmlist.replay.bind import NAMES
from mmlist.replay.errors import MmlistError
from mmlist.replay.facts import LedgerRow, Run
from mmlist.replay.history import replay
from mmlist.replay.log import Log
from mmlist.replay.parse import Item, Parser
from mmlist.replay.record import Record

ROOT = Path(__file__).parent.parent
HEADER = b"# tracer: nop\n#\n"
PIECES = (
    *(b"", b"\0", b"\0" * 40, b"\n", b"\n\n", b"\r", b"\r\n", b"\t", b" ", b" " * 16, b"\xff\xfe", b"\x85", b"\xe2\x80\xa8"),
    *(b"[", b"]", b"(", b")", b"((((", b"{", b'"', b'="', b"=", b":", b": ", b" => ", b"=>", b"-", b"-1", b"#", b"/* ", b" */"),
    *(b"9" * 19, b"9" * 40, b"1" * 5000, b"18446744073709551616", b"-9223372036854775809", b"0x" + b"f" * 40, b"0x", b"1."),
    *(b"[000]", b"[99999999999999999999]", b" ..... ", b"     1.000001: ", b"0.000000: ", b"(-------) ", b"-4194304 "),
    *(b"CPU:1 [LOST 3 EVENTS]", b"CPU:" + b"7" * 30 + b" [LOST EVENTS]", b"##### CPU 2 buffer started ####", b"cpus=2"),
    *(b"# tracer: nop", b"# entries-in-buffer/entries-written: 1/" + b"9" * 30, b"[LINE TOO BIG]", b"Dumping ftrace buffer:"),
    *(b"PERF_RECORD_LOST lost 5", b"PERF_RECORD_COMM: x:1/1", b"<stack trace>", b" ------------------------------------------"),
    *(b"mm=0x1 next=0x", b"mm=0xffff888003a1c000", b" pid=1 comm=", b"> ", b"a.txt:1:", b"<6>[    1.000000] ", b"inst: "),
)  # fmt: skip
"""What a mutation puts in: what ends a line, a column, a string or a number's range, and what reads as something else."""


def logs() -> list[Path]:
    """The fixtures that can be read."""
    found = (path for path in (ROOT / "fixtures").rglob("*.trace*") if path.name.endswith((".trace", ".trace.gz")))
    return sorted(path for path in found if path.parent.name != "unreadable")


def content(path: Path) -> bytes:
    """What stands in a fixture, decompressed."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


@cache
def seeds() -> tuple[bytes, ...]:
    """Real lines of all dialects, none twice in the same shape."""
    found: dict[bytes, bytes] = {}
    for path in logs():
        for line in content(path).split(b"\n")[:3000]:
            found.setdefault(re.sub(rb"[0-9a-f]+", b"0", line[:80]), line)
    for text in (ROOT / "tests" / "data" / "lines.jsonl").read_bytes().splitlines():
        line = json.loads(text)["line"].encode("utf-8", "surrogateescape")
        found.setdefault(line, line)
    return tuple(sorted(found.values()))


def mangled(line: bytes, chance: random.Random) -> bytes:
    """One line with a piece lost, doubled, moved, cut off, joined to half of another, or with something put in."""
    begin = chance.randint(0, len(line))
    end = min(len(line), begin + chance.choice((0, 1, 2, 8, len(line))))
    piece = line[begin:end]
    match chance.randrange(7):
        case 0:
            return line[:begin] + line[end:]
        case 1:
            return line[:end] + piece * chance.choice((1, 2, 30)) + line[end:]
        case 2:
            return line[:begin] + chance.choice(PIECES) + line[end:]
        case 3:
            return line[:begin] + chance.randbytes(chance.choice((1, 1, 4, 20))) + line[end:]
        case 4:
            other = chance.choice(seeds())
            return line[:begin] + other[chance.randint(0, len(other)) :]
        case 5:
            return line[end:] + piece + line[:begin]
        case _:  # a number's digits
            digits = list(re.finditer(rb"[0-9]+", line))
            if not digits:
                return line[:begin]
            found = chance.choice(digits)
            return (
                line[: found.start()]
                + chance.choice((b"0", b"", b"9" * 20, b"9" * 30, found[0] * 3))
                + line[found.end() :]
            )


def jumbled(lines: list[bytes], chance: random.Random) -> list[bytes]:
    """Lines of which some are mangled, lost, doubled, swapped or not of this log."""
    lines = list(lines)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        at = chance.randrange(len(lines)) if lines else 0
        match chance.randrange(8):
            case 0 if lines:
                del lines[at]
            case 1 if lines:
                lines.insert(chance.randint(0, len(lines)), lines[at])
            case 2 if lines:
                other = chance.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines.insert(at, chance.choice(seeds()))
            case 4:
                lines.insert(at, chance.choice(PIECES))
            case _ if lines:
                lines[at] = mangled(lines[at], chance)
            case _:
                lines.append(chance.choice(seeds()))
    return lines


def accounted(path: Path) -> list[Item]:
    """Parse and replay the log at `path`; every line must be counted, every place be in the file. What it says, in order.

    Raises MmlistError as the parser and the replay do.
    """
    with Log.open(str(path)) as log:
        count = sum(1 for _ in log.lines())
        said: list[Item] = []
        for names in (NAMES, None):
            parser = Parser(log, names)
            said = list(parser.records())
            assert parser.ledger.lines == count, (parser.ledger, count)
            for item in said:
                assert 1 <= item.at.line <= count + 1, item  # a log that was cut is at fault behind its last line
                assert 0 <= item.at.offset <= log.size, item
                if isinstance(item, Record):
                    assert item.at.line <= item.last_line <= count, item
        lines = 0
        for fact in replay(log):
            if isinstance(fact, LedgerRow):
                lines += fact.lines
            elif isinstance(fact, Run):
                assert fact.lines == lines == count, (fact.lines, lines, count)
        return said


def survives(path: Path, text: bytes) -> bool:
    """Whether `text`, written to `path`, is read as a log; that it is accounted for, or refused with a reason."""
    path.write_bytes(text)
    try:
        accounted(path)
    except MmlistError as error:
        assert str(error)
        return False
    return True


def random_logs(chance: random.Random) -> Iterator[bytes]:
    """Jumbled pieces of real logs without end."""
    whole = [content(path).split(b"\n") for path in logs()]
    while True:
        lines = chance.choice(whole)
        start = chance.choice((0, 0, chance.randrange(len(lines))))
        yield b"\n".join(jumbled(lines[start : start + chance.choice((1, 3, 10, 40))], chance))
