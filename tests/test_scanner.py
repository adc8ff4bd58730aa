"""The extension that setup.py builds of the grammars reads what the expressions read: in each line, each block, each log."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import LOGS, name

from mmlist import grammars
from mmlist.grammars import made, native, stored
from mmlist.replay import payload, skim
from mmlist.replay.bind import NAMES
from mmlist.replay.dialect import FORMS, dialect
from mmlist.replay.history import replay
from mmlist.replay.log import Log
from mmlist.replay.options import Options
from mmlist.replay.parse import Parser
from mmlist.replay.record import At, Record

ROOT = Path(__file__).parent.parent
SCANNER = stored.scanner()
built = pytest.mark.skipif(SCANNER is None, reason="the extension is not built (no C compiler), or MMLIST_PURE is set")
PRINTED = [
    json.loads(line)["line"].encode("utf-8", "surrogateescape")
    for line in (ROOT / "tests" / "data" / "lines.jsonl").read_text().splitlines()
]
SKIMMED = [b":", b" ", b": ", b"mm", b"_9", b"A", b"\n", b"a: b: c: ", b"\0", b"/* ", b")   "]
PIECES = [
    *(
        b" ",
        b"-",
        b":",
        b"=",
        b"[",
        b"]",
        b"(",
        b")",
        b"\t",
        b"\r",
        b"\xff",
        b"\0",
        b": ",
        b"0",
        b".",
        b"/",
        b"us",
        b"ms (",
    ),
    *(
        b"PERF_RECORD_LOST lost ",
        b" .... ",
        b"0x1",
        b"tracing_mark_write:",
        b"(+1) ",
        b"(-------) ",
        b"9" * 20,
        b"x" * 70,
    ),
]


def text(log: Path) -> bytes:
    return gzip.decompress(log.read_bytes()) if log.suffix == ".gz" else log.read_bytes()


def by_extension(code: int, line: bytes) -> Any:
    assert SCANNER is not None
    return SCANNER.match(code, line)


def by_expression(key: str, line: bytes) -> tuple[tuple[int, int] | None, ...] | None:
    found = grammars.load(*key.split(".")).pattern.fullmatch(line)
    if found is None:
        return None
    spans = {group.partition("__")[0]: found.span(group) for group in found.re.groupindex}
    return tuple(None if spans.get(part, (-1, -1)) == (-1, -1) else spans[part] for part in grammars.HOT)


def agree(line: bytes) -> int:
    assert SCANNER is not None
    read = 0
    for key, code in SCANNER.DIALECTS.items():
        found = by_expression(key, line)
        assert by_extension(code, line) == found, (key, line)
        read += found is not None
    return read


@st.composite
def mutated(draw: st.DrawFn, texts: list[bytes]) -> bytes:
    """A text with bytes flipped, lost, doubled, pieces put in, cut, or very long."""
    line = draw(st.sampled_from(texts))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, min(len(line), 110)))
        until = min(len(line), at + draw(st.integers(0, 8)))
        donor = draw(st.sampled_from(texts))
        begin = draw(st.integers(0, len(donor)))
        how = draw(st.integers(0, 5))
        put = (
            draw(st.sampled_from(PIECES))
            if how < 2
            else donor[begin : begin + 20]
            if how == 2
            else draw(st.binary(max_size=2))
        )
        if how == 4:
            line, until = line[:at], at
        if how == 5:
            put *= draw(st.sampled_from([1, 50, 3000]))
        line = line[:at] + put + line[until:] if how != 3 else line[:until] + line[at:]
    return line


# --- what was made ---------------------------------------------------------------------------------------------------


def test_kept_expressions_are_those_that_lark_gives() -> None:
    kept = stored.expressions()
    for (grammar, start), expression in kept.items():
        assert grammars.load(grammar, start).walked() == expression


def test_all_that_dialects_start_with_is_kept() -> None:
    for form in FORMS.values():
        for start in filter(None, (form.start, form.reindented)):
            assert start in made.STARTS[form.grammar]
    assert set(made.STARTS["payload"]) == {
        one for one in NAMES | set(made.STARTS["payload"]) if payload.has_own_text(one)
    }


def test_all_dialects_of_the_hot_loop_are_scanned() -> None:
    assert set(made.SCANNED) == {(form.grammar, form.start) for key, form in FORMS.items() if dialect(key).full}


def test_another_grammar_than_the_extension_was_made_of_is_read_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stored._current.cache_clear()
    monkeypatch.setattr(stored, "digest", lambda: "another")
    try:
        assert stored.scanner() is None
    finally:
        stored._current.cache_clear()


@pytest.mark.parametrize("expression", [r"[^a]", r"(?s:.)", r"(?P<x>a)(?P=x)", r"^a", r"(?:ab)+", r"\d", r"a(?<=a)"])
def test_what_cannot_be_translated_is_refused(expression: str) -> None:
    with pytest.raises(native.Untranslatable):
        native.function("f", expression, {}, 0)


# --- lines -----------------------------------------------------------------------------------------------------------


@built
def test_lines_of_all_fixtures_are_read_as_the_expressions_read_them() -> None:
    lines = {line for log in LOGS if log.suffix in (".trace", ".gz") for line in text(log).split(b"\n")[:3000]}
    assert sum(map(agree, sorted(lines.union(PRINTED)))) > 1000


@built
@settings(max_examples=1500, deadline=None)
@given(mutated(PRINTED))
def test_mutated_lines_are_read_as_the_expressions_read_them(line: bytes) -> None:
    agree(line.replace(b"\n", b""))


# --- blocks ----------------------------------------------------------------------------------------------------------


def parsed(log: Path, scanner: stored.Extension | None, names: frozenset[str] = NAMES) -> tuple[Any, ...]:
    with pytest.MonkeyPatch.context() as patch, Log.open(str(log)) as opened:
        patch.setattr(stored, "scanner", lambda: scanner)
        parser = Parser(opened, names)
        items = list(parser.records())
        others = list(parser.ledger.other.items())
        return items, repr(parser.ledger), others, parser.last_times(), parser.dialect, parser.ts_unit, parser.buffers


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    """Lines of one fixture, out of order and mutated, and notes between them."""
    lines = [
        *text(draw(st.sampled_from(SMALL))).split(b"\n")[:200],
        b"CPU:0 [LOST 12 EVENTS]",
        b"",
        b"#",
        b"half a line",
    ]
    first = draw(st.integers(0, len(lines)))
    chosen = lines[first : first + draw(st.integers(1, 60))]
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(chosen)))
        chosen[at:at] = [draw(st.one_of(st.sampled_from(lines), mutated(lines)))]
    return draw(st.sampled_from([b"\n", b"\n", b"\r\n"])).join(chosen)


SMALL = [log for log in LOGS if log.suffix == ".trace" and log.stat().st_size < 20_000]


@built
@settings(max_examples=300, deadline=None)
@given(data=logs())
def test_mutated_logs_are_parsed_as_by_the_expressions(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    log = tmp_path_factory.getbasetemp() / "mutated.trace"
    log.write_bytes(data)
    results = []
    for scanner in (None, SCANNER):
        try:
            results.append(parsed(log, scanner))
        except Exception as error:
            results.append((type(error), str(error)))
    assert results[0] == results[1]


@built
def test_names_without_end_are_counted_as_by_the_expressions(tmp_path: Path) -> None:
    log = tmp_path / "names.trace"
    lines = (b"            init-1       [%03d] .....     8.%06d: name_%d: x\n" % (i % 7, i, i) for i in range(90_000))
    log.write_bytes(b"".join(lines))
    assert parsed(log, None) == parsed(log, SCANNER)


# --- logs ------------------------------------------------------------------------------------------------------------


def facts(log: Path, scanner: stored.Extension | None) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, Log.open(str(log)) as opened:
        patch.setattr(stored, "scanner", lambda: scanner)
        yield from [repr(fact) for fact in replay(opened, Options())]


@built
@pytest.mark.parametrize("log", [log for log in LOGS if log.stat().st_size < 100_000], ids=name)
def test_a_replay_says_the_same_with_and_without_it(log: Path) -> None:
    try:
        expected = list(facts(log, None))
    except Exception as error:
        with pytest.raises(type(error)):
            list(facts(log, SCANNER))
    else:
        assert list(facts(log, SCANNER)) == expected


# --- fields ----------------------------------------------------------------------------------------------------------

PAYLOADS = [
    b"(mmput+0x0/0x30) mm=0xff users=0",
    b"(mm_init_ret+0x1930/0x1ae0 <- mm_init) mm=0xff110000053f8900 users=1 count=1 next= prev=0x1",
    b'(f) comm="a b" pid=1 x=',
    b'(f) task=0x1 comm="perf "exec" mm=0x2" mm=0x2',
    b'a="x"',
    b'a="" b=1',
    b'a="x y=1" b="z" c=2',
    b"mm=0x1 $stack=0x2 1x=3",
    b"single=",
]
PAIRS = [b" ", b'"', b"=", b'" b=', b"(", b")", b"\n", b"\0", b" a=1", b"mm=", b'="', b'" ']


def shapes(learned: bytes, scanner: stored.Extension | None, texts: list[bytes]) -> list[dict[str, bytes]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored, "scanner", lambda: scanner)
        payload.forget()
        at = At(1, 0, 0, 0, 1, b"")
        return [payload.fields(Record(at, "probe", args)) for args in (learned, *texts)]


@built
@settings(max_examples=1500, deadline=None)
@given(data=st.data())
def test_fields_of_mutated_payloads_are_those_of_the_patterns(data: st.DataObject) -> None:
    learned = data.draw(st.sampled_from(PAYLOADS))
    texts = [learned]
    for _ in range(data.draw(st.integers(1, 4))):
        args = data.draw(st.sampled_from([learned, *PAYLOADS]))
        for _ in range(data.draw(st.integers(0, 3))):
            at, put = data.draw(st.integers(0, len(args))), data.draw(st.sampled_from([b"", *PAIRS]))
            args = args[:at] + put + args[at + data.draw(st.integers(0, 3)) :]
        texts.append(args)
    found, expected = shapes(learned, SCANNER, texts), shapes(learned, None, texts)
    assert found == expected
    assert [list(one) for one in found] == [list(one) for one in expected]


@built
@given(st.lists(st.sampled_from(SKIMMED), max_size=40).map(b"".join))
def test_skimmed_names_are_those_that_the_pattern_finds(data: bytes) -> None:
    found: set[bytes] = set()
    elsewhere = SCANNER.skim(data, found)
    assert found == set(skim._NAMES[0].findall(data))
    assert elsewhere or not any(pattern.search(data) for pattern in skim._NAMES[1:])
    assert SCANNER.newlines(data) == data.count(b"\n")
