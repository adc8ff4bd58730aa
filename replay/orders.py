"""The orders in which lines of equal time may have come: those of one CPU as they stand, those of two in any way.

Source: INVARIANTS.md, Certainty: order is fixed within a CPU, and across CPUs beyond the clock's grain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from mmlist.replay.record import Loss, Record

Item = Record | Loss

MOST_ORDERS = 5_000
"""Orders of one log that are tried at most."""
MOST_LINES = 50_000
"""Lines of a log that are kept to be put into other orders at most."""
MOST_STEPS = 1_000_000
"""Lines times orders that are replayed at most."""
_LONGEST = 24
"""Lines of equal time that are put into all their orders at most."""


def legal_orders(items: Sequence[Item], grain: int, lines: set[int]) -> list[list[Item]] | None:
    """All orders of `items` (in replay order) that the clock, of `grain`, allows, the one that is given first.

    Only groups of tied lines of which one is in `lines` (line numbers) are put into other orders: others are nothing to each
    other. None if there are too many to be tried.
    """
    choices: list[list[tuple[Item, ...]]] = []
    orders = 1
    for group in _groups(items, grain):
        cpus = {item.at.cpu for item in group}
        if len(cpus) == 1 or not any(item.at.line in lines for item in group):
            choices.append([tuple(group)])
            continue
        if len(group) > _LONGEST:
            return None
        ways = _ways(group, grain, MOST_ORDERS // orders)
        if ways is None:
            return None
        orders *= len(ways)
        choices.append(ways)
    if orders > MOST_ORDERS or orders * len(items) > MOST_STEPS:
        return None
    return [[item for group in chosen for item in group] for chosen in product(*choices)]


def _groups(items: Sequence[Item], grain: int) -> Iterator[list[Item]]:
    """Runs of lines each of which is tied with the one before it, or of its time; a loss stands alone."""
    group: list[Item] = []
    for item in items:
        if group and not _follows(group[-1], item, grain):
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _follows(one: Item, other: Item, grain: int) -> bool:
    if isinstance(one, Loss) or isinstance(other, Loss) or one.at.ts is None or other.at.ts is None:
        return False
    return other.at.ts - one.at.ts <= grain


def _ways(group: Sequence[Item], grain: int, most: int) -> list[tuple[Item, ...]] | None:
    """All orders of `group`, the given one first; None if there are more than `most`."""
    ways: list[tuple[Item, ...]] = []
    for way in _extend([], list(group), grain):
        ways.append(way)
        if len(ways) > most:
            return None
    return ways


def _extend(done: list[Item], rest: list[Item], grain: int) -> Iterator[tuple[Item, ...]]:
    if not rest:
        yield tuple(done)
        return
    for index, item in enumerate(rest):
        if not any(_before(other, item, grain) for other in rest[:index]):
            yield from _extend([*done, item], rest[:index] + rest[index + 1 :], grain)


def _before(one: Item, other: Item, grain: int) -> bool:
    """Whether `one`, which stands before `other`, came before it for sure."""
    assert one.at.ts is not None and other.at.ts is not None
    return one.at.cpu == other.at.cpu or one.at.ts + grain < other.at.ts
