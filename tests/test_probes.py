"""`mmlist probes`: what a kernel allows is written as that kernel takes it; what it does not is named, with what it costs.

The definitions of the three Debian kernels were accepted by these (error_log empty), and are recorded here.
`ACCEPT=1 make test ARGS="-n 0 -k probes"` writes them anew, to be looked through as a diff.
One file, over 400 lines: each test changes a stored kernel in one way, by the same few helpers, and looks at what is written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import kernel_files
import pytest
from click.testing import CliRunner
from kernel_files import DATA

from mmlist.capture.choose import Plan, choose
from mmlist.capture.fetch import parsed
from mmlist.capture.header import header
from mmlist.capture.roles import ROLES
from mmlist.capture.script import script
from mmlist.capture.syntax import kprobe, lines
from mmlist.cli import cli
from mmlist.kernel import btf as b
from mmlist.kernel.describe import Kernel, describe
from mmlist.kernel.dwarf import Inlined
from mmlist.kernel.functions import INLINED, SOURCES, Status
from mmlist.replay import parts
from mmlist.replay.bind.reads import fields_of
from mmlist.replay.skim import capture_header

RELEASES = {"debian-6.1": "6.1.0-56-amd64", "debian-6.12": "6.12.117+deb12-amd64", "debian-7.3": "7.3.4+deb13-amd64"}
RECORDED = [
    ("debian-6.1", "kprobe"),
    *(("debian-6.12", one) for one in ("kprobe", "fprobe", "bpftrace", "trace-cmd", "perf")),
    *(("debian-7.3", one) for one in ("kprobe", "fprobe", "bpftrace")),
]


def run(*args: str):
    return CliRunner().invoke(cli, ["probes", *args])


def given(kernel: str) -> list[str]:
    return [str(DATA / f"{kernel}.btf"), "--kallsyms", str(DATA / f"{kernel}.map"), "--release", RELEASES[kernel]]


def kernel_of(name: str = "debian-6.12", *, lines: str = "", without: str = "", **other: str) -> Kernel:
    """A stored kernel, with symbols more and less, in `folder`."""
    folder = Path(other.pop("folder"))
    text = re.sub(rf"(?m)^.* ({without or '-'})\n", "", (DATA / f"{name}.map").read_text()) + lines
    (folder / "System.map").write_text(text)
    return describe(str(DATA / f"{name}.btf"), system_map=str(folder / "System.map"), release=RELEASES[name], **other)


def definition(plan: Plan, event: str, syntax: str = "kprobe") -> str:
    return next(line for line in lines(plan, syntax) if f":mmlist/{event} " in line + " ")


@pytest.mark.parametrize(("kernel", "syntax"), RECORDED)
def test_probes_are_what_was_recorded(kernel: str, syntax: str) -> None:
    result = run(*given(kernel), "--syntax", syntax)
    assert result.exit_code == 0, result.stderr
    text = result.stdout.replace(str(DATA) + "/", "")
    path = DATA / f"{kernel}.{syntax}.probes"
    if os.environ.get("ACCEPT"):
        path.write_text(text)
    assert text == path.read_text()


def test_probes_are_those_of_the_captures_of_that_kernel() -> None:
    """Written by hand for 6.1.192, and accepted by it: the definitions of the logs in fixtures/captures."""
    found = run(*given("debian-6.1")).stdout.splitlines()
    for line in (
        "p:mmlist/mmput mmput mm=$arg1:x64 users=+84($arg1):s32 count=+88($arg1):s32 next=+152($arg1):x64 prev=+160($arg1):x64",
        "p:mmlist/shmem_unuse shmem_unuse type=$arg1:u32",
        "p:mmlist/get_task_mm get_task_mm task=$arg1:x64 pid=+2416($arg1):s32 mm=+2272($arg1):x64 comm=+2976($arg1):string",
        "p:mmlist/swapon __x64_sys_swapon path=+0(+112($arg1)):ustring flags=+104($arg1):x32 head=@init_mm+152:x64"
        " tail=@init_mm+160:x64",
    ):
        assert line in found


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_replay_reads_what_is_fetched(role) -> None:
    for probe in (one for slot in role.slots for alternative in slot.alternatives for one in alternative):
        assert probe.function in SOURCES, probe
        read = set(fields_of(probe.event, explicit=False))
        fetched = {fetch.name for fetch in parsed(probe.fetches)}
        known = {
            "task",
            "folio",
            "addr",
            "vma",
            "start",
            "end",
            "flags",
            "comm",
            "member",
            "subpage",
            "mm",
            "pid",
            "path",
        }
        assert fetched <= read | known | {f"inuse{area}" for area in range(4)}, probe
        assert read or probe.event in {"exit_mmap_ret"}, probe


# --- alternatives ----------------------------------------------------------------------------------------------------


def test_alternatives_are_chosen_by_what_is_there(tmp_path: Path) -> None:
    plan = choose(kernel_of(folder=tmp_path, without="uprobe_clear_state|lru_gen_del_mm"))
    events = [chosen.event for chosen in plan.probes]
    assert "__mmput" in events and "__mmput_ret" in events
    assert "__mmput_begin" not in events and "__mmput_end" not in events
    assert "swap_free_nr" in events and "swap_free" not in events


def test_names_of_7_are_known(tmp_path: Path) -> None:
    new = "".join(
        f"ffffffff8130000{number} T {name}\n"
        for number, name in enumerate(
            ("folio_dup_swap", "folio_put_swap", "swap_dup_entry_direct", "swap_put_entries_direct")
        )
    )
    gone = "swap_duplicate|swap_free_nr|free_swap_and_cache_nr"
    plan = choose(kernel_of(folder=tmp_path, lines=new, without=gone))
    assert definition(plan, "folio_dup_swap").startswith("p:mmlist/folio_dup_swap folio_dup_swap entry=+40($arg1):x64 ")
    assert (
        definition(plan, "swap_dup_entry_direct")
        == "p:mmlist/swap_dup_entry_direct swap_dup_entry_direct entry=$arg1:x64"
    )
    assert definition(plan, "swap_put_entries_direct").endswith(" entry=$arg1:x64 nr=$arg2:u32")
    assert "swap_duplicate" not in [chosen.event for chosen in plan.probes]


def test_arm64_has_its_own_system_calls_and_registers(tmp_path: Path) -> None:
    text = (DATA / "debian-6.12.map").read_text().replace("__x64_", "__arm64_")
    (tmp_path / "System.map").write_text(text)
    made = kernel_files.Btf()
    regs = made.struct("pt_regs", 248, [("regs", made.add(b.ARRAY, "", 0, [made.int("u64", 8), 1, 31]), 0)])
    link = made.struct("list_head", 16, [("next", made.ptr(0), 0), ("prev", made.ptr(0), 64)])
    made.struct("mm_struct", 100, [("mm_users", made.int("int"), 64), ("mmlist", link, 128)])
    made.func("__arm64_sys_swapoff", 0, [("regs", made.ptr(regs))])
    (tmp_path / "btf").write_bytes(made.bytes())
    kernel = describe(str(tmp_path / "btf"), system_map=str(tmp_path / "System.map"), release="6.12.1")
    assert kernel.arch == "arm64"
    plan = choose(kernel)
    assert "path=+0(+0($arg1)):ustring head=@init_mm+16:x64 tail=@init_mm+24:x64" in definition(plan, "swapoff")
    assert "count=" not in definition(plan, "mmput")
    kernel.functions["exec_mmap"] = Status(
        "exec_mmap", INLINED, None, [], [Inlined("exec_mmap", "bprm", 16, 0, {"mm": 20})]
    )
    assert "p:mmlist/exec_mmap bprm+0x10 mm=%x20:x64 users=+8(%x20):s32" in kprobe(
        next(one for one in choose(kernel).probes if one.event == "exec_mmap"), "arm64"
    )


def test_inlined_function_is_probed_inside_of_its_caller(tmp_path: Path) -> None:
    kernel = kernel_of("debian-6.1", folder=tmp_path)
    copy = Inlined("exec_mmap", "begin_new_exec", 0x367, 0, {"mm": 13})
    kernel.functions["exec_mmap"] = Status("exec_mmap", INLINED, None, [], [copy])
    wanted = "p:mmlist/exec_mmap begin_new_exec+0x367 mm=%r13:x64 users=+84(%r13):s32"
    assert definition(choose(kernel), "exec_mmap").startswith(wanted)
    for inlined in (
        [copy, copy],
        [copy._replace(registers={})],
        [copy._replace(traceable=False)],
        [copy._replace(into="a;b")],
    ):
        kernel.functions["exec_mmap"].inlined = inlined
        assert "exec_mmap" not in [chosen.event for chosen in choose(kernel).probes]


def allocating(returned: str, folder: Path) -> Plan:
    """The plan for a kernel whose folio_alloc_swap(folio) returns an integer called `returned`."""
    made = kernel_files.Btf()
    made.func("folio_alloc_swap", made.int(returned), [("folio", made.ptr(0))])
    (folder / "btf").write_bytes(made.bytes())
    kernel = kernel_of(folder=folder)
    kernel.btf = b.Btf(made.bytes())
    return choose(kernel)


def test_value_of_another_type_is_not_taken_for_an_entry(tmp_path: Path) -> None:
    plan = allocating("_Bool", tmp_path)
    assert "folio_alloc_swap_ret" not in [chosen.event for chosen in plan.probes]
    (missing,) = (one for part in plan.parts for one in part.missing if one.what == "the entry that is handed out")
    assert "folio_alloc_swap: returns no int" in missing.why


def test_entry_that_is_left_in_the_folio_is_fetched_from_there(tmp_path: Path) -> None:
    """folio_alloc_swap returns an error code since 6.18."""
    plan = allocating("int", tmp_path)
    made = definition(plan, "folio_alloc_swap_ret")
    assert " folio_alloc_swap entry=+40($arg1):x64 ret=$retval:s32 flags=+0($arg1):x64" in made


def test_types_of_another_function_of_that_name_are_not_gone_by(tmp_path: Path) -> None:
    """6.1.176: init/main.c's mm_init(void) is inlined and has no symbol, but it is the one that BTF tells of."""
    kernel = kernel_of("debian-6.1", folder=tmp_path)
    made = kernel_files.Btf()
    made.func("mm_init", 0, [])
    kernel.btf = b.Btf(made.bytes())
    plan = choose(kernel)
    assert definition(plan, "mm_init") == "p:mmlist/mm_init mm_init mm=$arg1:x64 task=$arg2:x64"
    assert definition(plan, "mm_init_ret").startswith(
        "r256:mmlist/mm_init_ret mm_init mm=$retval:x64 users=+84($retval)"
    )


