"""Reads the fields of a record's payload, by the log's own names; see grammars/payload.lark and pairs.lark.

Events whose text is hostile have a pattern of their own. All others are `key=value` pairs: their shape (the ordered
keys) is learned from the first record of a name, and from then on one anchored pattern a shape reads them. A string in
quotes is not escaped, so the shape that is known is what tells a forged pair inside it from a field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from operator import itemgetter

from mmlist import grammars
from mmlist.grammars import stored
from mmlist.replay.record import Record

Fields = dict[str, bytes]

_STATIC = (
    *("task_newtask", "task_rename", "sched_process_fork", "sched_process_exec", "sched_process_exit"),
    *("sched_process_free", "signal_generate", "mark_victim", "rss_stat", "lock_acquire", "lock_release"),
    *("sched_switch", "sched_wakeup", "sched_waking"),
)
MARKERS = frozenset({"tracing_mark_write", "print", "bprint", "bputs", "0"})
"""Names of what user space and trace_printk write: their text may go on in further lines."""
_SHAPES = 8
"""Shapes kept for one name; more are read, but slowly."""
_LONGEST = 1 << 14
"""Bytes of a text of pairs at most: the kernel prints a record into a buffer of two pages (trace_seq.h)."""
_PAIRS = 128
"""Pairs of a text at most: a probe has no more arguments (MAX_TRACE_ARGS, kernel/trace/trace_probe.h)."""
_STEPS = 1024
"""Pairs and ends of strings that are tried to read one text: strings that hold quotes can be read in ways without end."""

_Read = Callable[[bytes], Fields | None]
_Shape = tuple[int, _Read]
"""How many fields, and what reads them: None from a text of another shape."""

_shapes: dict[str, list[_Shape]] = {}
_static: dict[str, re.Pattern[bytes]] = {}
_TOLD_COMM = re.compile(rb":-?[0-9]+/-?[0-9]+\Z")
_OPEN_COMM = re.compile(rb"comm=[^\n]{0,14}\Z")


def forget() -> None:
    """Forget all shapes: another log begins."""
    _shapes.clear()


def fields(record: Record) -> Fields:
    """The fields of `record` by name, values as printed, strings without their quotes; empty where its text has none.

    Keys that nobody knows are kept. A text that could be read in two ways yields nothing that a task can forge.
    """
    args = record.args
    known = _shapes.get(record.name)
    if known is not None:
        for _, read in known:
            found = read(args)
            if found is not None:
                return found
    if b" (" in args and not args.startswith(b"("):
        args = _BOTH.sub(_plain, args)
    return _learn(record.name, args)


def has_own_text(name: str) -> bool:
    """Whether `name` is a tracepoint of the kernel's whose text is known (payload.lark)."""
    return name in _STATIC


def place(record: Record) -> bytes | None:
    """The probed place in the parentheses that lead the payload (`mmput+0x0/0x30`), None where there are none."""
    found = _place().match(record.args)
    return None if found is None else found[0][1:-1]


def unfinished(name: str, args: bytes) -> bool:
    """Whether `args` can go on in the next line: a marker's text, or one cut within a comm or a string."""
    if name in MARKERS:
        return True
    if name == "<meta>":
        return args.startswith(b"PERF_RECORD_COMM") and _TOLD_COMM.search(args) is None
    if name in _STATIC and not args.startswith(b"("):
        return _anchored(name).fullmatch(args) is None
    return args.count(b'"') % 2 == 1 or _OPEN_COMM.search(args) is not None


def shortened(args: bytes, model: bytes) -> bool:
    """Whether `args` is a text of pairs that lost its end, as an earlier one of the same event, `model`, shows."""
    whole, rest = _pairs(model), _pairs(args)
    if not whole:
        return False
    if [key for key, _, _ in rest] != [key for key, _, _ in whole]:
        return model.startswith(args[:1])
    last, value = whole[-1][1], rest[-1][1]
    return last.startswith(b"0x") and len(last) > 4 and len(value) < len(last)


_BOTH = re.compile(rb"(?<![^ =])([^ =]+)=(0x[0-9a-f]+) \((-?[0-9]+)\)")  # a key is tried once, from its beginning
_HEX = frozenset({b"clone_flags"})  # printed in hex without the option too


def _plain(found: re.Match[bytes]) -> bytes:
    """A number that the option `fields` printed in both ways, as it is printed without: addresses in hex."""
    key, hexed, decimal = found.groups()
    return key + b"=" + (hexed if len(hexed) > 10 or key in _HEX else decimal)


def _learn(name: str, args: bytes) -> Fields:
    if name in _STATIC and not args.startswith(b"("):
        found = _anchored(name).fullmatch(args)
        if found is not None:
            return {key: value.removeprefix(b"=") for key, value in _named(found)}
    if name in MARKERS:
        return {}
    pairs = _pairs(args)
    if not pairs:
        return {}
    values = {key.decode("latin-1"): value for key, value, _ in pairs}
    shapes = _shapes.setdefault(name, [])
    if len(shapes) < _SHAPES and not any(bare and b" " in value for _, value, bare in pairs):
        shapes.append((len(values), _shape(args, pairs, tuple(values))))
        # The shortest first: a longer one may have been learned from a string that looked like pairs.
        shapes.sort(key=itemgetter(0))
    return values


def _named(found: re.Match[bytes]) -> Iterator[tuple[str, bytes]]:
    for group, value in found.groupdict().items():
        if value is not None:
            yield group.partition("__")[0], value


