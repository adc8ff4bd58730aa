"""Names of the user's own: maps, what they compute, what is said of those that are none, and `mmlist parse --unknown`.

One file, over 400 lines: each case is a map beside what comes of it, and all are told in the same few helpers.
"""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from mmlist import InputError, Mapping, Options, expectation, load_map, run
from mmlist.cli import cli
from mmlist.replay import payload
from mmlist.replay.bind import NAMES
from mmlist.replay.bind.reads import fields_of
from mmlist.replay.expression import Refused, guard, value
from mmlist.replay.facts import LedgerRow
from mmlist.replay.history import replay
from mmlist.replay.log import Log
from mmlist.replay.record import At, Record

ROOT = Path(__file__).parent.parent
CAPTURES = ROOT / "fixtures" / "captures"
WORD = 1 << 64
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write("a.toml", text)`: a file, its path."""

    def to(name: str, text: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return to


def line(event: str, at: float = 1.0, *, task: str = "wl-91", cpu: int = 1) -> str:
    comm, _, pid = task.rpartition("-")
    return f"{comm:>16}-{pid:<7} [{cpu:03}] ..... {at:12.6f}: {event}\n"


def one(mapping: Mapping, name: str, args: str) -> Record | None:
    """What a map makes of one record."""
    payload.forget()
    record = Record(At(1, 0, 1, 0, 1, b"sh"), name, args.encode())
    rule = mapping.rule_of(record)
    return record if rule is None else rule.apply(record)


def text(mapping: Mapping, name: str, args: str) -> str | None:
    mapped = one(mapping, name, args)
    return None if mapped is None else f"{mapped.name}: {mapped.args.decode()}"


# --- expressions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "word"),
    [
        ("node - 152", 0xFF11000002E5D800),
        ("entry >> 58", 63),
        ("entry & 0x3ffffffffffffff", 1),
        ("ret", WORD - 22),
        ("-ret", 22),
        ("~0", WORD - 1),
        ("1 + 2 * 3 - 4", 3),
        ("1 | 2 & 3 << 1", 3),
        ("(1 | 2) & 3 << 1", 2),
        ("10 - 3 - 2", 5),
        ("1 << 63 << 1", 0),
        ("1 << 64", 0),
        ("1 >> 99999999999999", 0),
        ("1 << -1", 0),
        ("nothing + 1", None),
        ("bad * 0", None),
    ],
)
def test_expression(expression: str, word: int | None) -> None:
    fields = {"node": b"0xff11000002e5d898", "entry": b"0xfc00000000000001", "ret": b"-22", "bad": b"(fault)"}
    computed = value(expression)
    assert not isinstance(computed, bytes)
    assert computed(fields) == word


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("ret == 0", False),
        ("ret < 0", True),
        ("ret >= 0xffffffffffffffea", True),
        ("flags & 2 == 2", True),
        ("name == 'mmlist_lock'", True),
        ('name != "mmlist_lock"', False),
        ("ret == 0 or flags > 1 and flags <= 3", True),
        ("(ret == 0 or flags > 1) and flags < 3", False),
        ("nothing == 0", False),
        ("nothing != 0", False),
        ("nothing != 'a'", False),
    ],
)
def test_guard(expression: str, holds: bool) -> None:
    assert guard(expression)({"ret": b"-22", "flags": b"0x3", "name": b"mmlist_lock"}) is holds


OPERATIONS: dict[str, tuple[int, Callable[[int, int], int]]] = {
    "|": (1, lambda a, b: a | b),
    "&": (2, lambda a, b: a & b),
    "<<": (3, lambda a, b: a * 2**b if b < 64 else 0),
    ">>": (3, lambda a, b: a // 2**b if b < 64 else 0),
    "+": (4, lambda a, b: a + b),
    "-": (4, lambda a, b: a - b),
    "*": (5, lambda a, b: a * b),
}
Node = int | str | tuple[Any, ...]
FIELDS = {"a": 3, "mm": 0xFF11000002E5D800, "f_1": 152, "or_": 0}
NODES = st.recursive(
    st.integers(0, WORD - 1) | st.integers(0, 70) | st.sampled_from(sorted(FIELDS)),
    lambda inner: (
        st.tuples(inner, st.sampled_from(sorted(OPERATIONS)), inner) | st.tuples(st.sampled_from(["-", "~"]), inner)
    ),
    max_leaves=8,
)


def shown(node: Node, outer: int = 0) -> str:
    """As few parentheses as can be: what binds how is what is tested."""
    if isinstance(node, int):
        return hex(node) if node % 2 else str(node)
    if isinstance(node, str):
        return node
    if len(node) == 2:
        return f"{node[0]}{shown(node[1], 6)}"
    level = OPERATIONS[node[1]][0]
    written = f"{shown(node[0], level)} {node[1]} {shown(node[2], level + 1)}"
    return f"({written})" if level < outer else written


def dumb(node: Node) -> int:
    if isinstance(node, int):
        return node
    if isinstance(node, str):
        return FIELDS[node]
    if len(node) == 2:
        return (-dumb(node[1]) if node[0] == "-" else WORD - 1 - dumb(node[1])) % WORD
    return OPERATIONS[node[1]][1](dumb(node[0]), dumb(node[2])) % WORD


@given(NODES)
def test_expression_is_what_a_dumber_evaluator_says(node: Node) -> None:
    written = shown(node)
    if len(written) > 256:
        return
    computed = value(written)
    assert not isinstance(computed, bytes)
    assert computed({name: hex(number).encode() for name, number in FIELDS.items()}) == dumb(node)


@given(st.text() | st.text("()a1'\"+-*<>&|~= .$", max_size=40))
def test_no_text_is_more_than_refused(written: str) -> None:
    for read in (value, guard):
        try:
            made = read(written)
        except Refused as refused:
            assert 1 <= refused.column <= len(written.encode()) + 1
        else:
            assert isinstance(made, bytes) or made({}) in (None, True, False) or isinstance(made({}), int)


# --- records -----------------------------------------------------------------------------------------------------------


def test_fields_are_renamed_computed_and_kept(write: Write) -> None:
    mapping = load_map(
        write(
            "a.toml",
            """
            [events.rel]
            is = "swap_clear"
            fields = { mm = "node - 152", entry = "ent", why = "'zap'" }
            """,
        )
    )
    made = text(mapping, "rel", "node=0xff11000002e5d898 ent=0x2 x=y")
    assert made == "swap_clear: mm=0xff11000002e5d800 entry=0x2 why=zap node=0xff11000002e5d898 x=y"


def test_renamed_field_does_not_stand_under_its_old_name_too(write: Write) -> None:
    mapping = load_map(write("a.toml", '[events.l]\nis = "copy_listed"\nfields = { mm = "src", src = "mm" }'))
    assert text(mapping, "l", "mm=0x1 src=0x2") == "copy_listed: mm=0x2 src=0x1"
    mapping = load_map(write("b.toml", '[events.l]\nis = "copy_listed"\nfields = { mm = "src" }'))
    assert text(mapping, "l", "src=0x2") == "copy_listed: mm=0x2"


@pytest.mark.parametrize(
    ("said", "args", "made"),
    [
        ('fields = { users = "u - 1" }', "mm=0x1 u=0", "mmput: users=-1 mm=0x1 u=0"),
        ('fields = { mm = "a + 1" }', "a=(fault) users=1", "mmput: a=(fault) users=1"),
        ('fields = { mm = "a" }', "a=(fault)", "mmput: mm=(fault)"),
        ("fields = { users = false }", "mm=0x1 users=7", "mmput: mm=0x1"),
        ("fields = { users = 2 }", "mm=0x1", "mmput: users=2 mm=0x1"),
        ('others = "none"\nfields = { mm = "mm" }', "mm=0x1 users=7", "mmput: mm=0x1"),
        ('when = "users == 1"', "mm=0x1 users=1", "mmput: mm=0x1 users=1"),
        ('when = "users == 1"', "mm=0x1 users=2", None),
        ('when = "users == 1"', "mm=0x1", None),
        ("", "(mmput+0x0/0x30) mm=0x1", "mmput: (mmput+0x0/0x30) mm=0x1"),
        ("", "__probe_ip=0x1 mm=0x1", "mmput: (put) __probe_ip=0x1 mm=0x1"),
        ('layer = "explicit"', "(mmput+0x0/0x30) mm=0x1", "mmput: mm=0x1"),
        ('layer = "probe"', "mm=0x1", "mmput: (put) mm=0x1"),
        ('layer = "probe"\nothers = "none"', "mm=0x1", "mmput: (put)"),
    ],
)
def test_record(write: Write, said: str, args: str, made: str | None) -> None:
    assert text(load_map(write("a.toml", f'[events.put]\nis = "mmput"\n{said}')), "put", args) == made


def test_clone_flags_stay_hex_without_0x(write: Write) -> None:
    mapping = load_map(write("a.toml", '[events.nt]\nis = "task_newtask"\nfields = { clone_flags = "f + 0" }'))
    assert text(mapping, "nt", "pid=7 f=256") == "task_newtask: clone_flags=100 pid=7 f=256"


@pytest.fixture(scope="module")
def swapon(tmp_path_factory: pytest.TempPathFactory) -> Mapping:
    path = tmp_path_factory.mktemp("maps") / "a.toml"
    path.write_text('[events.on]\nis = "swapon"\nfields = { path = "p", type = "t" }')
    return load_map(path)


@given(
    st.text(st.characters(exclude_characters="\n", max_codepoint=0xFF), max_size=30)
    | st.text('" =pathype1', max_size=20)
)
def test_no_string_can_make_a_field(swapon: Mapping, path: str) -> None:
    payload.forget()
    learned = payload.fields(Record(At(1, 0, 1, 0, 1, b""), "on", b't=1 p="x"'))
    assert learned == {"t": b"1", "p": b"x"}
    mapped = swapon.rules["on"].apply(Record(At(1, 0, 1, 0, 1, b""), "on", b't=1 p="' + path.encode("latin-1") + b'"'))
    assert mapped is not None
    fields = payload.fields(mapped)
    assert set(fields) <= {"type", "path"}
    assert fields.get("type", b"1") == b"1"


# --- maps --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "place", "message", "expected"),
    [
        ("[events.x\nis='a'", ":1:10", "is no TOML", "a map in TOML"),
        ("[event.x]\nis='swap_free'", ":1", "event: unknown key", "events"),
        ("[events.x]\niss='swap_free'", ":2", "events.x.iss: unknown key", "the nearest is is"),
        ("[events.x]\nis='swap_fre'", ":2", "events.x.is: no event 'swap_fre'", "the nearest is swap_free"),
        ("[events.my_mmput]\nwhen='a==1'", ":1", "does not say which event it is", "the nearest is mmput"),
        ("[events.x]\nis='swap_free'\n[events.x.fields]\nentri='e'", ":4", "no field 'entri'", "the nearest is entry"),
        ("[events.x]\nis='swap_free'\nfields={entry='a / 2'}", ":3:18", "'a / 2' is no expression", "'<<'"),
        ("[events.x]\nis='mmput'\nfields={mm=1.5}", ":3", "1.5 is no expression", "an expression in quotes"),
        (f"[events.x]\nis='mmput'\nfields={{mm={1 << 64}}}", ":3", "no number of 64 bits", "a smaller one"),
        ("[events.x]\nis='mmput'\nwhen='a = 1'", ":3:9", "'a = 1' is no expression", "comparison"),
        ("[events.x]\nis='mmlist_add'\nlayer='probe'", ":3", "mmlist_add is no probe's event", "explicit"),
        ("[events.x]\nis='dup_mmap'\nlayer='explicit'", ":3", "dup_mmap is a probe's event", "probe"),
        ("[events.x]\nis='mmput'\nlayer='b'", ":3", "'b' is none of its values", '"explicit" or "probe"'),
        ("[events.x]\nis='mmput'\nignore=true", ":1", "is ignored and described", "ignore = true alone"),
        ("[events]\nx = 3", ":2", "events.x: 3 is no table", "[events.x]"),
        ("[events.'a b']\nis='mmput'", ":1", "'a b' is no event's name", "NAME or SYSTEM:NAME"),
        ("# \udcff", ":1", "is not UTF-8", "a map in TOML"),
        ("a=" + "[" * 9999 + "]" * 9999, "", "is nested too deeply", "a map in TOML"),
        ("#" * (1 << 20) + "\n", "", "is too large", "a map of at most"),
    ],
)
def test_what_is_no_map_is_refused(write: Write, said: str, place: str, message: str, expected: str) -> None:
    path = write("bad.toml", said.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError) as error:
        load_map(path)
    assert str(error.value).startswith(f"{path}{place}: ")
    assert message in str(error.value)
    assert expected in (error.value.expected or "")


def test_two_maps_may_not_say_two_things_of_one_name(write: Write) -> None:
    first, second = write("a.toml", "[events.mmput]"), write("b.toml", "[events.mmput]\nignore = true")
    assert load_map(first).digest != load_map(second).digest
    with pytest.raises(InputError, match=re.escape(f"{first} maps it, too")):
        load_map(first, second)


def test_every_field_that_a_map_may_name_is_read() -> None:
    assert fields_of("swap_free", explicit=False) == ("entry", "nr")
    assert fields_of("mmlist_add", explicit=False) == ()
    assert fields_of("try_to_unmap_one_ret", explicit=False) == ("ret",)
    assert set(fields_of("mmput", explicit=False)) == {"mm", "users", "count", "next", "prev"}
    fieldless = {name for name in NAMES if not fields_of(name, explicit=True) + fields_of(name, explicit=False)}
    assert fieldless == set()


# --- whole logs --------------------------------------------------------------------------------------------------------

PAIR = re.compile(r"\b(mm|entry|oldmm|users|next|prev|dst|ret)=(\S+)")


def disguised(log: str, system: str = "") -> tuple[str, str]:
    """A log with all of its events, and some of their fields, renamed; and the map that says so."""
    seen: dict[str, set[str]] = {}

    def field(found: re.Match[str], event: str) -> str:
        key, number = found.groups()
        seen[event].add(key)
        if key == "mm":
            return f"node={int(number, 0) + 152 if number != '0x0' else 152:#x}"
        return f"twice={2 * int(number, 0):#x}" if key == "entry" else f"f_{key}={number}"

    def event(found: re.Match[str]) -> str:
        lead, name, args = found.groups()
        if name not in NAMES or payload.has_own_text(name):
            return found[0]
        seen.setdefault(name, set())
        return f"{lead}My_{name}: " + PAIR.sub(lambda pair: field(pair, name), args)

    made = re.sub(rf"(?m)^(.{{24,90}}?: *{system}:?)(\w+): +(.*)$", event, log)
    sources = {"mm": "node - 152", "entry": "twice >> 1"}
    known = {name: {*fields_of(name, explicit=True), *fields_of(name, explicit=False), "ret"} for name in seen}
    table = []
    for name, keys in seen.items():
        heading = f'"{system}:My_{name}"' if system else f"My_{name}"
        lines = [f'{key} = "{sources.get(key, "f_" + key)}"' for key in sorted(keys & known[name])]
        table += [f"[events.{heading}]", f'is = "{name}"', f"[events.{heading}.fields]", *lines]
    return made, "\n".join(table)


@pytest.mark.parametrize(
    ("capture", "system"),
    [
        ("small-default", ""),
        ("mono-b1-stock", ""),
        ("mono-b5", ""),
        ("fork-tracecmd-report-t", ""),
        ("fork-perf-script", ""),
        ("lost-perf-script", "mmlist"),
    ],
)
def test_disguised_capture_is_judged_as_the_capture(write: Write, capture: str, system: str) -> None:
    packed = CAPTURES / f"{capture}.trace.gz"
    log, names = disguised(gzip.decompress(packed.read_bytes()).decode("latin-1"), system)
    write("own.toml", names)
    log_path = write("own.trace", log.encode("latin-1"))
    wanted = expectation.replayed(packed, {})
    found = expectation.replayed(log_path, {"options": {"map": "own.toml"}})
    for key in wanted:
        assert found[key] == wanted[key], key
    assert expectation.replayed(log_path, {})["verdict"] == "unknown"


STORY = (
    line("grab: (swap_duplicate+0x0/0x10) e=0x1", 1.0)
    + line("mmput: reads=1", 1.1)
    + line("mm_free: (kfree+0x0/0x10) mm=0xffff888001000000", 1.2)
)


def facts(path: Path, mapping: Mapping) -> dict[tuple[str, str | None], int]:
    with Log.open(str(path)) as log:
        told = list(replay(log, Options(mapping=mapping)))
    return {(one.kind, one.name): one.lines for one in told if isinstance(one, LedgerRow) and one.lines}


def test_ledger_counts_what_a_map_takes_and_leaves(write: Write) -> None:
    log = write("a.trace", STORY)
    mapping = load_map(
        write(
            "a.toml",
            """
            [events.grab]
            is = "swap_duplicate"
            fields = { entry = "e" }
            [events.mmput]
            ignore = true
            [events.mm_free]
            when = "mm == 0"
            """,
        )
    )
    assert facts(log, mapping) == {("ours", "swap_duplicate"): 1, ("other", "mmput"): 1, ("other", "mm_free"): 1}
    report = run(log, Options(mapping=mapping))
    assert {one.name: (one.value, one.text) for one in report.statistics} == {
        "mapped grab": (1, "is swap_duplicate"),
        "mapped mmput": (0, "ignored"),
        "mapped mm_free": (0, "is mm_free"),
    }
    assert report.run.options == f"profile=auto map={mapping.digest[:12]}"


def test_decisive_event_far_behind_is_seen_under_its_own_name(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmlist.replay.setup._BEGINNING", 2)
    log = write("a.trace", "".join(line("mm_init: mm=0xffff888001000000", 1 + at / 10) for at in range(5)) + late())
    mapping = load_map(write("a.toml", '[events.Linked]\nis = "mmlist_add"'))
    with Log.open(str(log)) as opened:
        from mmlist.replay.history import History

        assert History(opened, Options(mapping=mapping)).survey.carries.joins_explicit
        assert not History(opened, Options()).survey.carries.joins_explicit


def late() -> str:
    return line("Linked: mm=0xffff888001000000 after=init_mm", 2)


def perf(event: str, at: float) -> str:
    return f"{'wl':>16} {91:>5} [001] {at:12.6f}: {event:>30}\n"


def test_system_tells_two_events_of_one_name_apart(write: Write) -> None:
    log = write(
        "a.trace",
        perf("mmlist:mmget: mm=0xffff888001000000 users=1", 1)
        + perf("my:mmget: x=1", 1.1)
        + perf("my:up: x=1", 1.2)
        + perf("other:up: mm=0xffff888001000000", 1.3),
    )
    mapping = load_map(write("a.toml", '[events."my:mmget"]\nignore = true\n[events."other:up"]\nis = "mmget"'))
    assert facts(log, mapping) == {("ours", "mmget"): 2, ("other", "mmget"): 1, ("other", "up"): 1}


# --- the command -------------------------------------------------------------------------------------------------------


def invoke(*args: object) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="mmlist")


def test_replay_tells_what_became_of_the_names(write: Write) -> None:
    log = write("a.trace", STORY)
    names = write(
        "a.toml", '[events.grab]\nis = "swap_duplicate"\nfields = { entry = "e" }\n[events.gone]\nis = "mmput"'
    )
    told = invoke("replay", log, "--no-db", "--map", names).stdout
    assert "  map         grab is swap_duplicate (1)\n" in told
    assert "never seen, or never counted: gone\n" in told
    said = json.loads(invoke("replay", log, "--no-db", "--map", names, "--format", "json").stdout.splitlines()[-1])
    assert said["mapped"]["grab"] == {"meaning": "is swap_duplicate", "events": 1}
    assert "map=" in said["options"]


@pytest.mark.parametrize("command", ["replay", "parse"])
def test_bad_map_is_an_error_of_usage(write: Write, command: str) -> None:
    log, names = write("a.trace", STORY), write("a.toml", '[events.grab]\nis = "swap_dupl"')
    result = invoke(command, log, "--map", names)
    assert result.exit_code == 2
    assert f"{names}:2: events.grab.is: no event 'swap_dupl'" in result.stderr
    assert result.stdout == ""
    assert invoke(command, log, "--map", names.with_name("none.toml")).exit_code == 2


def test_parse_shows_mapped_records_under_our_names(write: Write) -> None:
    log, names = (
        write("a.trace", STORY),
        write("a.toml", '[events.grab]\nis = "swap_duplicate"\nfields = { entry = "e" }'),
    )
    first = json.loads(invoke("parse", log, "--map", names).stdout.splitlines()[0])
    assert first["event"], first["printed"] == ("swap_duplicate", "grab")
    assert first["fields"] == {"entry": "0x1"}
    assert first["args"] == "(swap_duplicate+0x0/0x10) e=0x1"


PROBES = (
    line("sched_wakeup: comm=rcu_preempt pid=15 prio=120 target_cpu=000")
    + line("kmem_cache_alloc: call_site=getname_flags+0x4f/0x1f0 ptr=000000002141b0e6")
    + line("mmput: (mmput+0x4/0x60) mm=0xff11000002e5d800")
    + line("rel_swap: (swap_free+0x0/0x60) ent=0x2") * 2
    + line("put: (mmput+0x4/0x60 <ffffffff8109da60>) node=0xff11000002e5d898 u=1")
    + line("tur: (shrink_folio_list+0x4ce/0xb40 <- try_to_unmap_one) r=1")
    + line('off: (__x64_sys_swapoff+0x0/0x10) p="/dev/vda"')
    + line("mid: (mmput+0x14/0x60) x=1")
    + line("mmlst_add: mm=0x1 after=0x2")
)


def test_unknown_names_with_counts_and_the_event_that_they_are(write: Write) -> None:
    told = [
        json.loads(one)
        for one in invoke("parse", "--unknown", "--format", "json", write("a", PROBES)).stdout.splitlines()
    ]
    assert [(one["name"], one["lines"], one["nearest"], one["certain"]) for one in told[:-1]] == [
        ("rel_swap", 2, "swap_free", True),
        ("sched_wakeup", 1, None, False),
        ("kmem_cache_alloc", 1, None, False),
        ("put", 1, "mmput", True),
        ("tur", 1, "try_to_unmap_one_ret", True),
        ("off", 1, "swapoff", True),
        ("mid", 1, None, False),
        ("mmlst_add", 1, "mmlist_add", False),
    ]
    assert told[0]["first_line"] == 4
    assert told[-1] | {"file": "", "schema_version": 0} == {
        **{
            "kind": "ours",
            "schema_version": 0,
            "file": "",
            "lines": 10,
            "names": {"mmput": 1},
            "strange": {},
            "untold": 0,
        },
    }


def test_stanzas_are_a_map_as_they_stand(write: Write) -> None:
    log = write("a.trace", PROBES)
    told = invoke("parse", "--unknown", log).stdout
    assert "the probed function says so" in told
    stanzas = told.partition("\n\n")[2]
    mapping = load_map(write("pasted.toml", stanzas))
    assert {name: rule.target for name, rule in mapping.rules.items()} == {
        **{"rel_swap": "swap_free", "put": "mmput", "tur": "try_to_unmap_one_ret", "off": "swapoff"},
        **{"mmlst_add": "mmlist_add"},
    }
    assert text(mapping, "rel_swap", "(swap_free+0x0/0x60) ent=0x2") == "swap_free: (swap_free+0x0/0x60) entry=0x2"
    assert '# mm = "..."  # of: node, u' in stanzas
    again = invoke("parse", "--unknown", log, "--map", write("again.toml", stanzas)).stdout
    assert "3 names unknown" in again
    assert "rel_swap 2" in again


@pytest.mark.parametrize("capture", ["mono-b5", "fork-perf-script"])
def test_all_events_of_a_disguised_capture_are_told_by_their_functions(write: Write, capture: str) -> None:
    packed = CAPTURES / f"{capture}.trace.gz"
    log, _ = disguised(gzip.decompress(packed.read_bytes()).decode("latin-1"))
    told = invoke("parse", "--unknown", "--format", "json", write("own.trace", log.encode("latin-1"))).stdout
    found = {one["name"]: one for one in map(json.loads, told.splitlines()) if one["kind"] == "unknown"}
    ours = {name: one for name, one in found.items() if name.startswith("My_")}
    assert len(ours) > 15
    assert {name for name, one in ours.items() if one["nearest"] != name.removeprefix("My_")} == set()


def test_format_text_is_for_unknown_names() -> None:
    assert invoke("parse", "--format", "text", CAPTURES / "small-default.trace.gz").exit_code == 2


# --- docs/mapping.md ---------------------------------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "mapping.md").read_text()


def test_what_bpftrace_prints_is_read(write: Write) -> None:
    """The formats of the program in the docs, filled in as bpftrace does."""
    written = re.findall(r'printf\("(.+?)\\n",\n', PAGE)
    assert len(written) == 4
    lines = []
    for at, form in enumerate(written):
        fields = len(re.findall("%", form)) - 5
        lines.append(form.replace("%lx", "%x") % ("kswapd0", 51, 0, 12, 544546 + at, *range(1, fields + 1)) + "\n")
    said = [json.loads(one) for one in invoke("parse", write("a.trace", "".join(lines))).stdout.splitlines()]
    assert [(one["event"], one["pid"], one["cpu"], one["ts"]) for one in said] == [
        ("mmput", 51, 0, "12.544546"),
        ("try_to_unmap_one", 51, 0, "12.544547"),
        ("try_to_unmap_one_ret", 51, 0, "12.544548"),
        ("swap_duplicate", 51, 0, "12.544549"),
    ]
    assert said[0]["fields"] == {"mm": "0x1", "users": "2", "next": "0x3", "prev": "0x4"}
    assert all(one["probe"] for one in said)


def test_log_of_bpftrace_says_what_the_capture_says(write: Write) -> None:
    (block,) = re.findall(r"<!-- file bpf.trace -->\n```\n(.*?)```", PAGE, re.DOTALL)
    report = run(write("bpf.trace", block))
    assert (report.run.events, report.unparsed, report.losses.total()) == (4, 0, 0)
    found, wanted = (
        expectation.replayed(CAPTURES / f"{name}.trace.gz", {}) for name in ("bpftrace", "swapoff-busy-idle")
    )
    for one in wanted["membership"] + found["membership"]:
        for key in ("joined_line", "joined_seen_line", "left_line"):  # the lines stand elsewhere
            del one[key]
    found["not_checked"].remove("C6")  # the program prints no task_newtask
    assert found == wanted
