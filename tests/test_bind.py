"""Binding: what probes mean by what their task is in the middle of, and what they do not mean."""

from __future__ import annotations

import pytest

from mmlist.replay import events as e
from mmlist.replay.bind import Binder, is_explicit
from mmlist.replay.record import At, Loss, Record

A, B = "mm=0xffff888001000000", "0xffff888001002000"
MM, CHILD = 0xFFFF888001000000, 0xFFFF888001002000
RETURNS = frozenset(
    {
        "swap_duplicate_ret", "try_to_unmap_one_ret", "copy_page_range_ret", "dup_mmap_ret", "unuse_pte_range_ret",
        "get_task_mm_ret", "mm_access_ret", "mm_init_ret", "__mmput_ret", "__mmput", "dup_mmap", "copy_page_range",
        "swap_duplicate",
    }
)  # fmt: skip


class Told:
    """Binds lines `name args`, each a record of task 1 on CPU 0 unless `pid name args` says another."""

    def __init__(self, **how: bool) -> None:
        self.binder = Binder(RETURNS, init_mm=0xFFFFFFFF82B5C940, **how)
        self.line = 0

    def at(self, pid: int) -> At:
        self.line += 1
        return At(self.line, self.line, self.line, 0, pid, b"", self.line)

    def __call__(self, text: str) -> list[e.Event]:
        found: list[e.Event] = []
        for line in filter(None, (part.strip() for part in text.split("\n"))):
            pid, _, rest = line.partition(" ") if line[0].isdigit() else ("1", "", line)
            name, _, args = rest.partition(" ")
            found += self.binder.bind(Record(self.at(int(pid)), name, args.encode()))
        return found


