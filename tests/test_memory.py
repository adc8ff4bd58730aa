"""What is over leaves memory: a log of any length is replayed in the same room."""

from pathlib import Path

from recorded import LOGS

from mmlist.replay import facts as f
from mmlist.replay.history import History
from mmlist.replay.log import Log
from mmlist.replay.options import Options

TASKS = 3000
MM = 0xFFFF888001000000


def _life(task: int) -> str:
    """One task that forks, is paged out, faults its page back in, and exits; each with a pid and a slot of its own."""
    pid, entry, mm = 1000 + task, task + 1, f"mm={MM + task % 8 * 0x1000:#x}"
    steps = (
        f"sh-10 [000] .....  {task}.000010: task_newtask: pid={pid} comm=p clone_flags=1200000 oom_score_adj=0",
        f"p-{pid} [000] .....  {task}.000020: mm_init: (mm_init+0x0/0x260) {mm}",
        f"p-{pid} [000] .....  {task}.000030: swap_duplicate: (swap_duplicate+0x0/0x40) entry={entry:#x}",
        f"p-{pid} [000] .....  {task}.000040: swap_assign: (mmlist_hook_pte_set+0x0/0x10) {mm} entry={entry:#x} why=1",
        f"p-{pid} [000] .....  {task}.000050: swap_clear: (mmlist_hook_pte_clear+0x0/0x10) {mm} entry={entry:#x} why=2",
        f"p-{pid} [000] .....  {task}.000060: swap_free: (swap_free+0x0/0x30) entry={entry:#x}",
        f"p-{pid} [000] .....  {task}.000070: exit_mmap: (exit_mmap+0x0/0x300) {mm}",
        f"p-{pid} [000] .....  {task}.000080: sched_process_exit: comm=p pid={pid} prio=120",
        f"rcu-15 [000] .....  {task}.000090: __mmdrop: (__mmdrop+0x0/0x1a0) {mm}",
    )
    return "\n".join(steps) + "\n"


def _most(thing: object, seen: set[int]) -> int:
    """The size of the largest collection that hangs on `thing`, of those that grow with what they hold."""
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    sizes = [len(thing)] if isinstance(thing, dict | set | list) else [0]
    names = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    for name in {*names, *getattr(thing, "__dict__", ())}:
        part = getattr(thing, name, None)
        if type(part).__module__.startswith("mmlist.") or isinstance(part, dict | set | list):
            sizes.append(_most(part, seen))
    return max(sizes)


def test_lives_that_are_over_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "long.trace"
    path.write_text("# tracer: nop\n#\n" + "".join(map(_life, range(TASKS))))
    history = History(Log.open(str(path)), Options())
    history.state.most_at_rest = 100
    largest = 0
    spans = []
    for fact in history.facts():
        if isinstance(fact, f.TaskSpan):
            spans.append(fact)
        if isinstance(fact, f.Life) and history.seq < 9 * TASKS - 9:
            seen: set[int] = set()
            parts = (history.tasks, history.state, history.binder, history.judge)
            largest = max(largest, *(_most(part, seen) for part in parts))
    assert largest < TASKS / 2, largest
    assert sorted(span.pid for span in spans) == [10, 15, *range(1000, 1000 + TASKS)]
    assert all(span.exit_line is not None for span in spans if span.pid >= 1000)


def test_a_line_that_names_thousands_of_slots_leaves_no_more_than_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "wide.trace"
    wide = "p-{pid} [000] .....  {i}.000010: swap_duplicate: (swap_duplicate+0x0/0x40) entry={entry:#x} nr=8192\n"
    path.write_text("# tracer: nop\n#\n" + "".join(wide.format(pid=100 + i, i=i, entry=8192 * i) for i in range(140)))
    history = History(Log.open(str(path)), Options())
    history.state.most_entries = 20_000
    facts = list(history.facts())
    assert not [one for one in facts if isinstance(one, f.Violation)]
    assert len(history.state.entries) <= 20_000 + 8192
    assert sum(map(len, history.state.pending_duplicates.values())) <= 128 * 8192
    assert history.state.loss_seq, "128 tasks with thousands of duplicates each: more is not kept in mind"
    assert isinstance(facts[-1], f.Run) and facts[-1].verdict == "unknown" and "forgotten" in facts[-1].reason


def test_what_leaves_memory_accuses_nobody() -> None:
    for path in LOGS:
        told = [_told(str(path), most) for most in (1 << 18, 2)]
        assert told[1] <= told[0], path


def _told(path: str, most_entries: int) -> set[tuple[str, int, str]]:
    history = History(Log.open(path), Options())
    history.state.most_entries = most_entries
    return {(one.code, one.at.line, one.certainty) for one in history.facts() if isinstance(one, f.Violation)}
