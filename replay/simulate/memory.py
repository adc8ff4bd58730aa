"""The structs of a small kernel: list nodes, mms, pages, swap slots, locks. They hold what memory holds, no more.

An `Mm` is the memory at one address: it is handed out again after it was freed, with what stands in it. So a bug that
frees a linked node corrupts the list here as it does there.
"""

from __future__ import annotations

from collections.abc import Iterator


class Oops(Exception):
    """The kernel followed a poisoned or NULL pointer, or met a BUG_ON; the machine is as good as dead."""


class Node:
    """A list_head; `node` is its address."""

    __slots__ = ("next", "node", "prev")

    def __init__(self, node: int) -> None:
        self.node = node
        self.next: Node = self
        self.prev: Node = self


class Poison(Node):
    """What LIST_POISON1 points to: nothing that can be followed (include/linux/poison.h)."""

    __slots__ = ()

    def __init__(self, node: int) -> None:
        object.__setattr__(self, "node", node)

    def __getattr__(self, name: str) -> object:
        raise Oops(f"general protection fault at {self.node:#x}")

    def __setattr__(self, name: str, value: object) -> None:
        raise Oops(f"general protection fault at {self.node:#x}")


def list_empty(head: Node) -> bool:
    """include/linux/list.h: list_empty."""
    return head.next is head


def list_add(new: Node, head: Node, half: bool = False) -> None:
    """include/linux/list.h: list_add; right after `head`. `half`: the back link is forgotten."""
    following = head.next
    if not half:
        following.prev = new
    new.next = following
    new.prev = head
    head.next = new


def unlink(entry: Node) -> None:
    """include/linux/list.h: __list_del; `entry` keeps its pointers."""
    entry.next.prev = entry.prev
    entry.prev.next = entry.next


def walk(head: Node, limit: int) -> Iterator[Node]:
    """The nodes after `head` in list order, up to `limit` of them, stopping at what cannot be followed."""
    node = head.next
    while node is not head and limit and not isinstance(node, Poison):
        yield node
        node = node.next
        limit -= 1


class Lock:
    """A spin lock: whoever holds it stays on its CPU. `address` is printed where lock events are."""

    __slots__ = ("address", "name", "owner")

    def __init__(self, name: str, address: int) -> None:
        self.name = name
        self.address = address
        self.owner: object = None


class RwSem:
    """mmap_sem, or mmap_lock: many readers or one writer; who waits sleeps."""

    __slots__ = ("readers", "writer")

    def __init__(self) -> None:
        self.readers = 0
        self.writer = False


class Mm(Node):
    """An mm_struct. `pte`: virtual page number -> the page there, or the swap entry (an int)."""

    __slots__ = ("addr", "born", "borrowers", "count", "extra", "generation", "index", "pte", "ptl", "sem", "users")

    def __init__(self, addr: int, offset: int, index: int) -> None:
        super().__init__(addr + offset)
        self.addr = addr
        self.index = index
        self.generation = 0
        self.users = 0
        self.count = 0
        self.borrowers = 0
        self.extra = 0
        self.born = False
        self.pte: dict[int, Page | int] = {}
        self.sem = RwSem()
        self.ptl: list[Lock] = []


class Page:
    """An anonymous page, mapped at `va` in each of `maps`; `entry` is its slot while it is in the swap cache."""

    __slots__ = ("entry", "locked", "maps", "va")

    def __init__(self, va: int) -> None:
        self.va = va
        self.maps: dict[Mm, None] = {}
        self.entry: int | None = None
        self.locked = False


class Slot:
    """One slot of a swap area: `count` without the cache, and the page that caches it."""

    __slots__ = ("cache", "count")

    def __init__(self) -> None:
        self.count = 0
        self.cache: Page | None = None


class Area:
    """A swap area (swap_info_struct). `inuse` is inuse_pages: slots in use, and those reserved for a CPU."""

    __slots__ = ("cursor", "inuse", "path", "reserved", "slots", "type", "unusing", "used", "writeok")

    def __init__(self, type_: int) -> None:
        self.type = type_
        self.path = ""
        self.used = False
        self.writeok = False
        self.unusing = False
        self.inuse = 0
        self.cursor = 1
        self.reserved: list[int] = []
        self.slots: dict[int, Slot] = {}
