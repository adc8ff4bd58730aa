"""What a step of the model answers with: what changed, as data, with what was known before it. Invariants read these.

One closed vocabulary, as replay/events.py is on the other side of the model, so one file however long: data, no code.
"""

from __future__ import annotations

import msgspec

from mmlist.replay.model.mm import Hold, Mm
from mmlist.replay.model.swap import Entry, SwapoffCall
from mmlist.replay.record import At


class Change(msgspec.Struct):
    """Base of all changes; `at` is the line of the event that made it."""

    at: At


class Born(Change):
    """A generation began."""

    mm: Mm


class Got(Change):
    """One user more. `before` is mm_users before it, None unknown; `zero` where it had reached 0; `how` mmget, visit, fetched."""

    mm: Mm
    before: int | None
    zero: At | None
    how: str


class Put(Change):
    """One user less. `before` as Got; `fetched` tells whether it was read from memory, else it was counted."""

    mm: Mm
    before: int | None
    fetched: bool


class Dropped(Change):
    """One reference to the struct less. `before` is mm_count before it; `shown` by the line itself, else it was counted."""

    mm: Mm
    before: int | None
    shown: bool


class CountSeen(Change):
    """The probe `name`, where somebody surely holds `mm`, fetched an mm_count that nobody can hold."""

    mm: Mm
    count: int
    name: str


class Zero(Change):
    """mm_users reached 0 (`how`: counted, __mmput, exit_mmap, fetched). `again`: where it had done so before."""

    mm: Mm
    how: str
    again: At | None


class ExitBegan(Change):
    """exit_mmap began. `again`: where it had begun before. `listed`: the state of its membership."""

    mm: Mm
    again: At | None
    listed: str


class Freed(Change):
    """The struct was freed. `users` is mm_users then, None unknown; `listed`, `linked` what was known and fetched of its node."""

    mm: Mm
    users: int | None
    fetched: bool
    listed: str
    linked: bool
    implied: bool


class Kept(Change):
    """The struct was freed at `at`, and a task that `since` showed with the mm has made no put of it.

    `sure`: it has not left it by an exec, as far as execs were still events.
    """

    mm: Mm
    pid: int
    since: At
    sure: bool = True


class Joined(Change):
    """A join. `before` is what `listed` was, `since` when; `parent` the mm it was linked after (None: init_mm, or unknown).

    `parent_listed` is what the parent's `listed` was. `doubtful`: it may have been self-linked, though it had been
    linked before (mm.py).
    """

    mm: Mm
    site: str
    before: str
    since: At | None
    parent: Mm | None
    parent_listed: str
    observed: bool
    removed: bool  # its last mmput had taken it off
    doubtful: bool = False


class NrShown(Change):
    """mmlist_nr was shown to be `shown`; counting from where it was shown before (`since`), it is `counted`."""

    mm: Mm
    shown: int
    counted: int
    since: At | None


class Missing(Change):
    """2.6.9: a live mm is not on mmlist, and has not been since `since`. `how` says what made it live: fork, exec."""

    mm: Mm
    since: At | None
    how: str


class Misplaced(Change):
    """A join of `site` (fork, pageout, exec) at `joined` is not where it belongs: after `due`, and is after `after`.

    Both None: init_mm. `at` is the line that shows it, `seen` the probe, or empty where the join itself says so.
    """

    mm: Mm
    site: str
    joined: At
    due: Mm | None
    after: Mm | None
    seen: str


class JoinedEarly(Change):
    """`mm` joined before its task had duplicated an entry for it; `since`: off the list from there."""

    mm: Mm
    since: At | None


class Left(Change):
    """A removal. `before` is what `listed` was, `why` mmput, drain, freed or unknown, `seen` the probe that showed it."""

    mm: Mm
    why: str
    before: str
    since: At | None
    observed: bool
    seen: str
    poisoned: bool
    before_why: str  # why it had left before, if it was off
    swapoff_running: bool


class Assigned(Change):
    """A pte of the mm now holds `entry`, and the task that set it made no duplicate of its own."""

    mm: Mm
    entry: int
    why: str


class Unlisted(Change):
    """An mm that certainly holds `entry` of an area in use is certainly not on mmlist. `why`: assigned, drained, seen, apart."""

    mm: Mm
    entry: int
    hold: Hold
    why: str
    evidence: At
    inferred: bool


class Counted(Change):
    """The count of `entry` was 0 at `what` (duplicate, free), or below (usage: what a free left in swap_map)."""

    entry: int | None
    what: str
    usage: int | None
    state: Entry | None
    mm: Mm | None
    then: At | None = None  # the line that the count before is of
    since: At | None = None  # the line from which on it was counted


