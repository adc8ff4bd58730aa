"""Swap areas and swap entries: which types are in use, what count an entry has, who holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mmlist.replay.facts import SwapArea, Swapoff
from mmlist.replay.record import At

if TYPE_CHECKING:
    from mmlist.replay.model.changes import NoProgress
    from mmlist.replay.model.mm import Mm


class Entry(msgspec.Struct):
    """A swap entry that somebody named. `count` None is unknown; it was right at replay position `seq`.

    `cached` None is unknown; a slot with count 0 that is not cached is free. `holders`: ids of the mms whose ptes hold
    it, so far as known; `users` all for whom it was duplicated since it was handed out, and `strangers` that it was for somebody
    else, too. `allocated` is where the slot was handed out, `last` the last step on it; `reused`: to a second
    one, while the first still held it.
    """

    count: int | None = None
    seq: int = 0
    at: At | None = None
    counted_since: At | None = None
    cached: bool | None = None
    shmem: bool = False
    fresh: bool = False  # allocated, its first duplicate still to come: shmem's would not show
    freed_seq: int = 0
    holders: dict[tuple[int, int], None] | None = None
    users: dict[tuple[int, int], None] | None = None
    strangers: bool = False
    allocated: At | None = None
    last: At | None = None
    reused: bool = False
    fetched: bool = False  # the count was: another task's free may have been under way


class Area:
    """A swap area: `used` True between swapon and swapoff, False after it, None while only its type was named."""

    __slots__ = ("closed", "fact", "named", "path", "told", "type", "used")

    def __init__(self, type_: int) -> None:
        """An area of which only the type is known."""
        self.type = type_
        self.path: str | None = None
        self.used: bool | None = None
        self.closed: At | None = None
        self.named: At | None = None  # the line of an allocation that showed it in use, before any other did
        self.told: At | None = None  # the line that said its type; None: it was counted from the log's beginning
        self.fact: SwapArea | None = None


class Round(msgspec.Struct):
    """One entry's round of a walk before 5.1, from the visit `began`; `since` is its task's line before that.

    `met`: whom it visited or put, `holds` the last that it visited, until it puts that one at `put`; `start` the mm that it
    began behind, None for init_mm. `ended` there, or where it puts `start` behind it; `missed` had it to meet then.
    """

    began: At
    since: At
    met: list[Mm] = []
    holds: Mm | None = None
    put: At | None = None
    start: Mm | None = None
    ended: At | None = None
    missed: dict[Mm, None] = {}


class SwapoffCall:
    """A swapoff that has begun. `walked` holds the mms it took hold of or walked, `inuse` the last fetch with its line."""

    __slots__ = (
        "at", "begun", "drain", "drained_at", "ended", "fact", "found_empty", "found_members", "idle_over",
        "idle_passes", "idle_since", "inuse", "inuse_at", "inuse_begin", "inuse_by", "judged", "key", "left_behind",
        "line", "line_before", "maybe", "members", "met", "misplaced", "missed", "pass_began", "passed_over",
        "refused", "returns_show", "round", "seen", "stalled", "told", "torn", "type", "unuse_at", "unuse_ret",
        "visited", "walked", "walked_at", "walks",
    )  # fmt: skip

    def __init__(self, at: At, key: int, type_: int | None, fact: Swapoff) -> None:
        """`key` is the task it runs in."""
        self.at = at
        self.key = key
        self.pass_began: At | None = None
        self.passed_over = False  # it was told that a pass left somebody out
        self.seen: dict[Mm, None] = {}  # whom the pass has met
        self.missed: dict[Mm, tuple[At, At]] = {}  # whom a pass put not once, with its begin and end
        self.visited: tuple[Mm, At] | None = None  # whom it walks, since then
        self.left_behind: dict[tuple[Mm, int], tuple[int, At]] = {}  # by mm and entry: in how many walks, since when
        self.line: At | None = None  # the last one of its task, since its walk began, and the one before
        self.line_before: At | None = None
        self.round: Round | None = None
        self.type = type_
        self.told: At | None = None  # as Area.told
        self.fact = fact
        self.begun = False  # its beginning is in the log
        self.returns_show = False  # another's return was, before that
        self.torn = False  # something was lost since it began: what returns may be another of the same task
        self.drain: At | None = None
        self.inuse: tuple[int, ...] | None = None
        self.inuse_at: At | None = None
        self.inuse_begin: tuple[int, ...] | None = None
        self.inuse_by = ""  # the probe that fetched it: drain_mmlist's is as fresh as can be
        self.judged = False  # its drain was judged by what was fetched at it
        self.unuse_ret: int | None = None
        self.unuse_at: At | None = None
        self.walked_at: At | None = None  # the last line of its walk
        self.walks: Mm | None = None  # whose page tables it is in, as far as no line says that it is out of them
        self.found_empty: At | None = None  # the last line of it that showed mmlist, if it was empty on all of them
        self.found_members = False  # on one it was not
        self.drained_at: At | None = None  # the first line that shows it draining
        self.members = 0  # when it drained
        self.idle_since: At | None = None  # the last line that left fewer entries, or the first of its walk
        self.idle_over: At | None = None  # a later line of whose line that was
        self.idle_passes = 0
        self.met: set[int] = set()  # in this pass
        self.stalled: NoProgress | None = None
        self.ended: At | None = None  # where it returned, if it failed
        self.refused: At | None = None  # drain_mmlist said that an area is in use
        self.maybe: list[tuple[Mm, At, str]] = []  # members seen self-linked: drained, if no walk comes after
        self.walked: set[tuple[int, int]] = set()
        self.misplaced: set[str] = set()  # how its drain is out of place, as told

    def pages_left(self, inuse: tuple[int, ...] | None) -> int | None:
        """inuse_pages of its area among those of all; None where they, or its type, are not known."""
        return None if inuse is None or self.type is None or self.type >= len(inuse) else inuse[self.type]
