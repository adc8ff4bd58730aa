"""Lines become what they say: dialects, kinds, exact time, losses, forged and split lines; every line counted once."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mmlist.cli.parse import describe
from mmlist.cli.parse import parse as command
from mmlist.replay.errors import InputError
from mmlist.replay.log import Log
from mmlist.replay.parse import Item, Parser
from mmlist.replay.record import Loss, Record, Unparsed

ROWS = [json.loads(line) for line in (Path(__file__).parent / "data" / "lines.jsonl").read_text().splitlines()]
MMPUT = frozenset({"mmput"})


def event(ts: str, args: str = "mmput: (mmput+0x0/0x30) mm=0x1", cpu: int = 0, comm: str = "sh", pid: int = 7) -> bytes:
    return f"{comm:>16}-{pid:<7} [{cpu:03}] ..... {ts:>12}: {args}\n".encode()


def read(path: Path, text: bytes, names: frozenset[str] | None = None) -> tuple[list[Item], Parser]:
    log_path = path / "log.txt"
    log_path.write_bytes(text)
    with Log.open(str(log_path)) as log:
        parser = Parser(log, names)
        items = list(parser.records())
    assert parser.ledger.lines == len(text.removesuffix(b"\n").split(b"\n"))
    return items, parser


def records(items: list[Item]) -> list[Record]:
    return [item for item in items if isinstance(item, Record)]


def losses(items: list[Item]) -> list[Loss]:
    return [item for item in items if isinstance(item, Loss)]


def unparsed(items: list[Item]) -> list[Unparsed]:
    return [item for item in items if isinstance(item, Unparsed)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["id"]))
def test_line_says_what_is_expected(row: dict[str, Any], tmp_path: Path) -> None:
    line = row["line"].encode("utf-8", "surrogateescape")
    items, _ = read(tmp_path, line + b"\n")
    assert len(items) == 1
    said = describe(items[0])
    assert {key: said.get(key) for key in row["expect"]} == row["expect"]


def test_command_prints_an_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(event("1.000001", comm="\x1fé") + b"junk\n")
    result = CliRunner().invoke(command, [str(path)])
    first, second = map(json.loads, result.output.splitlines())
    assert (first["file"], first["line"], first["kind"], first["event"]) == (str(path), 1, "event", "mmput")
    assert first["fields"] == {"mm": "0x1"}
    assert (second["kind"], second["line"], second["column"]) == ("unparsed", 2, 1)
    assert "expected" in second["reason"]


# --- time ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "ts", "unit", "digits"),
    [
        ("8.096627", 8_096_627_000, "ns", 6),
        ("13.631802344", 13_631_802_344, "ns", 9),
        ("1795419330.294929", 1_795_419_330_294_929_000, "ns", 6),
        ("58153595590", 58_153_595_590, "raw", 0),
    ],
)
def test_time_is_exact(tmp_path: Path, printed: str, ts: int, unit: str, digits: int) -> None:
    items, parser = read(tmp_path, event(printed), MMPUT)
    (record,) = records(items)
    assert (record.at.ts, record.ts_text) == (ts, printed.encode())
    assert (parser.ts_unit, parser.ts_digits) == (unit, digits)


def test_line_back_in_time_is_forged(tmp_path: Path) -> None:
    text = event("9.9") + event("8.0", "mmput: (mmput+0x0/0x30) mm=0xbad") + event("10.1")
    items, parser = read(tmp_path, text, MMPUT)
    assert [record.at.ts for record in records(items)] == [9_900_000_000, 10_100_000_000]
    (forged,) = unparsed(items)
    assert (forged.at.line, forged.severity) == (2, "info")
    assert (parser.ledger.ours, parser.ledger.unparsed) == (2, 1)


def test_line_back_in_time_at_the_end_is_forged(tmp_path: Path) -> None:
    items, _ = read(tmp_path, event("9.9") + event("8.0"), MMPUT)
    assert [type(item) for item in items] == [Record, Unparsed]


def test_lines_of_other_cpus_may_be_earlier(tmp_path: Path) -> None:
    items, _ = read(tmp_path, event("9.0", cpu=0) + event("8.0", cpu=1) + event("9.1", cpu=0), MMPUT)
    assert len(records(items)) == len(items) == 3


def test_time_that_stays_back_is_another_capture(tmp_path: Path) -> None:
    items, parser = read(tmp_path, event("9.0") + b"".join(event(f"1.{i}") for i in range(5)), MMPUT)
    assert len(records(items)) == 6
    (loss,) = losses(items)
    assert (loss.kind, loss.cpu, loss.since, loss.until) == ("backwards", 0, 9_000_000_000, 1_000_000_000)
    assert items.index(loss) == 1
    assert parser.ledger.ours == 6


def test_header_before_time_goes_back_is_another_capture(tmp_path: Path) -> None:
    items, _ = read(tmp_path, event("9.0") + b"# tracer: nop\n#\n" + event("1.0"), MMPUT)
    assert [type(item) for item in items] == [Record, Loss, Record]
    assert losses(items)[0].kind == "backwards"


# --- loss ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marker", "cpu", "count", "kind"),
    [
        ("CPU:1 [LOST 225 EVENTS]", 1, 225, "lost"),
        ("CPU:1 [LOST EVENTS]", 1, None, "lost"),
        ("CPU:1 [225 EVENTS DROPPED]", 1, 225, "dropped"),
        ("CPU:1 [EVENTS DROPPED]", 1, None, "dropped"),
        ("[EVENTS DROPPED]", None, None, "dropped"),
    ],
)
def test_loss_lasts_from_record_to_record(tmp_path: Path, marker: str, cpu: int, count: int, kind: str) -> None:
    before, other, after = event("1.0", cpu=1), event("2.0", cpu=0), event("3.0", "foo: x", cpu=1)
    items, parser = read(tmp_path, before + marker.encode() + b"\n" + other + after + event("4.0", cpu=1), MMPUT)
    (loss,) = losses(items)
    until = 3_000_000_000 if cpu == 1 else 2_000_000_000
    assert (loss.cpu, loss.count, loss.kind, loss.at.line) == (cpu, count, kind, 2)
    assert (loss.since, loss.until, loss.at.ts) == (1_000_000_000, until, until)
    assert parser.ledger.loss == 1
    assert (
        [type(item) for item in items] == [Record, Record, Loss, Record] if cpu == 1 else [Record, Loss, Record, Record]
    )


def test_loss_at_the_end_has_no_end(tmp_path: Path) -> None:
    items, _ = read(tmp_path, event("1.0") + b"CPU:0 [LOST 3 EVENTS]\n", MMPUT)
    assert (losses(items)[0].since, losses(items)[0].until) == (1_000_000_000, None)


def test_overwritten_and_late_buffers_begin_in_the_dark(tmp_path: Path) -> None:
    header = b"# tracer: nop\n#\n# entries-in-buffer/entries-written: 2/5   #P:2\n"
    text = header + event("1.0", cpu=1) + b"##### CPU 0 buffer started ####\n" + event("2.0", cpu=0)
    items, parser = read(tmp_path, text, MMPUT)
    overwritten, started = losses(items)
    assert (overwritten.kind, overwritten.cpu, overwritten.count, overwritten.since) == ("overwritten", None, 3, None)
    assert overwritten.until == 1_000_000_000
    assert (started.kind, started.cpu, started.since, started.until) == ("buffer_started", 0, None, 2_000_000_000)
    assert parser.ledger.header == 3


def test_full_buffer_is_no_loss(tmp_path: Path) -> None:
    items, _ = read(tmp_path, b"# entries-in-buffer/entries-written: 5/5   #P:2\n" + event("1.0"), MMPUT)
    assert losses(items) == []


def test_perf_tells_its_loss(tmp_path: Path) -> None:
    lines = [
        b"              cp   301 [001]    90.460729: PERF_RECORD_LOST lost 69\n",
        b"              cp   301 [001]    90.461062:                 mmlist:mmput: (ffffffff8109da60) mm=0x1\n",
    ]
    items, parser = read(tmp_path, b"".join(lines), MMPUT)
    (loss,) = losses(items)
    assert (loss.kind, loss.cpu, loss.count, loss.until) == ("perf_lost", 1, 69, 90_461_062_000)
    assert (records(items)[0].name, parser.dialect) == ("mmput", "perf_script")


def test_cut_gzip_keeps_what_was_read_and_says_so(tmp_path: Path) -> None:
    import gzip

    whole = gzip.compress(b"".join(event(f"{i}.0", pid=i) for i in range(1, 20000)), 1)
    path = tmp_path / "log.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with Log.open(str(path)) as log:
        items = list(Parser(log, MMPUT).records())
    loss = losses(items)[-1]
    assert 5000 < len(records(items)) < 15000
    assert (loss.kind, loss.until, loss.since) == ("truncated", None, records(items)[-1].at.ts)
    assert [item.severity for item in unparsed(items)] in ([], ["data_loss"])


# --- lines that are not one record ---------------------------------------------------------------------------------------


def test_comm_with_newlines_is_one_record(tmp_path: Path) -> None:
    head = b"            nl\nx-145     [001] ...1.     8.345935: "
    text = head + b"task_rename: pid=145 oldcomm=mmwork newcomm=nl\nx oom_score_adj=0\n"
    items, parser = read(tmp_path, event("1.0") + text + event("9.0", cpu=1), MMPUT | {"task_rename"})
    rename = records(items)[1]
    assert (rename.at.comm, rename.at.line, rename.last_line, rename.at.pid) == (b"nl\nx", 2, 4, 145)
    assert rename.args == b"pid=145 oldcomm=mmwork newcomm=nl\nx oom_score_adj=0"
    assert (parser.ledger.ours, parser.ledger.continuation, parser.ledger.unparsed) == (3, 2, 0)


def test_comm_split_over_two_blocks(tmp_path: Path) -> None:
    filler = b"".join(event(f"1.{i:06}", "foo: " + "x" * 200) for i in range(900))
    split = b"            nl\nx-145     [001] ...1.     8.345935: mmput: (a) mm=0x5\n"
    for pad in range(0, 300, 7):
        head = event("0.1", "foo: " + "y" * (262144 - len(filler) % 262144 - 70 + pad))
        items, parser = read(tmp_path, head + filler + split, MMPUT)
        assert [record.at.comm for record in records(items)] == [b"nl\nx"]
        assert parser.ledger.unparsed == 0


def test_marker_text_goes_on(tmp_path: Path) -> None:
    marker = event("1.0", "tracing_mark_write: two") + b"lines: mmput: mm=0xdead\n"
    items, parser = read(tmp_path, marker + event("2.0"), MMPUT)
    assert len(items) == 1
    assert (parser.ledger.continuation, parser.ledger.other) == (1, {"tracing_mark_write": 1})
    items, _ = read(tmp_path, marker + event("2.0"))
    assert (records(items)[0].args, records(items)[0].last_line) == (b"two\nlines: mmput: mm=0xdead", 2)


def test_junk_behind_a_whole_record_is_unparsed(tmp_path: Path) -> None:
    items, parser = read(tmp_path, event("1.0") + b"some junk that is longer than a comm\n" + event("2.0"), MMPUT)
    (junk,) = unparsed(items)
    assert (junk.at.line, junk.text, junk.severity) == (2, b"some junk that is longer than a comm", "error")
    assert "expected" in junk.reason
    assert (parser.ledger.ours, parser.ledger.unparsed, parser.ledger.continuation) == (2, 1, 0)


def test_stack_frames_belong_to_a_record(tmp_path: Path) -> None:
    text = event("1.0", "<stack trace>") + b" => mmput\n => do_exit\n" + event("2.0")
    items, parser = read(tmp_path, text, MMPUT)
    assert len(items) == 1
    assert (parser.ledger.continuation, parser.ledger.other) == (2, {"<stack_begin>": 1})


@pytest.mark.parametrize("prefix", [b"> ", b">> ", b"\t", b"    "])
def test_reindented_lines_are_read(tmp_path: Path, prefix: bytes) -> None:
    text = b"".join(prefix + event(f"{i}.0", comm="a b-1 [0]").lstrip() for i in range(1, 4))
    items, _ = read(tmp_path, text, MMPUT)
    assert [record.at.comm for record in records(items)] == [b"a b-1 [0]"] * 3


def test_carriage_returns_are_no_part_of_a_line(tmp_path: Path) -> None:
    text = b"# tracer: nop\n" + event("1.0") + event("2.0", "exit_mm: (exit_mm+0x0/0x90)") + b"CPU:0 [LOST EVENTS]\n"
    items, parser = read(tmp_path, text.replace(b"\n", b"\r\n"), MMPUT | {"exit_mm"})
    assert [record.args for record in records(items)] == [b"(mmput+0x0/0x30) mm=0x1", b"(exit_mm+0x0/0x90)"]
    assert len(losses(items)) == 1
    assert parser.ledger.header == 1


def test_holes_are_skipped_and_told(tmp_path: Path) -> None:
    items, _ = read(tmp_path, event("1.0") + b"\0" * 5000 + event("2.0") + event("3.0"), MMPUT)
    assert [record.at.ts for record in records(items)] == [1_000_000_000, 2_000_000_000, 3_000_000_000]
    assert [item.severity for item in unparsed(items)] == ["data_loss"]


def test_overlong_line_is_told_and_skipped(tmp_path: Path) -> None:
    items, _ = read(tmp_path, event("1.0") + b"x" * 3_000_000 + b"\n" + event("2.0"), MMPUT)
    assert [record.at.line for record in records(items)] == [1, 3]
    (long,) = unparsed(items)
    assert (long.at.line, len(long.text), long.severity) == (2, 1024, "error")
    assert "3,000,000" in long.reason


def test_offsets_are_where_lines_begin(tmp_path: Path) -> None:
    text = event("1.0") + b"\n" + event("2.0") + event("3.0", "foo: x") + event("4.0")
    items, _ = read(tmp_path, text, MMPUT)
    for record in records(items):
        assert text[record.at.offset :].startswith(b"              sh-7")
        assert text[: record.at.offset].count(b"\n") == record.at.line - 1


# --- dialects ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [(2, 5), (5, 2), (1, 1)])
def test_dialect_changes_in_the_middle(tmp_path: Path, first: int, second: int) -> None:
    perf = b"              cp   301 [001]    90.461062:                 mmlist:mmput: (ffffffff8109da60) mm=0x1\n"
    items, parser = read(tmp_path, event("1.0") * first + perf * second, MMPUT)
    assert [record.at.cpu for record in records(items)] == [0] * first + [1] * second
    assert (len(items), parser.ledger.unparsed) == (first + second, 0)


def test_trace_cmd_log_stays_one_after_a_line_of_tracefs(tmp_path: Path) -> None:
    padded = event("1.0", "mmput:                (ffffffff8109da60) mm=0x1")
    items, parser = read(tmp_path, padded * 3 + event("2.0") + padded.replace(b"1.0", b"3.0") * 3, MMPUT)
    assert {record.args[:1] for record in records(items)} == {b"("}
    assert (len(items), parser.dialect) == (7, "trace_cmd")


def test_unknown_dialect_says_where_and_what(tmp_path: Path) -> None:
    with pytest.raises(InputError) as told:
        read(tmp_path, b"# a comment\n\nDear all,\nmmlist is broken.\n")
    assert (told.value.line, told.value.text) == (3, b"Dear all,")
    assert told.value.expected
    assert "^" in str(told.value)


def test_headers_alone_are_a_log_of_nothing(tmp_path: Path) -> None:
    items, parser = read(tmp_path, b"# tracer: nop\n#\n", MMPUT)
    assert (items, parser.ts_unit, parser.ledger.header) == ([], "none", 2)


def test_other_events_are_counted_by_name(tmp_path: Path) -> None:
    text = event("1.0", "foo: a=1") + event("2.0") + event("3.0", "foo: a=2") + event("4.0", "mmput <-do_exit")
    items, parser = read(tmp_path, text, MMPUT)
    assert len(items) == 1
    assert parser.ledger.other == {"foo": 2, "<function>": 1}


def test_stack_belongs_to_the_event_of_its_task_on_its_cpu(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    stack = event("1.000001", "<stack trace>") + b" => mmput\n => do_exit\n"
    path.write_bytes(event("1.000001") + event("1.000002", "mmget: mm=0x1", cpu=1, pid=8) + stack)
    shown = [json.loads(line) for line in CliRunner().invoke(command, [str(path)]).output.splitlines()]
    assert [(one["kind"], one.get("of")) for one in shown] == [
        *(("event", None), ("event", None)),
        *(("stack_begin", 1), ("stack_frame", 1), ("stack_frame", 1)),
    ]
