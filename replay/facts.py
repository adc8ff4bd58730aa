"""What a replay yields: facts. Each is one row of the database; a report is made of nothing else.

Facts refer to an mm by (mm, generation): `mm` is the address as an integer, `generation` counts the lives seen at that
address from 1. Lines are 1-based lines of the log, `seq` is replay order on the scale of line numbers (order.py),
`ts` is as in `record.At`. None is *unknown*, never a default.
"""

from __future__ import annotations

import msgspec

from mmlist.replay.record import At


class Life(msgspec.Struct):
    """One generation of an mm_struct: from mm_init (or from its first line, when born before the log) to the free."""

    mm: int
    generation: int
    first_line: int
    born_line: int | None = None
    born_ts: int | None = None
    born_by: str = "unknown"  # fork, exec, unknown
    parent_mm: int | None = None
    parent_generation: int | None = None
    final_put_line: int | None = None
    exit_mmap_line: int | None = None
    freed_line: int | None = None
    freed_ts: int | None = None
    last_line: int = 0


class Membership(msgspec.Struct):
    """One span of an mm on mmlist. Alive members at one moment, sorted by `rank` (bytes), stand in list order."""

    mm: int
    generation: int
    joined_line: int | None  # the causing line; None: on the list before the log began
    joined_seen_line: int | None  # where the list itself showed it
    joined_seq: int  # replay position of the joining step; 0: before the log
    joined_ts: int | None
    joined_by: str  # pageout, fork, exec, unknown
    after_mm: int | None  # the mm it was linked after; init_mm is its address, or 0 where that is not known
    after_generation: int | None
    rank: bytes
    evidence: str  # observed, inferred
    left_line: int | None = None
    left_seq: int | None = None
    left_ts: int | None = None
    left_by: str | None = None  # mmput, drain, freed, unknown


class Holding(msgspec.Struct):
    """A swap entry held by an mm's page tables, from one line to another."""

    mm: int
    generation: int
    entry: int
    from_line: int
    from_ts: int | None
    from_why: str  # unmap, fork
    to_line: int | None = None
    to_ts: int | None = None
    to_why: str | None = None  # zap, fault, unuse, undo, exit, swapoff, freed, unknown
    evidence: str = "observed"


class SwapArea(msgspec.Struct):
    """One swap area in use: between its swapon and its swapoff. `type` is its index."""

    type: int | None
    path: str | None
    swapon_line: int | None
    swapon_ts: int | None
    swapoff_line: int | None = None
    swapoff_ts: int | None = None


class Visit(msgspec.Struct):
    """swapoff met an mm on its walk: `got` 1 it held and walked it, 0 it skipped it."""

    mm: int
    generation: int
    line: int
    ts: int | None
    got: int
    evidence: str


class Swapoff(msgspec.Struct):
    """One swapoff call: its walk, its outcome, and whether mmlist was drained."""

    begin_line: int
    begin_ts: int | None
    pid: int | None
    comm: bytes
    path: str | None
    type: int | None
    passes: int = 0
    members_before: int | None = None
    members_after: int | None = None
    drained: int | None = None  # 1 yes, 0 no, None unknown
    drain_line: int | None = None
    end_line: int | None = None
    end_ts: int | None = None
    ret: int | None = None
    visits: list[Visit] = msgspec.field(default_factory=list)


class TaskSpan(msgspec.Struct):
    """A task as the log knows it: key is the pid; `comm` is the last one shown, for display only."""

    pid: int
    comm: bytes
    first_line: int
    exit_line: int | None = None


class EventRow(msgspec.Struct):
    """An event that changed a life, a membership or a swapoff (or, with --events all, any event of ours)."""

    at: At
    name: str
    mm: int | None = None
    generation: int | None = None
    entry: int | None = None


class Witness(msgspec.Struct):
    """One line of the evidence. `role` says what it shows (`joined here`), `site` the kernel function it is.

    `place` is where its probe is, and from where that was called, where the log has the addresses and the kernel's symbols are
    given. `state` is the model's state before the line, in words; `should` what the kernel should have done there, if it was
    this step that went wrong. `text` is the untouched original line, filled in when the history ends.
    """

    at: At
    role: str
    site: str
    state: str = ""
    should: str = ""
    text: bytes | None = None
    place: str | None = None


class Violation(msgspec.Struct):
    """An invariant was broken. `id` is unique in the run and follows the order of discovery, from 1."""

    id: int
    code: str
    slug: str
    severity: str  # E, W
    certainty: str  # proven, likely, undecided
    at: At  # the line at which it was seen
    last_line: int
    count: int
    mm: int | None
    generation: int | None
    entry: int | None
    type: int | None
    follows_from: int | None
    signature: str
    message: str
    reason: str  # why this certainty, in words
    witness: list[Witness] = msgspec.field(default_factory=list)


class LossRow(msgspec.Struct):
    """Missing events on one CPU (record.Loss)."""

    line: int
    cpu: int | None
    since_ts: int | None
    until_ts: int | None
    count: int | None
    kind: str


class UnparsedRow(msgspec.Struct):
    """A line that could not be read (record.Unparsed)."""

    line: int
    offset: int
    column: int
    text: bytes
    reason: str
    severity: str


class Reordered(msgspec.Struct):
    """A line whose place in replay order is not its place in the file (all others have seq == line)."""

    line: int
    seq: int


class Checked(msgspec.Struct):
    """What became of one invariant: `status` checked, not checked (with the `reason`), ignored."""

    code: str
    slug: str
    severity: str
    status: str
    reason: str = ""


class LedgerRow(msgspec.Struct):
    """Lines that were read as the same. `kind` is one of ledger.CLASSES; `name` the event's (None: a class without names).

    There is a row for each class; the lines of all rows add up to `Run.lines`.
    """

    kind: str
    name: str | None
    lines: int


SYMBOLS = "symbols"
"""The statistic that says what the kernel's symbols are good for in this log, and how the names of others begin with them."""


class Statistic(msgspec.Struct):
    """One number about the run: name, value, and its unit or meaning in `text`."""

    name: str
    value: int
    text: str = ""


class Run(msgspec.Struct):
    """The run itself, the last fact of a history: what was replayed, as what, and the verdict.

    `ts_unit`: ns, raw or none. `compared`/`differing` count what the log showed (links, heads, counts) against the model.
    """

    log: str
    sha256: str
    size: int
    lines: int
    profile: str
    profile_reason: str
    clock: str
    ts_unit: str
    dialect: str
    options: str
    verdict: str
    reason: str
    events: int
    compared: int
    differing: int
    mmlist_offset: int | None
    mmlist_offset_source: str
    init_mm: int | None
    init_mm_source: str
    release: str | None = None


Fact = (
    Life
    | Membership
    | Holding
    | SwapArea
    | Swapoff
    | TaskSpan
    | EventRow
    | Violation
    | LossRow
    | UnparsedRow
    | Reordered
    | Checked
    | LedgerRow
    | Statistic
    | Run
)
"""What a history is made of; it yields them as they close, `Run` last."""
