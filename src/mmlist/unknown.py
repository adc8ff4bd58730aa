"""The events of a log that are not ours, with what they may have been meant to be, and the map that would say so.

A probe that stands at the beginning of a function whose event we know, or at its return, is that event whatever its name;
all else is likeness of names. The kernel's own noise is like none of ours and gets no guess.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from mmlist.replay.bind import NAMES, is_explicit
from mmlist.replay.bind.reads import INUSE, fields_of
from mmlist.replay.log import Log
from mmlist.replay.mapping import Mapping
from mmlist.replay.nearest import nearest_name
from mmlist.replay.parse import Line, Parser
from mmlist.replay.payload import fields, has_own_text, place
from mmlist.replay.record import Record

_NAMED = 1 << 14  # names that are told apart
_LONGEST = 64  # of a name: the kernel's MAX_EVENT_NAME_LEN
_TEXT = 4096  # bytes of a record that are kept
_OPTIONAL = frozenset({"nr", "why", "users", "count", "next", "prev", "onext", "oprev", "head", "tail", "type"})
_LIKE = 0.55  # of difflib's ratio: theirs for ours

_FUNCTION = re.compile(rb"([A-Za-z_]\w*)(?:\.[\w.]+)?(?:\+0x([0-9a-f]+)/0x[0-9a-f]+)?(?: <[0-9a-f]+>)?")
_RETURN = re.compile(rb"(?:.* )?<- ([A-Za-z_]\w*)(?:\.[\w.]+)?(?: <[0-9a-f]+>)?")
_SYSCALL = re.compile(r"(?:__(?:x64|ia32|arm64|s390x?|riscv|se|do)_(?:compat_)?sys|ksys)_")
_STAND_INS = {"uprobe_clear_state": "__mmput_begin", "lru_gen_del_mm": "__mmput_end"}
"""Functions that __mmput calls first and last, probed where it is inlined (bind/probes.py)."""

_ENTRY = (0, 4)  # a kernel with ENDBR has its probe behind it


class Unknown(msgspec.Struct):
    """One name that is none of ours: how many `lines`, the first of them, its text, the system that perf prints.

    `nearest` is the event of ours that it may be, None if it is like none; `certain` if the probed function says so.
    `stanza` is what a map would say, None where nothing is near.
    """

    name: str
    system: str | None
    lines: int
    first_line: int
    args: bytes
    nearest: str | None = None
    certain: bool = False
    stanza: str | None = None


class Names(msgspec.Struct):
    """The names of one log: `ours` by their lines, `unknown` the commonest first; `untold` lines have yet other names.

    `strange` are names of ours whose first record has fields, but none that the event has, and the lines of these.
    """

    log: str
    lines: int
    ours: dict[str, int]
    unknown: list[Unknown]
    strange: dict[str, int]
    untold: int = 0


def names_of(log: Log, mapping: Mapping | None = None) -> Names:
    """Look through `log`. What `mapping` maps is ours, what it ignores is not told. Raises InputError as parsing does."""
    parser = Parser(log)
    ours: Counter[str] = Counter()
    unknown: dict[str, Unknown] = {}
    probes: dict[str, Record] = {}
    strange: dict[str, int] = {}
    untold = 0
    for record in parser.records():
        if not isinstance(record, Line) or record.kind != "event":
            continue
        name, system = record.name, _system(record)
        rule = mapping.rule_of(record, system) if mapping is not None else None
        if rule is not None:
            if rule.target is not None:
                ours[rule.name] += 1
        elif name in NAMES:
            if name not in ours and _strange(record):
                strange[name] = record.at.line
            ours[name] += 1
        elif (known := unknown.get(name)) is not None:
            known.lines += 1
        elif len(unknown) < _NAMED and len(name) < _LONGEST:
            probes[name] = Record(record.at, name, record.args[:_TEXT])
            unknown[name] = Unknown(name, system, 1, record.at.line, probes[name].args)
        else:
            untold += 1
    for name, one in unknown.items():
        _guess(one, probes[name])
    found = sorted(unknown.values(), key=lambda one: (-one.lines, one.first_line))
    return Names(log.name, parser.ledger.lines, dict(ours.most_common()), found, strange, untold)


def probed(record: Record) -> str | None:
    """The event of ours that the probed place of `record` makes it, None if that says nothing."""
    where = place(record)
    if where is None:
        return None
    returned = _RETURN.fullmatch(where)
    found = returned or _FUNCTION.fullmatch(where)
    if found is None or (returned is None and found[2] is not None and int(found[2], 16) not in _ENTRY):
        return None
    function = _SYSCALL.sub("", found[1].decode("latin-1"))
    name = function + "_ret" if returned else _STAND_INS.get(function, function)
    return name if name in NAMES else None


def _strange(record: Record) -> bool:
    known = fields_of(record.name, explicit=is_explicit(record))
    return bool(known) and bool(found := fields(record)) and found.keys().isdisjoint({*known, "ret"})


def _system(record: Line) -> str | None:
    system = record.parts.get("system")
    return None if system is None else system.decode("latin-1")


def _guess(one: Unknown, record: Record) -> None:
    certain = probed(record)
    if certain is not None:
        one.nearest, one.certain = certain, True
    elif not has_own_text(one.name):
        one.nearest = nearest_name(one.name)
    if one.nearest is not None:
        one.stanza = "\n".join(_stanza(one.name, one.nearest, record))


def _stanza(name: str, target: str, record: Record) -> Iterator[str]:
    """A map's table for `name`: the fields that `target` needs, guessed where there is but one guess."""
    yield f"[events.{name}]"
    yield f'is = "{target}"'
    explicit = is_explicit(msgspec.structs.replace(record, name=target))
    wanted = [one for one in fields_of(target, explicit=explicit) if not one.startswith(INUSE)]
    theirs = fields(record)
    free = [key for key in theirs if key not in wanted]
    missing = [key for key in wanted if key not in theirs]
    guessed = _pairs(missing, free)
    needed = [key for key in missing if key not in guessed and key not in _OPTIONAL]
    if not guessed and not needed:
        return
    yield f"[events.{name}.fields]"
    for ours, found in guessed.items():
        yield f'{ours} = "{found}"'
    for ours in needed:
        yield f'# {ours} = "..."' + (f"  # of: {', '.join(free)}" if free else "  # the log has no field for it")


def _pairs(missing: Sequence[str], free: Iterable[str]) -> dict[str, str]:
    """Ours -> theirs, the likest first; the only one left on both sides needs no likeness."""
    left, found = list(free), {}
    likeness = sorted(
        ((difflib.SequenceMatcher(None, a, b).ratio(), a, b) for a in missing for b in left), key=lambda one: -one[0]
    )
    for ratio, ours, theirs in likeness:
        if ratio >= _LIKE and ours not in found and theirs in left:
            found[ours] = theirs
            left.remove(theirs)
    needed = [key for key in missing if key not in found and key not in _OPTIONAL]
    if len(needed) == 1 and len(left) == 1:
        found[needed[0]] = left[0]
    return found
