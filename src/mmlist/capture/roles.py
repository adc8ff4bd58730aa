"""The probes that mmlist can read, by what they are for: data.

A role has slots, a slot alternatives, the best first: the first of which a kernel has all functions is taken. Names of events
and their fields: docs/events.md. What the functions do, and which kernels have which: kernel/fork.c, mm/memory.c, mm/rmap.c,
mm/swapfile.c, fs/exec.c of 5.10 to 7.1.
"""

from __future__ import annotations

import msgspec


class Probe(msgspec.Struct, frozen=True):
    """One probe: `event` on entry to `function`, or on its return. `fetches` as in fetch.py; where the first cannot be
    fetched, the probe is of no use.

    `filter`: of the event. `inlined`: on the one copy of `function` in another. `value`: the type that it has to return.
    """

    event: str
    function: str
    fetches: str = ""
    returns: bool = False
    filter: str = ""
    inlined: bool = False
    value: str = ""


Alternative = tuple[Probe, ...]


class Slot(msgspec.Struct, frozen=True):
    """One thing to be known, and the ways to it, the best first."""

    what: str
    alternatives: tuple[Alternative, ...]


class Role(msgspec.Struct, frozen=True):
    """What some probes are for. `tracepoints`: events of the kernel's own that go with them, `system/name`."""

    name: str
    what: str
    slots: tuple[Slot, ...]
    tracepoints: tuple[str, ...] = ()


def _mm(at: str) -> str:
    """What is fetched of the mm that the place `at` points to."""
    return (
        f" users={at}->mm_struct.mm_users:s32 count={at}->mm_struct.mm_count:s32"
        f" next={at}->mm_struct.mmlist.next prev={at}->mm_struct.mmlist.prev"
    )


_VMA = "->vm_area_struct.vm_mm"
_HEAD = " head=@init_mm->mm_struct.mmlist.next tail=@init_mm->mm_struct.mmlist.prev"
_INUSE = "".join(f" inuse{area}=@swap_info[{area}]->swap_info_struct.inuse_pages:u" for area in range(4))
_PAGES = " flags=$1->folio.flags pages=$1->folio._nr_pages:u32"
_TASK = "task=$1 pid=$1->task_struct.pid:s32"
_TASK_MM = " mm=$1->task_struct.mm"


def _on(function: str, fetches: str = "", *, event: str = "", filter: str = "") -> Probe:
    return Probe(event or function, function, fetches, filter=filter)


def _after(function: str, fetches: str = "", *, event: str = "", value: str = "") -> Probe:
    return Probe(event or f"{function}_ret", function, fetches, returns=True, value=value)


def _on_mm(function: str, event: str = "") -> Slot:
    return Slot(f"{function}(mm)", ((_on(function, "mm=$1" + _mm("$1"), event=event),),))


def _one(what: str, *probes: Probe) -> Slot:
    return Slot(what, (probes,))


def _call(name: str, more: str, flags: bool = False) -> Slot:
    """A system call of swap, by the entry that takes the registers, else by the function that takes the arguments."""
    mode = {"x86_64": " flags=$1->pt_regs.si:x32", "arm64": ""}

    def pair(function: str, path: str, rest: str) -> Alternative:
        return (
            _on(function, path + rest + more, event=name),
            _after(function, "ret=$ret:s64" + more, event=f"{name}_ret"),
        )

    return Slot(
        f"{name}(path) and what it returns",
        (
            pair(f"__x64_sys_{name}", "path=$1->pt_regs.di->*:ustring", mode["x86_64"] if flags else ""),
            pair(f"__arm64_sys_{name}", "path=$1->pt_regs.regs->*:ustring", ""),
            pair(f"__do_sys_{name}", "path=$1->*:ustring", ""),
        ),
    )