def test_ambiguous_name_is_refused_and_named(tmp_path: Path) -> None:
    plan = choose(kernel_of("debian-6.1", folder=tmp_path, lines="ffffffff81000200 t mm_init\n"))
    assert "mm_init" not in [chosen.event for chosen in plan.probes]
    birth = plan.parts[0]
    assert "refused, ambiguous; 2 symbols of that name" in birth.missing[0].why
    assert {(one.code, one.state) for one in birth.costs} >= {("C2", "partly"), ("D9", "partly")}


def test_ambiguous_name_is_probed_by_address_where_it_is_known(tmp_path: Path) -> None:
    init = "ffffffff82000000 D __init_begin\nffffffff82000200 t mm_init\nffffffff83000000 D __init_end\n"
    plan = choose(kernel_of("debian-6.1", folder=tmp_path, lines=init, without="__init_begin|__init_end"))
    assert definition(plan, "mm_init").startswith("p:mmlist/mm_init _text+0x9db70 mm=$arg1:x64")
    assert definition(plan, "mm_init", "fprobe").startswith("p:mmlist/mm_init _text+0x9db70 ")


def test_symbols_that_are_not_there_are_not_fetched(tmp_path: Path) -> None:
    """CONFIG_KALLSYMS_ALL=n: data has no symbols."""
    plan = choose(kernel_of("debian-6.1", folder=tmp_path, without="init_mm|swap_info"))
    line = definition(plan, "swapoff")
    assert "head=" not in line and "inuse0=" not in line and "path=" in line
    swapoff = next(part for part in plan.parts if part.role.name == "swapoff")
    assert {(one.code, one.state) for one in swapoff.costs} >= {("S4", "not")}
    assert any(chosen.lacking[:2] == ["head", "tail"] for chosen in swapoff.chosen)