def kinds(events: list[e.Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_swap_duplicate_inside_copy_page_range_is_the_fork_copying_an_entry():
    events = Told()(f"""copy_page_range (copy_page_range+0x0/0x1) dst={B} src=0xffff888001000000
        swap_duplicate (swap_duplicate+0x0/0x1) entry=0x7
        swap_duplicate_ret (copy+0x1/0x2 <- swap_duplicate) ret=0
        copy_page_range_ret (dup_mmap+0x1/0x2 <- copy_page_range) ret=0""")
    assert kinds(events) == ["SwapDuplicate", "JoinDue", "JoinDue", "SwapAssign"]
    assigned = events[-1]
    assert isinstance(assigned, e.SwapAssign)
    assert (assigned.mm, assigned.entry, assigned.why, assigned.observed) == (CHILD, 7, "fork", False)
    assert isinstance(events[1], e.JoinDue) and events[1].after == MM


def test_a_duplicate_that_failed_assigns_nothing():
    events = Told()(f"""try_to_unmap_one (t+0x0/0x1) {A}
        swap_duplicate (s+0x0/0x1) entry=0x7
        swap_duplicate_ret (t+0x1/0x2 <- s) ret=-12
        try_to_unmap_one_ret (r+0x1/0x2 <- t) ret=0""")
    assert events == []


def unmapped(ret: int, inside: str = "") -> list[e.Event]:
    return Told()(f"""try_to_unmap_one (t+0x0/0x1) {A}
        swap_duplicate (s+0x0/0x1) entry=0x7
        swap_duplicate_ret (t+0x1/0x2 <- s) ret=0
        swap_duplicate (s+0x0/0x1) entry=0x8
        swap_duplicate_ret (t+0x1/0x2 <- s) ret=0
        {inside}
        try_to_unmap_one_ret (r+0x1/0x2 <- t) ret={ret}""")


def assigned(events: list[e.Event]) -> list[int]:
    return [event.entry for event in events if isinstance(event, e.SwapAssign)]


def test_pageout_assigns_what_it_duplicated():
    assert assigned(unmapped(1)) == [7, 8]


def test_ret_0_leaves_only_the_last_duplicate_open():
    assert assigned(unmapped(0)) == [7]


def test_a_swap_free_inside_the_bracket_undoes_its_duplicate():
    events = unmapped(1, "swap_free (s+0x0/0x1) entry=0x8")
    assert assigned(events) == [7]
    assert not any(isinstance(event, e.SwapClear) for event in events)


def test_explicit_assignments_are_the_only_ones_where_the_log_has_them():
    told = Told(assigns_explicit=True, clears_explicit=True)
    events = told(f"""try_to_unmap_one (t+0x0/0x1) {A}
        swap_duplicate (s+0x0/0x1) entry=0x7
        swap_duplicate_ret (t+0x1/0x2 <- s) ret=0
        swap_assign (hook+0x0/0x1) {A} entry=0x7 why=1
        try_to_unmap_one_ret (r+0x1/0x2 <- t) ret=1
        swap_free (s+0x0/0x1) entry=0x7""")
    assert [event.observed for event in events if isinstance(event, e.SwapAssign)] == [True]
    assert not any(isinstance(event, e.SwapClear) for event in events)


def test_the_inner_probe_of_a_named_free_is_the_same_step():
    events = Told()("""swap_free (s+0x0/0x1) entry=0x7
        __swap_entry_free_ret (s+0x1/0x2 <- __swap_entry_free) usage=64
        __swap_entry_free_ret (x+0x1/0x2 <- __swap_entry_free) usage=65""")
    usages = [event.entry for event in events if isinstance(event, e.SwapUsage)]
    assert usages == [7, None]
    assert sum(isinstance(event, e.SwapRelease) for event in events) == 1


def test_a_release_inside_unuse_pte_range_is_of_that_mm():
    events = Told()(f"""unuse_pte_range (u+0x0/0x1) {A} type=0
        __swap_entry_free_ret (u+0x1/0x2 <- __swap_entry_free) usage=64""")
    assert [event.mm for event in events if isinstance(event, e.SwapRelease)] == [MM]


def test_another_task_inside_the_bracket_is_another_matter():
    events = Told()(f"""1 try_to_unmap_one (t+0x0/0x1) {A}
        2 swap_duplicate (s+0x0/0x1) entry=0x7
        2 swap_duplicate_ret (x+0x1/0x2 <- s) ret=0
        1 try_to_unmap_one_ret (r+0x1/0x2 <- t) ret=1""")
    assert kinds(events) == ["SwapDuplicate"]


def test_a_loss_closes_every_bracket():
    told = Told()
    told(f"try_to_unmap_one (t+0x0/0x1) {A}")
    told.binder.lost(Loss(told.at(1), 1, 3, None, None, "lost"))
    events = told("""swap_duplicate (s+0x0/0x1) entry=0x7
        swap_duplicate_ret (t+0x1/0x2 <- s) ret=0""")
    assert kinds(events) == ["SwapDuplicate"]
    assert isinstance(events[0], e.SwapDuplicate) and events[0].mm is None


def test_what_hangs_on_null_or_an_error_pointer_is_stale():
    events = Told()("""get_task_mm (g+0x0/0x1) task=0x1 pid=5 mm=0x0
        get_task_mm_ret (x+0x1/0x2 <- g) mm=0x0 users=1401 count=3 next=0x1 prev=0x2
        mm_access (m+0x0/0x1) task=0x1 pid=5 mm=0x0
        mm_access_ret (x+0x1/0x2 <- m) mm=0xfffffffffffffffd users=-1 count=7 next=0x5 prev=0x0""")
    assert kinds(events) == ["GetTaskMm"]
    assert isinstance(events[0], e.GetTaskMm) and (events[0].pid, events[0].mm) == (5, 0)


def test_an_error_of_mm_access_ends_the_get_inside_it():
    events = Told()(f"""mm_access (m+0x0/0x1) task=0x1 pid=5 {A}
        get_task_mm (g+0x0/0x1) task=0x1 pid=5 {A}
        get_task_mm_ret (m+0x1/0x2 <- g) {A}
        mm_access_ret (x+0x1/0x2 <- m) mm=0xfffffffffffffff3""")
    assert kinds(events) == ["GetTaskMm", "Mmget", "Mmput"]
    assert isinstance(events[-1], e.Mmput) and not events[-1].observed


def test_every_field_is_stale_at_mm_inits_entry():
    events = Told()(f"""mm_init (m+0x0/0x1) {A} users=7 count=3 next=0x5 prev=0x5
        mm_init_ret (c+0x1/0x2 <- m) {A} users=1 count=1 next=0xffff888001000098 prev=0xffff888001000098""")
    assert kinds(events) == ["MmInit", "Fetched"]


def test_mm_init_that_failed_frees_what_it_began():
    assert kinds(Told()(f"mm_init (m+0x0/0x1) {A}\nmm_init_ret (c+0x1/0x2 <- m) mm=0x0")) == ["MmInit", "MmFree"]


def test_begin_inside_mmput_is_the_same_final_put():
    events = Told()(f"""__mmput (m+0x0/0x1) {A} users=0
        __mmput_begin (u+0x0/0x1) {A} users=0
        exit_mmap (e+0x0/0x1) {A} users=0
        free_swap_and_cache (f+0x0/0x1) entry=0x7
        __mmput_ret (m+0x1/0x2 <- __mmput) head=0x1 tail=0x1""")
    assert [kind for kind in kinds(events) if kind != "Fetched"] == [
        "FinalPut", "ExitMmap", "SwapFree", "SwapClear", "MmputRet", "FetchedHead",
    ]  # fmt: skip
    cleared = next(event for event in events if isinstance(event, e.SwapClear))
    assert (cleared.mm, cleared.why) == (MM, "exit")


def test_clone_flags_are_hex_without_0x():
    told = Told()
    (shared,) = told("task_newtask pid=9 comm=x clone_flags=3d0f00 oom_score_adj=0")
    (own,) = told("task_newtask pid=9 comm=x clone_flags=1200000 oom_score_adj=0")
    assert isinstance(shared, e.TaskNew) and isinstance(own, e.TaskNew)
    assert (shared.shared, own.shared) == (True, False)


def test_a_place_in_parentheses_makes_it_a_probe():
    def explicit(name: str, args: bytes) -> bool:
        return is_explicit(Record(At(1, 0, 0, 0, 1, b""), name, args))

    assert explicit("mmput", b"mm=0x1000 users=1")
    assert not explicit("mmput", b"(mmput+0x0/0x30) mm=0x1000 users=1")
    assert not explicit("mmput", b"  (ffffffff8109da60) mm=0x1000 users=1")
    assert explicit("mmlist_add", b"(mmlist_hook_add+0x0/0x10) mm=0x1000 after=0x1")
    assert not explicit("__mmdrop", b"mm=0x1000")


def test_init_mm_is_told_by_its_address_and_its_name():
    told = Told()
    for after in ("init_mm", "0xffffffff82b5c940"):
        (joined,) = told(f"mmlist_add {A} after={after}")
        assert isinstance(joined, e.MmlistAdd) and joined.after == 0


def test_unuse_mm_is_a_borrowers_in_2_6_and_swapoffs_in_modern_kernels():
    assert kinds(Told(aio_names=True)(f"unuse_mm {A}")) == ["KthreadUnuseMm"]
    assert kinds(Told(aio_names=False)(f"unuse_mm {A} type=0")) == ["UnuseMm"]


def test_get_task_mm_and_the_mmget_within_it_are_one_get():
    told = Told()
    assert kinds(told(f"mmget {A} users=1\nget_task_mm pid=5 {A}")) == ["Fetched", "Mmget", "GetTaskMm"]
    assert kinds(told(f"get_task_mm pid=5 {A}")) == ["GetTaskMm", "Mmget"]


def test_a_page_of_a_folio_has_an_entry_behind_the_folios_first():
    """mm/swapfile.c of 7.0: folio_dup_swap(folio, subpage) duplicates folio->swap plus the page's index."""

    def entries(*args: str) -> list[int]:
        told = Told()
        told.binder = Binder(frozenset({"folio_dup_swap", "folio_put_swap"}), init_mm=None)
        lines = "\n".join(f"folio_dup_swap (folio_dup_swap+0x0/0x1) entry=0x7 {one}" for one in args)
        lines += "\n" + lines.replace("dup_swap", "put_swap")
        found = told(lines)
        duplicated = [event.entry for event in found if isinstance(event, e.SwapDuplicate)]
        assert duplicated == [event.entry for event in found if isinstance(event, e.SwapFree)]
        return duplicated

    assert entries("", "folio=0xffea0000 subpage=0xffea0000", "folio=0xffea0000 subpage=0xffea00c0") == [7, 7, 10]
    assert entries("folio=0xffea0000 subpage=0x0") == [7]
    assert entries("folio=0xffea0000 subpage=0xffea0001", "folio=0xffea0000 subpage=0xffe90000") == []


DUPLICATE, DUPLICATED = "swap_duplicate (s+0x0/0x1) entry=0x7", "swap_duplicate_ret (t+0x1/0x2 <- s) ret=0"


def entering(pid: int) -> str:
    return f"{pid} try_to_unmap_one (t+0x0/0x1) {A}\n"


def leaving(pid: int) -> str:
    return f"{pid} try_to_unmap_one_ret (r+0x1/0x2 <- t) ret=1\n"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (entering(1) + leaving(1) + leaving(1) + entering(2), 1),
        (entering(1) + leaving(1) + leaving(1), 0),  # the probe may be gone
        (leaving(1) + entering(2), 0),  # it was inside when the log began
        (entering(1) + leaving(1) + leaving(2) + entering(1), 0),  # so was this one
        (entering(1) + leaving(1) + entering(1) + leaving(1) + entering(2), 0),
        (entering(0) + leaving(0) + leaving(0) + entering(2), 0),  # of whichever CPU
        (
            entering(1) + leaving(1) + leaving(1) + "9 task_newtask pid=1 clone_flags=100\n" + leaving(1) + entering(2),
            1,
        ),
        (f"1 {DUPLICATE}\n1 {DUPLICATED}\n1 {DUPLICATED}\n2 {DUPLICATE}", 1),
    ],
)
def test_a_call_that_returns_and_never_began_shows_that_lines_are_missing(text: str, count: int) -> None:
    told = Told()
    told(text)
    assert told.binder.unentered.count(0, 10**9) == count