ROLES: tuple[Role, ...] = (
    Role(
        "birth",
        "an mm is made, a task takes it or lets go of it",
        (
            _one(
                "mm_init(mm, task) and the mm that it returns",
                _on("mm_init", "mm=$1 task=$2"),  # what mm has in it is stale there
                _after("mm_init", "mm=$ret" + _mm("$ret")),
            ),
            Slot(
                "exec_mmap(mm)",
                (
                    (_on("exec_mmap", "mm=$1" + _mm("$1")),),
                    (Probe("exec_mmap", "exec_mmap", "mm=$1/mm" + _mm("$1/mm"), inlined=True),),
                ),
            ),
            _one("exec_mm_release(task, mm)", _on("exec_mm_release", _TASK + " mm=$2" + _mm("$2"))),
            _one("exit_mm_release(task, mm)", _on("exit_mm_release", _TASK + " mm=$2" + _mm("$2"))),
        ),
        ("task/task_newtask", "sched/sched_process_exit", "sched/sched_process_free"),
    ),
    Role(
        "fork",
        "an address space is copied",
        (
            Slot(
                "dup_mmap(mm, oldmm) and what it returns",
                (
                    (
                        _on(
                            "dup_mmap",
                            "mm=$1 oldmm=$2" + _mm("$1")
                            + " onext=$2->mm_struct.mmlist.next oprev=$2->mm_struct.mmlist.prev",
                        ),
                        _after("dup_mmap", "ret=$ret:s32"),
                    ),
                    (_on("dup_mm", "oldmm=$2/oldmm"), _after("dup_mm", "mm=$ret" + _mm("$ret"))),
                ),
            ),
            _one(
                "copy_page_range(dst_vma, src_vma) and its return",
                _on(
                    "copy_page_range",
                    f"dst=$1{_VMA} src=$2{_VMA} start=$2->vm_area_struct.vm_start end=$2->vm_area_struct.vm_end"
                    + _mm("$1" + _VMA),
                ),
                _after("copy_page_range", "ret=$ret:s32"),
            ),
            _one(
                "the task that copy_process returns",
                _after(
                    "copy_process",
                    "task=$ret pid=$ret->task_struct.pid:s32 mm=$ret->task_struct.mm" + _mm("$ret->task_struct.mm"),
                ),
            ),
        ),
    ),
    Role(
        "join",
        "an mm gets a swap entry, before which it has to be on mmlist",
        (
            _one(
                "try_to_unmap_one(folio, vma) and what it returns",
                _on(
                    "try_to_unmap_one",
                    f"mm=$2/vma{_VMA} folio=$1 addr=$3" + _mm("$2/vma" + _VMA),
                ),
                _after("try_to_unmap_one", "ret=$ret:u8"),
            ),
            Slot(
                "swap_duplicate(entry) and what it returns; since 7.0 folio_dup_swap and swap_dup_entry_direct",
                (
                    (_on("swap_duplicate", "entry=$1 nr=$2/nr:u32"), _after("swap_duplicate", "ret=$ret:s32")),
                    (
                        _on("swap_duplicate_nr", "entry=$1 nr=$2:u32", event="swap_duplicate"),
                        _after("swap_duplicate_nr", "ret=$ret:s32", event="swap_duplicate_ret"),
                    ),
                    (
                        _on("folio_dup_swap", "entry=$1->folio.swap folio=$1 subpage=$2" + _PAGES),
                        _on("swap_dup_entry_direct", "entry=$1"),
                    ),
                ),
            ),
            _one(
                "mm_trace_rss_stat(mm, member): MM_SWAPENTS changes, right behind a join",
                _on("mm_trace_rss_stat", "mm=$1 member=$2:s32" + _mm("$1"), filter="member==2"),
            ),
        ),
    ),
    Role(
        "leave",
        "the last user has gone: the mm is taken apart, taken off mmlist, and freed",
        (
            Slot(  # uprobe_clear_state is another file's, so it is called and not inlined; mmput has a copy of __mmput in it
                "__mmput(mm), by the first that it calls",
                (
                    (_on("uprobe_clear_state", "mm=$1" + _mm("$1"), event="__mmput_begin"),),
                    (_on("__mmput", "mm=$1" + _mm("$1")),),
                ),
            ),
            _one("exit_mmap(mm) and its return", _on("exit_mmap", "mm=$1" + _mm("$1")), _after("exit_mmap")),
            Slot(
                "the end of __mmput, by the first that it calls behind list_del",
                (
                    (_on("lru_gen_del_mm", "mm=$1" + _mm("$1") + _HEAD, event="__mmput_end"),),
                    (_after("__mmput", _HEAD.strip()),),
                ),
            ),
            _on_mm("__mmdrop"),
        ),
    ),
    Role(
        "users",
        "who takes and puts mm_users",
        (
            _on_mm("mmput"),
            _on_mm("mmput_async"),
            _one(
                "get_task_mm(task) and the mm that it returns",
                _on("get_task_mm", _TASK + _TASK_MM + " comm=$1->task_struct.comm:string"),
                _after("get_task_mm", "mm=$ret" + _mm("$ret")),
            ),
            _one(
                "mm_access(task) and the mm that it returns",
                _on("mm_access", _TASK + _TASK_MM),
                _after("mm_access", "mm=$ret" + _mm("$ret")),
            ),
            _on_mm("kthread_use_mm"),
            _on_mm("kthread_unuse_mm"),
            _on_mm("__oom_reap_task_mm", "oom_reap_mm"),
            _on_mm("__ksm_enter", "ksm_enter"),
        ),
    ),
    Role(
        "entry",
        "swap entries are handed out and given back",
        (
            Slot(
                "a fault or pageout gives an entry back",
                (
                    (_on("swap_free_nr", "entry=$1 nr=$2:u32"),),
                    (_on("swap_free", "entry=$1"),),
                    (_on("folio_put_swap", "entry=$1->folio.swap folio=$1 subpage=$2" + _PAGES),),
                ),
            ),
            Slot(
                "a zap gives an entry back",
                (
                    (_on("free_swap_and_cache_nr", "entry=$1 nr=$2:u32"),),
                    (_on("free_swap_and_cache", "entry=$1"),),
                    (_on("swap_put_entries_direct", "entry=$1 nr=$2:u32"),),
                ),
            ),
            _one("what __swap_entry_free leaves in swap_map", _after("__swap_entry_free", "usage=$ret:u8")),
            Slot(
                "the entry that is handed out",
                (
                    (_after("folio_alloc_swap", "entry=$ret", value="swp_entry_t"),),
                    (_after("get_swap_page", "entry=$ret", value="swp_entry_t"),),
                    # since 6.18; at a return, arguments are to be had since 6.9 (Documentation/trace/kprobetrace.rst)
                    (_after("folio_alloc_swap", "entry=$1->folio.swap ret=$ret:s32" + _PAGES, value="int"),),
                ),
            ),
            _one("put_swap_folio(folio, entry)", _on("put_swap_folio", "entry=$2/entry folio=$1")),
            _one("swap_shmem_alloc(entry)", _on("swap_shmem_alloc", "entry=$1")),
        ),
    ),
    Role(
        "swapoff",
        "areas come and go",
        (
            _call("swapon", _HEAD, flags=True),
            _call("swapoff", _HEAD + _INUSE),
            _one(
                "try_to_unuse(type) and what it returns",
                _on("try_to_unuse", "type=$1/type:u32" + _HEAD + _INUSE),
                _after("try_to_unuse", "ret=$ret:s32" + _HEAD + _INUSE),
            ),
        ),
    ),
    Role(
        "drain",
        "mmlist is emptied behind the last swapoff",
        (
            Slot(
                "drain_mmlist and its return",
                (
                    (_on("drain_mmlist", (_HEAD + _INUSE).strip()), _after("drain_mmlist", _HEAD.strip())),
                    (Probe("drain_mmlist", "drain_mmlist", (_HEAD + _INUSE).strip(), inlined=True),),
                ),
            ),
        ),
    ),
    Role(
        "walk",
        "swapoff goes along mmlist",
        (
            _one("shmem_unuse(type): a pass begins", _on("shmem_unuse", "type=$1:u32")),
            Slot(
                "unuse_mm(mm, type) and what it returns",
                ((_on("unuse_mm", "mm=$1" + _mm("$1") + " type=$2:u32"), _after("unuse_mm", "ret=$ret:s32")),),
            ),
            _one(
                "unuse_pte_range(vma) and what it returns",
                _on("unuse_pte_range", f"mm=$1/vma{_VMA} vma=$1/vma addr=$3/addr type=$5/type:u32" + _mm("$1/vma" + _VMA)),
                _after("unuse_pte_range", "ret=$ret:s32"),
            ),
        ),
    ),
)  # fmt: skip
"""All roles."""