def test_missing_role_is_named_with_its_cost(tmp_path: Path) -> None:
    folder = tmp_path / "System.map"
    folder.write_text(re.sub(r"(?m)^.* (unuse_pte_range|shmem_unuse)\n", "", (DATA / "debian-6.12.map").read_text()))
    text = run(str(DATA / "debian-6.12.btf"), "--kallsyms", str(folder), "--release", "6.12.1").stdout
    assert "# walk: nothing" in text
    assert re.search(r"#   no unuse_pte_range\(vma\) and what it returns \(unuse_pte_range: absent", text)
    assert re.search(r"#   which costs: .*D9 dead-mm-walked not decidable", text)


# --- refusals --------------------------------------------------------------------------------------------------------


def test_fprobes_are_refused_before_6_5() -> None:
    result = run(*given("debian-6.1"), "--syntax", "fprobe")
    assert result.exit_code == 2
    assert "6.1.0-56-amd64 has no fprobe events" in result.stderr


def test_fprobes_of_6_5_go_by_offsets(tmp_path: Path) -> None:
    kernel = kernel_of(folder=tmp_path)
    kernel.release = "6.5.1"
    assert "users=+132($arg1):s32" in definition(choose(kernel), "mmput", "fprobe")
    kernel.release = "6.6.1"
    assert "users=mm->mm_users.counter:s32" in definition(choose(kernel), "mmput", "fprobe")


