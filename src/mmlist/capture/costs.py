"""What a role that a kernel lacks costs: the invariants that a log cannot decide, or not so well, without it.

By the reasoning of `mmlist doctor`, before there is a log: an invariant's `needs` say whether it is checked at all,
`Carries` how well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from mmlist.replay.carries import carries
from mmlist.replay.doctor import DECIDABLE, NOT, PARTLY, diagnose
from mmlist.replay.invariants import collect
from mmlist.replay.survey import MT_DUP

_ORDER = (NOT, PARTLY, DECIDABLE)
_TRACEPOINTS = frozenset({"task_newtask", "sched_process_exit", "sched_process_free"})
_FETCHES = {"users": "users", "count": "count", "next": "next", "head": "head", "tail": "tail", "inuse0": "inuse"}
_MT_DUP = ((6, 8), (7, 0))  # replay/survey.py: MT_DUP


class Cost(msgspec.Struct):
    """An invariant that is `state` (partly, not) in place of `better`."""

    code: str
    slug: str
    state: str
    better: str


def states(version: tuple[int, int] | None, carried: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, str]]:
    """Code of each invariant of modern kernels -> (its slug, decidable, partly or not), by a log of these probes.

    `carried`: name of an event -> what it fetches. `version`: the kernel's, None if unknown.
    """
    names = _TRACEPOINTS | frozenset(carried)
    told = set(names)
    for fetched in carried.values():
        told |= {f"fetched:{_FETCHES[name]}" for name in fetched if name in _FETCHES}
    if version is None or _MT_DUP[0] <= version < _MT_DUP[1]:
        told.add(MT_DUP)
    once = dict.fromkeys(names, 1)
    can = carries(once, frozenset(), names, pure=False, threads=True, unuse_clears=False, found_26=False)
    found = {}
    for one in collect():
        if "modern" in one.profiles:
            lacks = next((any_of for any_of in one.needs if told.isdisjoint(any_of)), None)
            status, reason = ("checked", "") if lacks is None else ("not checked", "")
            found[one.code] = one.slug, diagnose(one.code, one.slug, status, reason, can).state
    return found


def cost(
    version: tuple[int, int] | None, carried: Mapping[str, Iterable[str]], best: Mapping[str, Iterable[str]]
) -> list[Cost]:
    """The invariants that are decided worse by `carried` than if the probes `best` were among them."""
    ideal, actual = states(version, {**carried, **best}), states(version, carried)
    return [
        Cost(code, slug, state, ideal[code][1])
        for code, (slug, state) in actual.items()
        if _ORDER.index(state) < _ORDER.index(ideal[code][1])
    ]
