"""The regular expressions that read logs are the grammars: they accept what Lark accepts, with the same parts."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmlist import grammars
from mmlist.replay.dialect import FORMS
from mmlist.replay.wrapping import Wrapping

ROOT = Path(__file__).parent.parent
LINES = [
    Wrapping(("printk",)).strip(json.loads(line)["line"].encode("utf-8", "surrogateescape"))
    for line in (ROOT / "tests" / "data" / "lines.jsonl").read_text().splitlines()
]
NOTES = [
    b"CPU:1 [LOST 2209 EVENTS]",
    b"CPU:0 [342 EVENTS DROPPED]",
    b"[EVENTS DROPPED]",
    b"##### CPU 2 buffer started ####",
    b"# entries-in-buffer/entries-written: 452/3463   #P:2",
    b"mono.dat: cpus=2",
    b" =>  <00007f28e16f5353>",
    b"=> kernel_clone (ffffffff810a0c0b)",
    b"\tffffffff810a0c0b kernel_clone+0x1ab ([kernel.kallsyms])",
    b"# tracer: nop",
    b"Lost 123 events",
    b"Attaching 5 probes...",
    b"Attached 1 probe",
    b"Dumping ftrace buffer:",
    b"---------------------------------",
]
TEXTS = [
    b"<stack trace>",
    b"mmput+0x0/0x30 <ffffffff8109da60> <-begin_new_exec+0x4ce/0xb40 <ffffffff8137208e>",
    b"mmput <-begin_new_exec (a=0x1)",
    b"sys_getpid()",
    b"sys_read -> 0x1ee",
    b"# 2a buf: 72 61 77",
    b"254,0    Q  RA 0 + 32 [dd]",
    b"     0:120:R ==> [003]   312:100:R kworker/3:1H",
    b"     0:120:R   + [003]   312:100:R kworker/3:1H",
    b"kernel_clone() {",
    b"ext4_sync_fs [ext4](sb=0x1); /* = 0x0 */",
    b"} /* kernel_clone */",
]
PAYLOADS = {
    "task_newtask": b"pid=124 comm=in it clone_flags=1200000 oom_score_adj=0",
    "task_rename": b"pid=131 oldcomm= newcomm=x:y newcomm=z oom_score_adj=-500",
    "sched_process_fork": b"comm=exe=1 pid=2 pid=157 child_comm=exe=1 pid=2 child_pid=158",
    "sched_process_exec": b"filename=/bin/a pid=1 pid=143 old_pid=143",
    "sched_process_exit": b"comm=a\nb pid=143 prio=120 group_dead=true",
    "sched_process_free": b"comm= pid=143 prio=120",
    "signal_generate": b"sig=17 errno=0 code=1 comm=in pid=3 pid=1 grp=1 res=0",
    "mark_victim": b"pid=12 comm=x total-vm=1 total-vm=2kB anon-rss=1kB",
    "rss_stat": b"mm_id=14681684 curr=0 type=MM_ANONPAGES size=16384B",
    "lock_acquire": b"0xffffffff82b5c8c0 try read &mm->mmap_lock",
    "lock_release": b"0xffffffff82b5c8c0 mmlist_lock",
    "sched_switch": b"prev_comm=a prev_pid=0 prev_prio=120 prev_state=R ==> next_comm=b c next_pid=15 next_prio=120",
    "sched_wakeup": b"comm=rcu_preempt pid=15 prio=120 target_cpu=000",
}
PAIRS = [
    b"(mmput+0x0/0x30) mm=0xff users=0",
    b"(exit_mm+0x0/0x90)",
    b'(ffffffff8109caa0 <- ffffffff8140e9af) task=0x1 comm="perf exec" mm=0x2',
    b"(f) a={0x8241,0x1} b=",
    b"lat=2514 pid=2829 comm=my prog",
]

STARTS = [(form.grammar, start) for form in FORMS.values() for start in (form.start, form.reindented) if start]
WRAPPED = [
    ("quote", b"> > "),
    ("grep", b"trace.txt:120:"),
    ("grep", b"trace.txt-121-"),
    ("grep", b"120:"),
    ("syslog", b"Nov 23 10:00:01 box kernel: "),
    ("syslog", b"2026-11-23T10:00:01.123456+00:00 box kernel: "),
    ("printk", b"[   71.891424] "),
    ("printk", b"<4>[   71.891424][    T1] "),
    ("printk", b"[Mon Nov 23 10:00:01 2026] "),
    ("buffer", b"   a.dat: "),
]
FOREIGN = [
    b"0 1 5942182052 type: 312",
    b"00000001 00000000 00000001f8c06618 type: 132",
    b"{ pid:       2828 } hitcount:          1",
    b"     0.000 ( 2.459 ms): mmwork/1994 clone(clone_flags: 0x11) = 1995 (mmwork)",
    b"     200.540639 [0000]  perf[2059]                          0.000      0.000      0.000 ",
    b"0x388@p.data [0x150]: event: 69",
    b"p:kprobes/mmput mmput mm=%di users=+0(%di):u32",
    b"commit overrun: 0",
]

CASES = [
    *((name, start, line) for name, start in STARTS for line in LINES),
    *(("wrapping", layer, line) for layer, line in WRAPPED),
    *(("foreign", "start", line) for line in FOREIGN),
    *(("notes", "start", line) for line in NOTES + LINES),
    *(("text", "start", text) for text in TEXTS),
    *(("payload", name, text) for name, text in PAYLOADS.items()),
    *(("pairs", "start", text) for text in PAIRS),
]
ACCEPTED = [case for case in CASES if grammars.load(case[0], case[1]).read(case[2]) is not None]


def by_lark(name: str, start: str, text: bytes) -> dict[str, bytes] | None:
    try:
        return grammars.load(name, start).parse(text)
    except grammars.Refused as refused:
        assert 1 <= refused.column <= len(text) + 1
        assert refused.expected
        return None


def agree(name: str, start: str, text: bytes) -> None:
    read, parsed = grammars.load(name, start).read(text), by_lark(name, start, text)
    if name == "pairs" and read is not None and parsed is not None:
        read = parsed = {}  # an expression keeps but the last of what repeats
    assert read == parsed


@pytest.mark.parametrize(("name", "start", "text"), CASES)
def test_expression_is_the_grammar(name: str, start: str, text: bytes) -> None:
    agree(name, start, text)


def test_every_case_meant_to_be_read_is() -> None:
    accepted = {text for _, _, text in ACCEPTED}
    assert {*NOTES, *TEXTS, *PAYLOADS.values(), *PAIRS, *FOREIGN, *(line for _, line in WRAPPED)} <= accepted
    assert len(accepted.intersection(LINES)) == len(LINES)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """An accepted text with a few bytes changed, lost, doubled, or a piece of another one put in."""
    name, start, text = draw(st.sampled_from(ACCEPTED))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        until = min(len(text), at + draw(st.integers(0, 6)))
        donor = draw(st.sampled_from(ACCEPTED))[2]
        begin = draw(st.integers(0, len(donor)))
        put = draw(
            st.one_of(
                st.binary(max_size=3),
                st.sampled_from([b" ", b"-", b":", b"=", b'"', b"[", b"(", b"\t", b"\r", b"\xff", b": ", b" pid=1 "]),
                st.just(donor[begin : begin + 12]),
            )
        )
        text = text[:at] + put.replace(b"\n", b"") + text[until:]
    return name, start, text


@settings(max_examples=1500, deadline=None)
@given(mutated())
def test_expression_is_the_grammar_on_mutated_text(case: tuple[str, str, bytes]) -> None:
    agree(*case)


def test_refusal_tells_where_and_what() -> None:
    with pytest.raises(grammars.Refused) as told:
        grammars.load("tracefs").parse(b"            init-1       [00x] .....     8.096627: mmput: x")
    assert told.value.column == 29
    assert told.value.expected == "']'"