@pytest.mark.parametrize(("syntax", "option"), [("kprobe", "KPROBE"), ("fprobe", "FPROBE"), ("perf", "KPROBE")])
def test_kernel_that_has_no_such_events_is_refused(tmp_path: Path, syntax: str, option: str) -> None:
    """Debian's 6.12 for arm64 refuses every fprobe event: it has none."""
    text = (DATA / "debian-6.12.map").read_text().replace(f"trace_{option.lower()}_create", "none")
    (tmp_path / "System.map").write_text(text)
    result = run(str(DATA / "debian-6.12.btf"), "--kallsyms", str(tmp_path / "System.map"), "--syntax", syntax)
    assert result.exit_code == 2
    assert f"was built without CONFIG_{option}_EVENTS" in result.stderr
    assert run(*given("debian-6.12"), "--syntax", syntax).exit_code == 0


def test_kernel_without_types_is_refused() -> None:
    result = run(str(DATA / "debian-6.1.map"))
    assert result.exit_code == 2
    assert "no types that tell where mm_struct has mmlist" in result.stderr


def test_script_is_of_tracefs_only() -> None:
    assert run(*given("debian-6.1"), "--script", "--syntax", "bpftrace").exit_code == 2


# --- the script ------------------------------------------------------------------------------------------------------


def capture(tmp_path: Path, *options: str, kernel: str = "debian-6.12") -> Path:
    release = os.uname().release
    made = run(*given(kernel)[:-2], "--release", release, "--script", *options)
    assert made.exit_code == 0, made.stderr
    (tmp_path / "mmlist-capture").write_text(made.stdout)
    return tmp_path / "mmlist-capture"