def _shape(args: bytes, pairs: list[tuple[bytes, bytes, bool]], keys: tuple[str, ...]) -> _Read:
    """What reads texts of the shape of `args`, which was read as `pairs`."""
    strings = [number for number, (_, _, bare) in enumerate(pairs) if not bare]
    if len(strings) > 1:
        return _by_groups(_Backwards(args, pairs), keys)
    if (module := stored.scanner()) is not None:
        return module.Shape(keys, strings[0] if strings else -1, args.startswith(b"(")).read
    if all(key.isidentifier() and key.isascii() for key in keys):
        return _by_names(_pattern(args, pairs, named=True))
    return _by_groups(_pattern(args, pairs, named=False), keys)


def _by_names(pattern: re.Pattern[bytes]) -> _Read:
    def read(args: bytes) -> Fields | None:
        found = pattern.fullmatch(args)
        return None if found is None else found.groupdict()

    return read


def _by_groups(pattern: re.Pattern[bytes] | _Backwards, keys: tuple[str, ...]) -> _Read:
    def read(args: bytes) -> Fields | None:
        found = pattern.fullmatch(args)
        return None if found is None else dict(zip(keys, found.groups(), strict=True))

    return read


def _pattern(args: bytes, pairs: list[tuple[bytes, bytes, bool]], named: bool) -> re.Pattern[bytes]:
    """Reads texts of the shape of `args`: a string ends at the last quote that leaves the other pairs their places."""
    written = []
    for key, _, bare in pairs:
        group = b"(?P<%s>" % key if named else b"("
        value = group + rb"[^ \n]*+)" if bare else b'"' + group + rb'(?s:.*))"'
        written.append(re.escape(key) + b"=" + value)
    text = b" ".join(written)
    if args.startswith(b"("):
        text = rb"\([^()\n]*\) " + text
    return re.compile(text)


class _Backwards:
    """What `_pattern` reads, for a shape with several strings, in linear time: from the end to the beginning.

    There the first place where a string can begin is the last one in the text. It is never taken back: the more is left
    for the strings before it. `_pattern` would try all places of a string for each place of those before it.
    """

    def __init__(self, args: bytes, pairs: list[tuple[bytes, bytes, bool]]) -> None:
        """The shape of `args`, which was read as `pairs`."""
        written = []
        within = False  # of an atomic group, which goes from a string to the one before it
        for number, (key, _, bare) in reversed(list(enumerate(pairs))):
            written.append(rb"([^ \n]*)" if bare else rb'(?>"((?s:.*?))"')
            written.append(b"=" + re.escape(key[::-1]))
            within = within or not bare
            if number:
                written.append(b" ")
                if within and not pairs[number - 1][2]:
                    written.append(rb'(?="))')
                    within = False
        if args.startswith(b"("):
            written.append(rb" \)[^()\n]*\(")
        self._pattern = re.compile(b"".join(written) + (rb"\Z)" if within else b""))

    def fullmatch(self, args: bytes) -> _Turned | None:
        """As a pattern's."""
        found = self._pattern.fullmatch(args[::-1])
        return None if found is None else _Turned(found.groups())


class _Turned:
    """As a match, of what was read backwards."""

    def __init__(self, groups: tuple[bytes, ...]) -> None:
        self._groups = groups

    def groups(self) -> tuple[bytes, ...]:
        return tuple(group[::-1] for group in reversed(self._groups))


def _pairs(args: bytes) -> list[tuple[bytes, bytes, bool]]:
    """(key, value, whether it stood bare) of a text of pairs; empty if it is none, or every reading has a key twice."""
    if len(args) > _LONGEST:
        return []
    led = _place().match(args)
    start = led.end() + 1 if led is not None else 0
    if start >= len(args) or (led is not None and args[led.end()] != 0x20):
        return []
    for reading in _readings(args, start, (), iter(range(_STEPS))):
        keys = [key for key, _, _ in reading]
        if len(set(keys)) == len(keys):
            return list(reading)
    return []


_Reading = tuple[tuple[bytes, bytes, bool], ...]


def _readings(args: bytes, start: int, read: _Reading, steps: Iterator[int]) -> Iterator[_Reading]:
    """Every way to read `args` from `start` as pairs, strings as short as they can be first, while there are `steps`."""
    while len(read) < _PAIRS and next(steps, None) is not None:
        found = _pair().match(args, start)
        if found is None:
            return
        parts = grammars.parts(found)
        if "quoted" in parts:
            key = parts["key"][:-1]
            for _, end in zip(steps, _ends(args, found.start("quoted") + 1), strict=False):
                longer = (*read, (key, args[found.start("quoted") + 1 : end], False))
                if end + 1 == len(args):
                    yield longer
                else:
                    yield from _readings(args, end + 2, longer, steps)
            return
        key = parts.get("key", b"comm=")[:-1]
        read = (*read, (key, parts.get("bare", parts.get("rest", b"")), True))
        start = found.end() + 1
        if start > len(args):
            yield read
            return
        if args[start - 1] != 0x20:
            return


def _ends(args: bytes, start: int) -> Iterator[int]:
    """Where the string that begins at `start` can end: quotes with another pair, or nothing, behind them."""
    for found in _closing().finditer(args, start):
        yield found.start()


def _place() -> re.Pattern[bytes]:
    return grammars.load("pairs", "place").pattern


def _pair() -> re.Pattern[bytes]:
    return grammars.load("pairs", "pair").pattern


def _closing() -> re.Pattern[bytes]:
    return grammars.load("pairs", "closing").pattern


def _anchored(name: str) -> re.Pattern[bytes]:
    pattern = _static.get(name)
    if pattern is None:
        pattern = _static[name] = grammars.load("payload", name).pattern
    return pattern