class Drained(Change):
    """swapoff drained mmlist while `busy` (type, inuse_pages, line) was last observed; `members` were taken off by it."""

    call: SwapoffCall | None
    busy: tuple[int, int, At] | None
    contradicted: At | None  # the line that said an area is in use, nothing is drained
    members: int
    observed: bool
    kept: bool = True  # what was in use is known to have been so at the drain itself
    until: At | None = None  # swapoff's return, where only that tells


class DrainMisplaced(Change):
    """A drain where none belongs. `why`: outside (a swapoff), failed, early (the walk goes on), unlocked, poisoned.

    `evidence` is the line that shows it to be so: the task outside of a swapoff, the failure, the walk going on, the
    swapoff's begin (unlocked), the removal (poisoned). `mm` is the member that showed it, where it was one.
    """

    why: str
    call: SwapoffCall | None
    evidence: At | None
    members: int
    mm: Mm | None
    decided: bool = True  # by drain_mmlist itself; else a removal says so


class AreaLost(Change):
    """The area at `path` is not in use, says `how` (swapoff, swapon), though all that ended it is a swapoff that `failed`.

    `named`: both calls say the area's type themselves; else only the path ties them together. `doubtful`: a swapoff by another
    path may have given it up.
    """

    call: SwapoffCall
    failed: At
    path: str
    how: str
    named: bool
    doubtful: bool


class WalkedDead(Change):
    """swapoff took hold of (`how`: visit), or walks (walk), an mm that had no users: since `zero`, None where `users` says it."""

    mm: Mm
    how: str
    zero: At | None
    users: int | None


class Holder(msgspec.Struct):
    """Who holds `entries` entries of an area: `unlisted` if alive and off mmlist; `listed`, `dying` as of then."""

    mm: Mm
    entries: int
    certain: bool
    unlisted: bool
    listed: str
    dying: bool


class NoProgress(Change):
    """`passes` of a swapoff's walk from `idle` to `until` without fewer entries; `left` hold what is left, `pages` of it.

    `resumed`: where it went on; `ended`: where it returned, `killed` by a signal.
    """

    call: SwapoffCall
    idle: At
    until: At
    passes: int
    left: list[Holder]
    pages: int | None
    resumed: At | None = None
    ended: At | None = None
    killed: bool = False


class PassedOver(Change):
    """A pass of swapoff, from `began` on, did not meet `mm` nor others (`missed` in all) that were on mmlist all the time.

    `holds`: `mm` certainly holds an entry of the area. `users`: it was met and skipped, with that many. `alive`: the line
    that shows it linked, with users, after the pass.
    """

    call: SwapoffCall
    mm: Mm
    began: At
    missed: int
    holds: bool
    users: int | None = None
    alive: At | None = None


class EndedEarly(Change):
    """A round of swapoff's walk for one entry (before 5.1) ended, though no entry of the area was let go since it `began`.

    `mm` and others (`missed` in all) were on mmlist all the time, and it did not meet them.
    """

    call: SwapoffCall
    mm: Mm
    began: At
    ended: At
    missed: int


class LeftBehind(Change):
    """swapoff has walked `mm` several times, first `visited` then, and `entry`, which it held before, was never brought back."""

    call: SwapoffCall
    mm: Mm
    visited: At
    entry: int
    hold: Hold


class HalfForkWalked(Change):
    """swapoff walks `mm`, whose dup_mmap `failed` and whose exit_mmap is to come.

    `visited`: no more is seen than that it took hold of it.
    """

    mm: Mm
    failed: At
    visited: bool


class SwapoffEnded(Change):
    """swapoff returned. `left` are members that stayed though all observed inuse is 0; `held` entries of its area still held."""

    call: SwapoffCall
    ret: int | None
    survivors: list[Mm]
    held: list[tuple[Mm, int, Hold]]


class LeftCounted(Change):
    """The swapoff `call` returned 0, and the area's `entry`, known since it was `allocated`, is counted, last at line `then`."""

    call: SwapoffCall
    entry: int
    count: int
    then: At
    allocated: At | None


class Named(Change):
    """An entry of an area that was swapped off, and not on again, was named by `what`."""

    entry: int
    type: int
    closed: At
    what: str
    mm: Mm | None
    told: At | None  # as Area.told


class Leaked(Change):
    """`mm` has users long after its last task has gone, at `gone`; `ended`: until here.

    `gets` are the last without a put by the same task, `put` is the last put of all. `short`: the log ends before it is long.
    `failed`: no task ever had it, at `gone` its fork failed.
    """

    mm: Mm
    gone: At
    gets: list[At]
    put: At | None
    ended: bool
    short: bool = False
    failed: bool = False