def pretend_tracefs(folder: Path) -> Path:
    """Files as tracefs has them; no instances, which only a kernel can fill."""
    tracefs = folder / "tracefs"
    for name, text in {
        "kprobe_events": "", "kprobe_profile": "  mmput 12 0\n  dup_mmap_ret 5 2\n", "error_log": "", "tracing_on": "1\n",
        "trace": "", "trace_clock": "[local] global mono\n", "buffer_size_kb": "7 (expanded: 1408)\n", "set_event": "",
        "saved_cmdlines": "1 init\n", "options/record-cmd": "0\n",
        "per_cpu/cpu0/stats": "entries: 0\noverrun: 3\ncommit overrun: 0\n",
        "events/task/task_newtask/enable": "1\n", "events/sched/sched_process_exit/enable": "0\n",
        "events/sched/sched_process_free/enable": "0\n",
    }.items():  # fmt: skip
        (tracefs / name).parent.mkdir(parents=True, exist_ok=True)
        (tracefs / name).write_text(text)
    return tracefs


def shell(script: Path, tracefs: Path, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MMLIST_TRACEFS": str(tracefs), "MMLIST_STATE": str(script.parent / "state"), **more}
    return subprocess.run(
        ["sh", str(script), *args],
        env=environment,
        capture_output=True,
        text=True,
        cwd=script.parent,
        preexec_fn=heed_interrupts,
    )


def heed_interrupts() -> None:
    """What was started in the background ignores them, and no shell below it can trap them again."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("shell_", ["sh", "dash", "bash", "busybox sh", "shellcheck"])
def test_script_is_sound(tmp_path: Path, shell_: str) -> None:
    command = shell_.split()
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here")
    check = [*command, *([] if shell_ == "shellcheck" else ["-n"]), str(capture(tmp_path))]
    done = subprocess.run(check, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("tool", ["trace-cmd", "perf"])
def test_commands_of_other_tools_are_sound(tool: str) -> None:
    text = run(*given("debian-6.12"), "--syntax", tool).stdout
    done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    defined = re.findall(r"^echo '([pr]\d*:.*)' >> kprobe_events$", text, re.M)
    assert defined == [line for line in run(*given("debian-6.12")).stdout.splitlines() if not line.startswith("#")]
    assert f"\n{tool} record " in text


@pytest.mark.parametrize(("tool", "code"), [("trace-cmd", 0), ("perf", 130)])
def test_commands_of_other_tools_go_on_after_the_interrupt_that_ends_them(tmp_path: Path, tool: str, code: int) -> None:
    """perf kills itself by the signal that it was ended by: the text is to be made all the same, and the probes to go."""
    tracefs = pretend_tracefs(tmp_path)
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / tool
    fake.write_text(f'#!/bin/sh\nif [ "$1" = record ]; then exit {code}; fi\necho text of "$1"\n')
    fake.chmod(0o755)
    text = run(*given("debian-6.12"), "--syntax", tool).stdout.replace("/sys/kernel/tracing", str(tracefs))
    for event in re.findall(r"^echo '[pr]\d*:(mmlist/\w+) ", text, re.M):
        (tracefs / "events" / event).mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["sh"], input=text, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "trace.txt").read_text() == f"text of {'report' if tool == 'trace-cmd' else 'script'}\n"
    defined = (tracefs / "kprobe_events").read_text().splitlines()
    gone = [line.removeprefix("-:") for line in defined if line.startswith("-:")]
    assert gone == [re.split("[: ]", line)[1] for line in defined if not line.startswith("-:")]


def test_perf_filters_by_itself() -> None:
    """A filter in tracefs is none of perf's."""
    text = run(*given("debian-6.12"), "--syntax", "perf").stdout
    assert "-e mmlist:mm_trace_rss_stat --filter 'member==2' -e mmlist:" in text


def test_script_captures_bundles_and_restores(tmp_path: Path) -> None:
    script_, tracefs = capture(tmp_path), pretend_tracefs(tmp_path)
    started = shell(script_, tracefs, "start")
    assert started.returncode == 0, started.stderr
    assert "recording with 39 probes" in started.stderr
    defined = (tracefs / "kprobe_events").read_text().splitlines()
    assert [line for line in defined if not line.startswith("-:")] == lines(
        choose(describe(given("debian-6.12")[0], system_map=given("debian-6.12")[2], release="6.12")), "kprobe"
    )
    assert (tracefs / "trace_clock").read_text() == "mono\n"
    assert (tracefs / "events/sched/sched_process_exit/enable").read_text() == "1\n"
    again = shell(script_, tracefs, "start")
    assert (again.returncode, "a recording is under way" in again.stderr) == (1, True)

    (tracefs / "trace").write_text("# tracer: nop\n")
    (tracefs / "per_cpu/cpu0/stats").write_text("entries: 9\noverrun: 10\ncommit overrun: 1\ndropped events: 4\n")
    done = shell(script_, tracefs, "bundle", "out.tar.gz")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "state").exists()
    subprocess.run(["tar", "-xzf", "out.tar.gz"], cwd=tmp_path, check=True)
    assert sorted(path.name for path in tmp_path.glob("*.txt")) == sorted(set(parts.ALL) - {parts.REFUSED})
    first, second = (tmp_path / "trace.txt").read_bytes().splitlines()
    head = capture_header(first)
    assert head is not None
    assert (head["release"], head["mmlist_offset"], head["missed"]) == (os.uname().release, 208, {"dup_mmap_ret": 2})
    assert (head["refused"], second) == ([], b"# tracer: nop")
    assert (head["lost"], head["buffer_kb"]) == (12, 20480)


