"""One mm: a generation of an mm_struct, with what is known of its counts, its node and the swap entries it holds."""

from __future__ import annotations

import msgspec

from mmlist.replay.events import JoinDue
from mmlist.replay.facts import Life, Membership
from mmlist.replay.model.mmlist import Node
from mmlist.replay.record import At

UNKNOWN = "unknown"
OFF = "off"
MEMBER = "member"
APART = "apart"  # linked, but on a ring that does not pass init_mm
REMOVED = "removed"  # by its last mmput: poisoned, for good


class Hold(msgspec.Struct):
    """An entry that ptes of an mm hold: how many, since which replay position, and the line that assigned it.

    `type` is its area. `duplicated` is the line of the duplicate made for it by the same task, where that was seen apart.
    `doubts`: frees of the entry since that may have been of one of these ptes, though no hook said so (unfreed.py).
    """

    type: int
    count: int
    since: int
    at: At
    why: str
    observed: bool
    duplicated: At | None = None
    doubts: int = 0


class Placed(msgspec.Struct):
    """Where an explicit join put the node: right after `after` (None: init_mm), by task `key`; its cause is still to show."""

    at: At
    key: int
    after: Mm | None
    site: str = ""


class Deferred(msgspec.Struct):
    """A fetch that did not fit, to be looked at again when its CPU shows its next line.

    A probe takes its time stamp first and fetches then, and a virtual CPU may be preempted in between: what it read is of
    any moment up to the next line of its CPU.
    """

    mm: Mm | None
    next: int
    prev: int | None
    at: At
    name: str


class Mm:
    """The state of one generation. What was never seen is None (counts) or UNKNOWN (`listed`).

    `listed_seq` is the replay position at which `listed` was last known for sure, `clean_seq` the position before which
    its holdings may have been released unseen. `zero` is where mm_users was known to have reached 0.
    """

    __slots__ = (
        "address",
        "beside",
        "born",
        "confirmed",
        "count",
        "count_seen",
        "drain_began",
        "drained",
        "duplicated",
        "early",
        "exit_began",
        "exit_ended",
        "final_put",
        "fork_failed",
        "freed",
        "generation",
        "half",
        "holdings",
        "join_cause",
        "joined",
        "joining",
        "last_fetch",
        "last_seen",
        "left",
        "left_why",
        "life",
        "linked_at_zero",
        "linked_seen",
        "listed",
        "listed_seq",
        "membership",
        "node",
        "parent",
        "placed",
        "released",
        "released_of",
        "used",
        "users",
        "users_at",
        "zero",
        "zero_how",
    )

    def __init__(self, address: int, generation: int, line: int) -> None:
        """An mm of which only the address is known; `line` is where it was first named."""
        self.address = address
        self.generation = generation
        self.life = Life(address, generation, line)
        self.born: At | None = None
        self.parent: Mm | None = None
        self.node = Node(self)
        self.node.next = self.node.prev = None
        self.listed = UNKNOWN
        self.listed_seq = 0
        self.confirmed = False  # the list itself showed the membership
        self.early = ""  # "join" or "leave": observed before the event that says it
        self.membership: Membership | None = None
        self.joined: At | None = None
        self.join_cause: At | None = None  # the line that made its join due
        self.beside: Mm | None = None  # it was linked after this one, of which nobody knew whether it was on mmlist
        self.placed: Placed | None = None
        self.joining: dict[int, JoinDue] | None = None
        self.left: At | None = None
        self.left_why = ""
        self.drained: At | None = None
        self.drain_began: At | None = None  # where the drain that took it off looked whether an area is in use
        self.users: int | None = None
        self.users_at: At | None = None
        self.count: int | None = None
        self.count_seen: At | None = None  # the last line that fetched mm_count
        self.zero: At | None = None
        self.zero_how = ""
        self.linked_at_zero: At | None = None
        self.final_put: At | None = None
        self.fork_failed: At | None = None
        self.exit_began: At | None = None
        self.exit_ended: At | None = None
        self.freed: At | None = None
        self.used: At | None = None  # the last line that showed that a task had it, or a fork filled it
        self.duplicated: At | None = None
        self.holdings: dict[int, Hold] | None = None
        self.released = 0  # replay position up to which holdings of any area may have been released unseen
        self.released_of: dict[int, int] | None = None  # the same of those of one area, by its type
        self.last_seen: At | None = None
        self.last_fetch: At | None = None  # the last line that fetched mm_users
        self.half: At | None = None  # the first line that saw its node half linked
        self.linked_seen: At | None = None  # the last line that fetched its node, and found it linked

    @property
    def doubtful(self) -> bool:
        """Whether it may be self-linked: it was linked after an mm that may have been on no list, and that has gone since."""
        beside, joined = self.beside, self.joined
        if beside is None or joined is None:
            return False
        return beside.dying or (beside.left is not None and beside.left.seq > joined.seq)

    @property
    def dying(self) -> bool:
        """Whether mm_users has reached 0."""
        return self.zero is not None or self.exit_began is not None

    def release(self, seq: int, type_: int | None) -> None:
        """At replay position `seq` holdings of area `type_` (None: of any) may have been released unseen."""
        if type_ is None:
            self.released = seq
        elif self.released_of is None:
            self.released_of = {type_: seq}
        else:
            self.released_of[type_] = seq

    def seen_alive(self, at: At) -> bool:
        """Whether a line no earlier than `at` fetched its mm_users, and they are above 0."""
        fetch = self.last_fetch
        return fetch is not None and fetch.seq >= at.seq and (self.users or 0) > 0 and not self.dying

    def seen_linked(self, at: At) -> bool:
        """Whether the line `at` itself fetched the node and found it linked."""
        return self.linked_seen is at
