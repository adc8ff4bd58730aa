"""What is nearest to a line that no dialect reads, and to an event name that nobody knows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

import msgspec

from mmlist import grammars
from mmlist.replay.bind import NAMES
from mmlist.replay.dialect import FORMS, grammar

_LIKE = 0.75  # of difflib's ratio: below it, the kernel's tracepoints resemble each other too much
_TOLD = 1024  # bytes of a line that tell its dialect
_WORDS = 32  # words of a line that may be an event's name
_NAME = re.compile(rb"(?<![\w:/.])(?:[A-Za-z_]\w*:)?([A-Za-z_]\w{2,63})(?=:(?:\s|$)|\()")


class Nearest(msgspec.Struct):
    """The dialect that reads most of a line: it stops at `column` (1-based), where it wants what `expected` says.

    `expected` is None where it reads the whole line, which was refused for another reason.
    """

    dialect: str
    column: int
    expected: str | None


def nearest_dialect(text: bytes, own: str = "") -> Nearest:
    """The dialect whose longest prefix of the line `text` is longest; of equals `own`, then the stricter.

    A loose dialect, which reads nearly any text, comes into question only as `own`.
    """
    tried = (_refusal(name, text[:_TOLD]) for name, form in FORMS.items() if name == own or not form.loose)
    return max(tried, key=lambda one: (one.column, one.dialect == own))


def _refusal(name: str, text: bytes) -> Nearest:
    try:
        grammar(name).parse(text)
    except grammars.Refused as refused:
        return Nearest(name, refused.column, refused.expected)
    return Nearest(name, len(text) + 1, None)


def name_held(name: str, known: Iterable[str] = NAMES) -> str | None:
    """The longest name of an event of ours that `name` holds as whole words (`my_mmput_0`), None if it holds none."""
    held = (one for one in known if len(one) > 3 and re.search(rf"(?:\b|_){re.escape(one)}(?:\b|_)", name))
    return max(held, key=lambda one: (len(one), one), default=None)


def nearest_name(name: str, known: Iterable[str] = NAMES) -> str | None:
    """The event of ours that `name` holds, or else is most like; None if it is like none."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=_LIKE)
    return name_held(name, known) or (near[0] if near else None)


def name_in(text: bytes, known: Iterable[str] = NAMES) -> tuple[str, str] | None:
    """A word of a line that stands where an event's name may, and the event of ours that it is most like."""
    found = [match[1].decode() for match, _ in zip(_NAME.finditer(text[:_TOLD]), range(_WORDS), strict=False)]
    for name in reversed(found):
        near = nearest_name(name, known)
        if near is not None:
            return name, near
    return None