def test_a_call_that_the_clock_puts_behind_its_return_is_not_missing() -> None:
    for grain, count in ((0, 1), (10, 0)):
        binder = Binder(RETURNS, grain=grain)
        for ts, cpu, line in ((10, 0, entering(1)), (20, 0, leaving(1)), (30, 1, leaving(1)), (35, 0, entering(1))):
            _, name, args = line.strip().split(maxsplit=2)
            binder.bind(Record(At(ts, ts, ts, cpu, 1, b"", ts), name, args.encode()))
        assert binder.unentered.count(0, 10**9) == count


@pytest.mark.parametrize(
    ("pids", "count"),
    [
        ("+10 11 +13", 1),  # 11 was forked between 10 and 13
        ("+10 11 12 +13", 2),
        ("+10 +11 11 +13", 0),
        ("11 +10 11 +13", 0),  # it was there before the first fork
        ("+10 9 +13", 0),  # old
        ("+10 11", 0),  # nothing says so
        ("+10 11 +11 +13", 0),  # its fork stands behind, by the clock
        ("+10 11 80 90 +13", 1),  # those above all may be old: pids may have come round
        ("+10 80 +13 +90", 0),  # 80 was there before 13
        ("+10 12 +11 +13", 1),  # 11 and 12 were forked side by side
    ],
)
def test_a_task_that_appears_and_was_never_forked_shows_that_lines_are_missing(pids: str, count: int) -> None:
    told = Told()
    for pid in pids.split():
        told(f"1 task_newtask pid={pid} clone_flags=100" if pid[0] == "+" else f"{pid} mmput (m+0x0/0x1) {A}")
    assert told.binder.unborn.count(0, 10**9) == count