class MmHandedOut(Change):
    """get_task_mm on task `pid` returned `mm`, though the task is a borrower since `borrowed`."""

    pid: int
    mm: Mm
    borrowed: At
    how: str


class Broken(Change):
    """A node looks as no list through init_mm makes it; `look` says how.

    half: one link is at itself and one not. ring: both are at `other`; apart: the same, and one was forked from the other;
    empty: `mm` was linked after `other`, and init_mm's own links show that nobody is on mmlist.
    freed: at an mm that was freed at `first`. inherited: not initialised at birth. poisoned: of a live mm; deleted:
    poisoned by the last mmput, and never on the list. unlinked, linked: self-linked, or not, against all joins and removals
    since `since`. `next`, `prev` are the links, `seen` the probe. `sure`: no change under way may have made it look so.
    """

    mm: Mm
    look: str
    next: int
    prev: int | None
    seen: str
    other: Mm | None
    first: At | None
    since: At | None
    sure: bool


class Borrowed(Change):
    """A kernel thread has borrowed `mm` (kthread_use_mm; use_mm)."""

    mm: Mm


class FlagMismatch(Change):
    """PF_BORROWED_MM of task `pid` was not as it should be since it has borrowed `mm` (`borrows`), or given it back, at `since`.

    `flags`: the line that told its flags last.
    """

    pid: int
    mm: Mm
    borrows: bool
    since: At
    flags: At


class Unlocked(Change):
    """A join, removal or drain (`what`) by a task that does not hold mmlist_lock.

    `known`: a release of it, which shows that nobody else's hold was missed. `seen`: where the node was seen as it was
    before, if the change itself is not an event. `after`: the task's own release of it, if that is, or may be, right before.
    """

    mm: Mm
    what: str
    key: int
    known: At | None
    seen: At | None
    after: At | None


class LockNested(Change):
    """The lock `inner` is taken inside `outer`, held since `held`, where it must not be; `same`: it is that very lock."""

    outer: str
    held: At
    inner: str
    same: bool


class SleptUnder(Change):
    """`what` (mmput, unuse_mm, unuse_pte), which may sleep, by a task that holds mmlist_lock since `held`."""

    mm: Mm
    what: str
    held: At


class Reused(Change):
    """A slot was handed out that `mm` holds by `hold` (None: nobody known), or that has a `count`, as known since `since`."""

    entry: int
    mm: Mm | None
    hold: Hold | None
    count: int
    since: At
    state: Entry


class Unbalanced(Change):
    """A task has left the page tables, and its `step` on `entry` is half a step: the count was not changed with a pte.

    `how`: cleared (a pte of `mm` let go, the count was not lowered), unfreed (the same, where probes alone show frees), freed
    (lowered to `count`, and `holders` ptes hold it), twice (the same, where probes alone show frees: lowered again, after
    the only pte of `mm` let go), duplicated (raised, and no pte got it), or orphaned (`count` was left, and with `mm` the
    last has gone who could hold one).
    """

    entry: int
    mm: Mm | None
    how: str
    step: At
    count: int
    holders: int
    reused: bool
    cut: bool  # the CPU of `step` has no later line: what it did then may be lost without a sign
    since: At  # where the task was outside the page tables before


class Saturated(Change):
    """The count of `entry` is SWAP_MAP_MAX: counted since it was `allocated`, or `fetched`."""

    entry: int
    allocated: At | None
    fetched: bool


class InuseBelow(Change):
    """inuse_pages of an area was `pages`, by probe `seen`: negative, or below the `known` slots in use.

    `example`: one of them, who holds it, and the line that shows it. `reused`: one of them had been handed out while held.
    """

    type: int
    pages: int
    known: int
    example: tuple[int, Mm | None, At | None] | None
    seen: str
    reused: bool = False


class HeldAtFree(Change):
    """The mm was freed while its ptes held `entries` entries, of which `entry`. `exited`: where its exit_mmap returned."""

    mm: Mm
    entry: int
    hold: Hold
    entries: int
    exited: At | None


class AllocatedClosed(Change):
    """A task was handed a slot of the area that `call` had closed, after a step `before`, at `site`, since the `walk`.

    The walk went on `until`. `type`: as the area was known then.
    """

    call: SwapoffCall
    type: int
    entry: int
    walk: At
    before: At
    site: str
    until: At


class Saw(Change):
    """The list, or the loss of events, told something: for the record of events that matter."""

    what: str
