"""What an invariant is, and what it answers with: a finding, which the judge makes a violation of (judge.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from mmlist.replay.facts import Witness
from mmlist.replay.model.changes import Change
from mmlist.replay.model.mm import MEMBER, OFF, REMOVED, Mm
from mmlist.replay.record import At

ALL = ("2.6.9", "2.6.10", "modern")
SWAP_ONLY = ("2.6.10", "modern")


class Finding(msgspec.Struct):
    """One contradiction. `witness` are the lines that together contradict, in order, the last being where it was seen.

    `claims`: the lines from one to the other of a drain that this finding is about: what came of it, and was found before this
    could be, follows from it.

    `since`: the first of the lines that it rests on (None: the log's beginning); what was lost after it could explain it.
    `alone`: it rests on the last line alone, whatever came before. `absence`: it relies on a step not having come since
    `since`; `explicit`: that step would be an event of its own in this log. `order` are pairs of lines whose order the
    claim needs, `beside` other mms than `mm` on whose state it rests, `placed`: it rests on the order of the list.
    `follows` are the violations, as (code, mm) in order of preference, that would have caused this one. `cap` bounds the
    certainty, for the reason `doubt` (empty: the one that judge.py has for all).
    """

    at: At
    message: str
    witness: list[Witness]
    mm: Mm | None = None
    entry: int | None = None
    type: int | None = None
    alone: bool = False
    absence: bool = True
    since: At | None = None
    explicit: bool = False
    order: list[tuple[At, At]] = msgspec.field(default_factory=list)
    beside: list[Mm] = msgspec.field(default_factory=list)
    placed: bool = False
    follows: list[tuple[str, Mm | None]] = msgspec.field(default_factory=list)
    cap: str = "proven"
    doubt: str = ""
    rests_on_releases: bool = False  # it holds only if every release of an entry was seen
    claims: tuple[At, At] | None = None
    explains: list[tuple[str, Mm | None]] = msgspec.field(default_factory=list)  # found before it, and caused by it
    episode: int | None = None  # findings of one code and mm with the same number are one violation
    spreads: bool = False  # the list's links are no guide from here on: what rests on them follows from it


Check = Callable[[Any, Any], Iterable[Finding]]
"""(change, state) -> findings; it reads both and changes neither."""


class Invariant(msgspec.Struct, frozen=True):
    """One invariant. `needs`: from each set the log must carry at least one event, else it is not checked."""

    code: str
    slug: str
    severity: str  # E, W
    title: str
    profiles: tuple[str, ...]
    needs: tuple[frozenset[str], ...]
    changes: tuple[type[Change], ...]
    check: Check
    doc: str = ""
    errors: tuple[str, ...] = ()  # profiles in which a W is an E

    def severity_in(self, profile: str) -> str:
        """E or W under `profile`."""
        return "E" if profile in self.errors else self.severity

    @property
    def severities(self) -> str:
        """The severity in words: `W (2.6.9, 2.6.10: E)`."""
        return f"{self.severity} ({', '.join(self.errors)}: E)" if self.errors else self.severity


TYPE_COUNTED = "no line tells the area's type, and one that was in use before the log began would make it another"
"""The doubt where `which_area` is not sure."""


def witness(at: At, role: str, site: str, state: str = "", should: str = "") -> Witness:
    """One line of evidence; see facts.Witness."""
    return Witness(at, role, site, state, should)


def name(mm: Mm) -> str:
    """How an mm is written: its address, and its generation from the second on."""
    return f"mm {mm.address:#x}" + (f" (generation {mm.generation})" if mm.generation > 1 else "")


def listed(mm: Mm, state: str) -> str:
    """What `listed` was, in words."""
    if state == MEMBER:
        return f"{name(mm)} is on mmlist"
    if state == OFF:
        return f"{name(mm)} is off mmlist"
    if state == REMOVED:
        return f"{name(mm)} was taken off mmlist by its last mmput"
    return f"the membership of {name(mm)} is {state}"


def needs(*sets: str) -> tuple[frozenset[str], ...]:
    """Each argument is one set, its names apart by blanks."""
    return tuple(frozenset(names.split()) for names in sets)


def kernel_site(why: str) -> str:
    """The function that assigns an entry to a pte, by the assignment's `why`."""
    return {"unmap": "try_to_unmap_one", "fork": "copy_nonpresent_pte"}.get(why, "set_pte")