@pytest.mark.parametrize(
    ("shown", "pages"),
    [
        (208, 208),
        (0xFFFFFFFF, -1),  # as u32
        (0xFFFF_FFFF_FFFF_FFFE, -2),
        (1 << 30, 0),  # closed, or full: SWAP_USAGE_OFFLIST_BIT
        ((1 << 30) + 208, 208),
        ((1 << 30) - 1, -1),
        ((1 << 30) - (1 << 24), (1 << 30) - (1 << 24)),  # nearly 4 TiB
        (1 << 62, 0),  # the same since 7.3
        ((1 << 62) + 208, 208),
        ((1 << 62) - 3, -3),
    ],
)
def test_inuse_pages_is_a_count_that_may_be_below_0_and_a_flag(shown: int, pages: int) -> None:
    fetched = Told()(f"shmem_unuse (s+0x0/0x1) type=0\nswapoff (s+0x0/0x1) inuse0={shown}")
    assert [event.inuse for event in fetched if isinstance(event, e.FetchedInuse)] == [(pages,)]


def test_an_entry_in_the_folio_was_handed_out_if_folio_alloc_swap_returned_0() -> None:
    event = "folio_alloc_swap_ret (a+0x1/0x2 <- folio_alloc_swap) entry=0x7"
    assert kinds(Told()(f"{event}\n{event} ret=0\n{event} ret=-12")) == ["SwapAlloc", "SwapAlloc"]


@pytest.mark.parametrize(("grain", "mm"), [(10, CHILD), (-1, MM)])
def test_a_return_that_the_clock_puts_behind_the_next_entry_on_another_cpu_is_of_the_call_before(
    grain: int, mm: int
) -> None:
    binder = Binder(RETURNS, grain=grain)
    events = []
    for line, (ts, cpu, text) in enumerate(
        [
            (10, 3, f"try_to_unmap_one (t+0x0/0x1) {A}"),
            (30, 0, f"try_to_unmap_one (t+0x0/0x1) mm={B}"),
            (35, 3, "try_to_unmap_one_ret (r+0x1/0x2 <- t) ret=1"),
            (50, 0, DUPLICATE),
            (60, 0, DUPLICATED),
            (70, 0, "try_to_unmap_one_ret (r+0x1/0x2 <- t) ret=1"),
        ],
        1,
    ):
        name, _, args = text.partition(" ")
        events += binder.bind(Record(At(line, line, ts, cpu, 1, b"", line), name, args.encode()))
    assert [event.mm for event in events if isinstance(event, e.SwapAssign)] == [mm]