def test_what_the_kernel_does_not_count_is_not_said_to_be_none(tmp_path: Path) -> None:
    """No statistics that speak of a loss, and a kprobe_profile without our probes: fprobes are not in it."""
    script_, tracefs = capture(tmp_path), pretend_tracefs(tmp_path)
    (tracefs / "per_cpu/cpu0/stats").write_text("entries: 9\n")
    (tracefs / "kprobe_profile").write_text("")
    assert shell(script_, tracefs, "start").returncode == 0
    assert shell(script_, tracefs, "bundle", "out.tar.gz").returncode == 0
    subprocess.run(["tar", "-xzf", "out.tar.gz"], cwd=tmp_path, check=True)
    head = capture_header((tmp_path / "trace.txt").read_bytes().splitlines()[0])
    assert head is not None
    assert not {"lost", "missed"} & head.keys()


def test_script_restores_what_it_changed(tmp_path: Path) -> None:
    script_, tracefs = capture(tmp_path), pretend_tracefs(tmp_path)
    assert shell(script_, tracefs, "start").returncode == 0
    assert shell(script_, tracefs, "bundle", "out.tar.gz").returncode == 0

    restored = {name: (tracefs / name).read_text() for name in ("trace_clock", "buffer_size_kb", "tracing_on")}
    assert restored == {"trace_clock": "local\n", "buffer_size_kb": "7\n", "tracing_on": "1\n"}
    assert (tracefs / "options/record-cmd").read_text() == "0\n"
    assert (tracefs / "events/task/task_newtask/enable").read_text() == "1\n"
    assert (tracefs / "events/sched/sched_process_exit/enable").read_text() == "0\n"
    removed = [line for line in (tracefs / "kprobe_events").read_text().splitlines() if line.startswith("-:")]
    assert len(removed) == len(set(removed)) == 39


def test_definition_that_is_not_taken_is_named_and_left_out(tmp_path: Path) -> None:
    script_, tracefs = capture(tmp_path, "--syntax", "fprobe"), pretend_tracefs(tmp_path)
    text = script_.read_text().replace("'f:mmlist/mmput mmput", "'p:mmlist/mmput mmput")
    script_.write_text(text)
    (tracefs / "dynamic_events").mkdir()  # refuses to be written to
    (tracefs / "error_log").write_text("error: no such thing\n")
    started = shell(script_, tracefs, "start")
    assert "this kernel does not take: f:mmlist/mm_init mm_init" in started.stderr
    assert "recording with 1 probes" in started.stderr
    assert shell(script_, tracefs, "bundle", "out.tar.gz").returncode == 0
    subprocess.run(["tar", "-xzf", "out.tar.gz"], cwd=tmp_path, check=True)
    head = capture_header((tmp_path / "trace.txt").read_bytes().splitlines()[0])
    assert head is not None and len(head["refused"]) == 38
    assert (tmp_path / parts.REFUSED).read_text().splitlines() == head["refused"]


