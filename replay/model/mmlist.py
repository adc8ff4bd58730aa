"""mmlist itself: a real doubly linked list of nodes, with pointers that may be unknown and rings apart from init_mm.

Pointers are changed as list_add, list_del and list_del_init change them (include/linux/list.h), so that a list that was
broken is broken here in the same way. A pointer that was never seen is None: unknown, not empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmlist.replay.model.mm import Mm

_STALE = 4
_DIGIT = 4
_STEP = 1 << 12
_TOP = 1 << (8 * _DIGIT)
_MIDDLE = (_TOP // 2).to_bytes(_DIGIT, "big")


class Node:
    """A list node: of an mm, or of init_mm (`mm` None). `rank` orders the members alive at one moment."""

    __slots__ = ("mm", "next", "prev", "rank", "seq", "stale_next", "stale_prev")

    def __init__(self, mm: Mm | None) -> None:
        """A node that points at itself (INIT_LIST_HEAD)."""
        self.mm = mm
        self.next: Node | None = self
        self.prev: Node | None = self
        self.rank = b""
        self.seq = 0  # replay position of the oldest observation that the pointers rest on
        self.stale_next: list[tuple[Node | None, int | None]] = []
        self.stale_prev: list[tuple[Node | None, int | None]] = []

    def set_next(self, node: Node | None, ts: int | None) -> None:
        """Change `next` at time `ts`; what it was is kept for lines that the clock does not order against this one."""
        if self.next is not node:
            self.stale_next.append((self.next, ts))
            del self.stale_next[:-_STALE]
            self.next = node

    def set_prev(self, node: Node | None, ts: int | None) -> None:
        """Change `prev` at time `ts`, as `set_next`."""
        if self.prev is not node:
            self.stale_prev.append((self.prev, ts))
            del self.stale_prev[:-_STALE]
            self.prev = node

    def init(self, ts: int | None) -> None:
        """INIT_LIST_HEAD: both pointers at itself."""
        self.set_next(self, ts)
        self.set_prev(self, ts)

    def unknown(self, ts: int | None) -> None:
        """Nothing is known of the pointers any more."""
        self.set_next(None, ts)
        self.set_prev(None, ts)


class Mmlist:
    """The list headed at init_mm.mmlist. Each change is O(1); walking is for reports and tests."""

    def __init__(self) -> None:
        """A list of which nothing is known: the head's pointers are unknown."""
        self.head = Node(None)
        self.head.next = self.head.prev = None
        self._lowest = b""
        self._latest: Node | None = None

    def add(self, node: Node, after: Node, ts: int | None) -> None:
        """list_add: link `node` right after `after`, whatever `node` pointed at before."""
        following = after.next
        node.seq = after.seq
        node.rank = self._rank_after(after)
        self._latest = node
        node.set_next(following, ts)
        node.set_prev(after, ts)
        if following is not None:
            following.set_prev(node, ts)
        after.set_next(node, ts)

    def unknown_after(self, node: Node, ts: int | None) -> None:
        """Something may have been linked right after `node`, or not."""
        following = node.next
        node.set_next(None, ts)
        if following is not None:
            following.set_prev(None, ts)

    def place(self, node: Node) -> None:
        """Give `node`, which was found on the list, a rank beside the neighbours that are known."""
        if node.prev is not None and node.prev is not node and (node.prev.rank or node.prev is self.head):
            node.rank = self._rank_after(node.prev, skip=node)
        elif node.next is not None and node.next.rank and node.next is not node:
            node.rank = _just_below(node.next.rank)
        else:
            node.rank = self._rank_after(self.head)
        self._lowest = min(self._lowest, node.rank) if self._lowest else node.rank

    def _rank_after(self, after: Node, skip: Node | None = None) -> bytes:
        following = after.next if after.next is not skip else None if skip is None else skip.next
        if after is self.head:
            high = self._lowest
            self._lowest = rank_between(b"", high)
            return self._lowest
        chained = after is self._latest  # each behind the one before it: a child that forks a child
        if following is self.head:
            return rank_between(after.rank, b"", near_low=True)
        if following is not None and following.rank > after.rank:
            return rank_between(after.rank, following.rank, near_low=chained)
        return after.rank + _MIDDLE

    def remove(self, node: Node, ts: int | None) -> None:
        """__list_del: the neighbours, where known, point at each other; the node's own pointers are for the caller."""
        before, following = node.prev, node.next
        for other in (before, following):
            if other is not None:
                other.seq = min(other.seq, node.seq)
        if before is not None and before is not node:
            before.set_next(following if following is not node else before, ts)
        if following is not None and following is not node:
            following.set_prev(before if before is not node else following, ts)

    def replace(self, old: Node, new: Node, ts: int | None) -> None:
        """Put `new` where `old` is."""
        before, following = old.prev, old.next
        new.seq, new.rank = old.seq, old.rank
        new.set_prev(before if before is not old else new, ts)
        new.set_next(following if following is not old else new, ts)
        if before is not None and before is not old:
            before.set_next(new, ts)
        if following is not None and following is not old:
            following.set_prev(new, ts)

    def walk(self, limit: int = 1 << 20) -> list[Mm]:
        """The members in list order, as far as the pointers are known; ends at the head, an unknown or a loop."""
        found: list[Mm] = []
        seen: set[int] = set()
        node = self.head.next
        while node is not None and node is not self.head and id(node) not in seen and len(found) < limit:
            seen.add(id(node))
            if node.mm is not None:
                found.append(node.mm)
            node = node.next
        return found


def rank_between(low: bytes, high: bytes, *, near_low: bool = False) -> bytes:
    """A key strictly between `low` and `high` (b"" as `high` is above all), in bytes order.

    Keys are digits of 4 bytes. The new key is put close below `high`, so that many inserts after one member (a parent
    that forks) take steps, not halves: keys stay short. With `near_low` close above `low`, for many inserts each after the
    one before it (a child that forks). Raises ValueError if `low` is not below `high`.
    """
    if high and low >= high:
        raise ValueError("low must be below high")
    key = b""
    position = 0
    bounded = bool(high)
    while True:
        low_digit = int.from_bytes(low[position : position + _DIGIT].ljust(_DIGIT, b"\0"), "big")
        high_digit = _TOP
        if bounded:
            high_digit = int.from_bytes(high[position : position + _DIGIT].ljust(_DIGIT, b"\0"), "big")
        if high_digit - low_digit > 1:
            gap = (high_digit - low_digit) // 2
            down = min(gap, _STEP) if bounded else gap
            # Up by another step than down, lest both meet in one key.
            digit = low_digit + min(gap, _STEP - 1) if near_low else high_digit - down
            return key + digit.to_bytes(_DIGIT, "big")
        key += low_digit.to_bytes(_DIGIT, "big")
        if bounded and high_digit > low_digit:
            bounded = False
        position += _DIGIT


def _just_below(rank: bytes) -> bytes:
    """A key below `rank`, and above every key that is shorter or lower in its last digit."""
    value = int.from_bytes(rank, "big") - 1
    return value.to_bytes(len(rank), "big") + _MIDDLE
