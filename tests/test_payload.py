"""Fields are what the kernel printed: hostile comms and strings forge nothing."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mmlist.replay import payload
from mmlist.replay.payload import fields, place
from mmlist.replay.record import At, Record


@pytest.fixture(autouse=True)
def fresh() -> None:
    payload.forget()


def record(name: str, args: str) -> Record:
    return Record(At(1, 0, 1, 0, 1, b"sh"), name, args.encode())


def said(name: str, args: str) -> dict[str, str]:
    return {key: value.decode() for key, value in fields(record(name, args)).items()}


def test_probe_has_place_and_fields() -> None:
    line = record("mmput", "(mmput+0x0/0x30) mm=0xff11000008430000 users=0")
    for _ in range(3):  # learned, then by pattern
        assert fields(line) == {"mm": b"0xff11000008430000", "users": b"0"}
    assert place(line) == b"mmput+0x0/0x30"


@pytest.mark.parametrize(
    "text", ["do_exit+0x31/0x90 <- mmput", "ffffffff8109db70 <- ffffffff8137013c", "ffffffff8109db70", "0x401000"]
)
def test_place_is_what_stands_in_parentheses(text: str) -> None:
    assert place(record("mmput", f"({text}) mm=0x1")) == text.encode()
    assert fields(record("mmput", f"({text})")) == {}


def test_explicit_event_has_no_place() -> None:
    assert place(record("mmlist_add", "mm=0x1 after=0x2")) is None
    assert said("mmlist_add", "mm=0x1 after=init_mm") == {"mm": "0x1", "after": "init_mm"}


def test_other_keys_and_orders_are_read_too() -> None:
    assert said("mmput", "mm=0x1 users=2") == {"mm": "0x1", "users": "2"}
    assert said("mmput", "users=2 mm=0x1 nr=3 new_key=7") == {"users": "2", "mm": "0x1", "nr": "3", "new_key": "7"}
    assert said("mmput", "mm=0x1 users=2") == {"mm": "0x1", "users": "2"}


def test_more_shapes_than_are_kept_are_read() -> None:
    for count in range(1, 30):
        keys = {f"k{number}": str(number) for number in range(count)}
        assert said("many", " ".join(f"{key}={value}" for key, value in keys.items())) == keys


def test_values_may_be_empty_arrays_or_faults() -> None:
    assert said("arr", "(f+0x0/0x1) a={0x8241,0x1} p=(fault) e= z=-1") == {
        "a": "{0x8241,0x1}",
        "p": "(fault)",
        "e": "",
        "z": "-1",
    }


HOSTILE = [
    "mm=0x1 next=0x",
    'x" mm="0x1',
    'x" next=0x1 y="',
    '"',
    '" "',
    "a b",
    "",
    "\\",
    "a\nb",
    'q" users=9 ',
    "é\xff",
]


@pytest.mark.parametrize("comm", HOSTILE)
@pytest.mark.parametrize("after", ["", " users=3"])
def test_string_forges_no_field(comm: str, after: str) -> None:
    line = '(get_task_mm+0x0/0x50) task=0xff1 pid=298 mm=0xff2 comm="{}"' + after
    benign = said("get_task_mm", line.format("sh"))
    assert said("get_task_mm", line.format(comm)) == {**benign, "comm": comm}


@pytest.mark.parametrize(
    "path", ["/dev/vda", "/dev/x head=0x1", '/x" head=0x1 tail=0x2 y="', '/x" head=0x1 tail=0x2 inuse0=0']
)
def test_string_before_fields_forges_none_even_at_first_sight(path: str) -> None:
    args = f'(__x64_sys_swapoff+0x0/0x10) path="{path}" head=0xa tail=0xb inuse0=67'
    found = said("swapoff", args)
    assert (found["path"], found["head"], found["tail"], found["inuse0"]) == (path, "0xa", "0xb", "67")
    assert len(found) == 4


def test_two_strings_are_two_fields() -> None:
    assert said("two", '(f) a="x y" b="z" c=1') == {"a": "x y", "b": "z", "c": "1"}


STATIC = {
    "task_newtask": {"pid": "124", "comm": "{}", "clone_flags": "1200000", "oom_score_adj": "0"},
    "task_rename": {"pid": "131", "oldcomm": "{}", "newcomm": "{}", "oom_score_adj": "-500"},
    "sched_process_fork": {"comm": "{}", "pid": "1", "child_comm": "{}", "child_pid": "2"},
    "sched_process_exec": {"filename": "/bin/{}", "pid": "3", "old_pid": "3"},
    "sched_process_exit": {"comm": "{}", "pid": "4", "prio": "120", "group_dead": "true"},
    "sched_process_free": {"comm": "{}", "pid": "4", "prio": "120"},
    "signal_generate": {"sig": "9", "errno": "0", "code": "1", "comm": "{}", "pid": "5", "grp": "1", "res": "0"},
}


@pytest.mark.parametrize("comm", ["sh", "", "a b", "x pid=1", "pid=1 prio=", "x=y", "a\nb", ' "', "e pid=1 comm=b"])
@pytest.mark.parametrize("name", STATIC)
def test_comm_forges_no_field(name: str, comm: str) -> None:
    expected = {key: value.format(comm) for key, value in STATIC[name].items()}
    assert said(name, " ".join(f"{key}={value}" for key, value in expected.items())) == expected


def test_fork_by_the_names_of_its_fields() -> None:
    raw = "parent_comm=sh x parent_pid=148 child_comm=sh child_pid=149"
    assert said("sched_process_fork", raw)["parent_pid"] == "148"


def test_rename_without_pid() -> None:
    assert said("task_rename", "oldcomm=a newcomm=b oom_score_adj=0") == {
        "oldcomm": "a",
        "newcomm": "b",
        "oom_score_adj": "0",
    }


@pytest.mark.parametrize("how", ["", "try ", "read ", "try read "])
def test_lock_is_an_address_and_a_name(how: str) -> None:
    found = said("lock_acquire", f"0xffffffff82b5c8c0 {how}mmlist_lock")
    assert (found["address"], found["name"]) == ("0xffffffff82b5c8c0", "mmlist_lock")
    assert set(found) - {"address", "name"} == set(how.split())


@pytest.mark.parametrize("name", ["tracing_mark_write", "print", "0"])
def test_marker_has_no_fields(name: str) -> None:
    assert said(name, "mm=0x1 next=0x2") == {}


def test_text_that_is_no_pairs_has_no_fields() -> None:
    assert said("softirq_raise", "vec=9 [action=RCU]") == {}
    assert said("tlb_flush", "pages:-1 reason:local mm shootdown (3)") == {}
    assert said("wakeup", "comm=a pid=7 x pid=8") == {}


@pytest.mark.parametrize(
    ("name", "args", "found"),
    [
        (
            "sched_process_fork",
            b"parent_comm=init parent_pid=0x1 (1) child_comm=in it child_pid=0x77 (119)",
            {"parent_comm": b"init", "parent_pid": b"1", "child_comm": b"in it", "child_pid": b"119"},
        ),
        (
            "task_newtask",
            b"pid=0x7c (124) comm=init clone_flags=0x1200000 (18874368) oom_score_adj=0x0 (0)",
            {"pid": b"124", "comm": b"init", "clone_flags": b"0x1200000", "oom_score_adj": b"0"},
        ),
        (
            "mmput",
            b"__probe_ip=0xffffffff8109da60 (-2130060704) mm=0xff11000004853180 (-67) users=0x1 (1)",
            {"__probe_ip": b"0xffffffff8109da60", "mm": b"0xff11000004853180", "users": b"1"},
        ),
    ],
)
def test_the_option_fields_prints_numbers_in_both_ways(name: str, args: bytes, found: dict[str, bytes]) -> None:
    assert fields(Record(At(1, 0, 0, 0, 1, b""), name, args)) == found


STRINGS = [b"a", b"b", b"c", b"d"]


@st.composite
def shaped(draw: st.DrawFn) -> tuple[bytes, list[tuple[bytes, bytes, bool]], bytes]:
    """(place, a shape with two strings or more, a text that may have it)."""
    pairs = [(key, b"", draw(st.booleans())) for key in STRINGS[: draw(st.integers(2, 4))]]
    assume(sum(not bare for _, _, bare in pairs) > 1)
    lead = draw(st.sampled_from([b"", b"(f+0x0/0x1) "]))
    piece = st.sampled_from(
        [b"x", b" ", b'"', b"=", b"\n", *(b'" %s="' % key for key in STRINGS), b'" c=', b" a=", b"(f) "]
    )
    text = st.lists(piece, max_size=4).map(b"".join)
    values = (b"%s=%s" % (key, draw(text)) if bare else b'%s="%s"' % (key, draw(text)) for key, _, bare in pairs)
    return lead, pairs, lead + b" ".join(values)


@settings(max_examples=1000, deadline=None)
@given(shaped())
def test_reading_backwards_reads_the_same(case: tuple[bytes, list[tuple[bytes, bytes, bool]], bytes]) -> None:
    lead, pairs, text = case
    forwards = payload._pattern(lead, pairs, False).fullmatch(text)
    backwards = payload._Backwards(lead, pairs).fullmatch(text)
    assert (forwards and forwards.groups()) == (backwards and backwards.groups())


def test_strings_in_a_text_are_found_where_a_task_did_not_forge_them() -> None:
    assert said("swapon", 'path="/a" comm="b"') == {"path": "/a", "comm": "b"}
    hostile = 'x" comm="' * 2000
    assert said("swapon", f'path="{hostile}" comm="b"') == {"path": hostile, "comm": "b"}
    assert said("swapon", f'path="{hostile}" comm="b"!') == {}


@pytest.mark.parametrize(
    "text",
    [
        " ".join(f'k{number}="v"' for number in range(1400)),  # more pairs than a probe can have
        " ".join(f'k{number}="v"' for number in range(120)) + " !",  # no reading, in as many ways as could be
        " ".join(['k="v"'] * 120),  # each reading has a key twice
        " ".join(f"k{number}=1" for number in range(100_000)),
    ],
    ids=["too many", "none", "twice", "long"],
)
def test_text_without_a_reading_is_given_up(text: str) -> None:
    assert said("swapon", text) == {}