def test_kernel_that_takes_no_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    script_, tracefs = capture(tmp_path, "--syntax", "fprobe"), pretend_tracefs(tmp_path)
    (tracefs / "dynamic_events").mkdir()
    started = shell(script_, tracefs, "start")
    assert (started.returncode, "took none of the probes" in started.stderr) == (1, True)
    assert not (tmp_path / "state").exists()
    assert (tracefs / "trace_clock").read_text() == "local\n"


def test_interrupted_start_restores(tmp_path: Path) -> None:
    script_, tracefs = capture(tmp_path), pretend_tracefs(tmp_path)
    text = script_.read_text().replace("    uname -a >", "    kill -TERM $$\n    uname -a >")
    script_.write_text(text)
    started = shell(script_, tracefs, "start")
    assert (started.returncode, "interrupted: all is as it was" in started.stderr) == (1, True)
    assert not (tmp_path / "state").exists()
    assert (tracefs / "trace_clock").read_text() == "local\n"
    assert (tracefs / "kprobe_events").read_text().count("-:mmlist/") == 39


def test_probe_that_an_interrupt_left_unnoted_is_taken_away(tmp_path: Path) -> None:
    """A kernel that took a definition, and a start that was interrupted before it could note it."""
    script_, tracefs = capture(tmp_path), pretend_tracefs(tmp_path)
    noted = '    printf \'%s\\n\' "$1" >>"$state/defined"\n'
    assert noted in script_.read_text()
    script_.write_text(script_.read_text().replace(noted, "    kill -INT $$\n"))
    assert "interrupted" in shell(script_, tracefs, "start").stderr
    first, second = (tracefs / "kprobe_events").read_text().splitlines()
    assert (first.split()[0], second) == ("p:mmlist/mm_init", "-:mmlist/mm_init")


def test_script_refuses_another_release(tmp_path: Path) -> None:
    script_, tracefs = capture(tmp_path), pretend_tracefs(tmp_path)
    script_.write_text(re.sub(r"(?m)^release=.*$", "release=2.6.9", script_.read_text()))
    assert "made for 2.6.9, this is" in shell(script_, tracefs, "start").stderr
    assert shell(script_, tracefs, "start", MMLIST_FORCE="1").returncode == 0


@pytest.mark.parametrize("args", [(), ("bundle",), ("stop",), ("begin",)])
def test_script_says_what_it_wants(tmp_path: Path, args: tuple[str, ...]) -> None:
    done = shell(capture(tmp_path), pretend_tracefs(tmp_path), *args)
    assert done.returncode == 1 and done.stderr.startswith("mmlist-capture: ")


def test_names_of_a_kernel_file_are_quoted_for_the_shell(tmp_path: Path) -> None:
    kernel = kernel_of(folder=tmp_path)
    kernel.release = "6.12'; touch broken; echo '"
    (tmp_path / "x").write_text(script(choose(kernel)))
    subprocess.run(["sh", "x"], cwd=tmp_path, capture_output=True)
    assert not (tmp_path / "broken").exists()


def test_header_says_what_is_known_beforehand(tmp_path: Path) -> None:
    found = header(choose(kernel_of(folder=tmp_path)))
    assert json.loads(json.dumps(found)) == found
    assert (found["release"], found["arch"], found["mmlist_offset"]) == (RELEASES["debian-6.12"], "x86_64", 208)
    assert found["missing"]["drain"] == ["drain_mmlist and its return"]


def test_page_names_every_part_and_role() -> None:
    page = (Path(__file__).parent.parent / "docs" / "capture.md").read_text()
    assert [name for name in parts.ALL if f"`{name}`" not in page] == []
    assert [role.name for role in ROLES if f"| {role.name} | {role.what} |" not in page] == []
