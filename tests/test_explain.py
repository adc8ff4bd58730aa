"""The explanation of a violation: data first, words last."""

from typing import Any

import click
import pytest

from mmlist.cli import explain as command
from mmlist.replay.explain import as_rows, explain, first_root, sentence
from mmlist.replay.facts import Violation, Witness
from mmlist.replay.record import At

MM = 0xFFFF888003A1C000


def at(line: int, **other: Any) -> At:
    return At(**{"line": line, "offset": 0, "ts": line * 1_000_000, "cpu": 1, "pid": 77, "comm": b"stress"} | other)


def violation(id_: int = 1, **other: Any) -> Violation:
    steps = [
        Witness(at(3), "joined here", "list_add", text=b" stress-77 mmlist_add: mm=0xffff888003a1c000"),
        Witness(at(5), "joined again here", "list_add", "it is linked", "the adder tests again", b"raw \x1b[31m\xff"),
    ]
    values = {
        **{"id": id_, "code": "M2", "slug": "double-join", "severity": "E", "certainty": "proven", "at": at(5)},
        **{"last_line": 9, "count": 2, "mm": MM, "generation": 1, "entry": None, "type": None, "follows_from": None},
        **{"signature": "M2: a > b", "message": "added twice", "reason": "the lines contradict", "witness": steps},
    }
    return Violation(**values | other)


def rows(*found: Violation) -> list[dict[str, Any]]:
    return [as_rows(one, "log.txt")[0] for one in found]


def shown_as_text(one: Violation) -> str:
    return click.unstyle("\n".join(command.render(explain(*as_rows(one, "log.txt")), "ns")))


def test_steps_are_numbered_and_complete() -> None:
    found = explain(*as_rows(violation(), "log.txt"))
    assert [(step.number, step.file, step.line, step.role) for step in found.steps] == [
        (1, "log.txt", 3, "joined here"),
        (2, "log.txt", 5, "joined again here"),
    ]
    assert (found.steps[1].state, found.steps[1].should) == ("it is linked", "the adder tests again")
    assert found.mm == hex(MM)


def test_original_bytes_are_untouched() -> None:
    found = explain(*as_rows(violation(), "log.txt"))
    assert found.steps[1].text == b"raw \x1b[31m\xff"


def test_cause_and_echoes_are_named() -> None:
    root, middle, leaf = violation(1), violation(2, follows_from=1, code="M1"), violation(3, follows_from=2)
    known = rows(root, middle, leaf)
    found = explain(*as_rows(middle, "log.txt"), known)
    assert found.follows_from is not None
    assert found.follows_from.id == 1
    assert [one.id for one in found.causes] == [3]
    assert explain(*as_rows(root, "log.txt"), known).follows_from is None


@pytest.mark.parametrize(
    ("others", "wanted"),
    [
        ([], None),
        ([violation(1, follows_from=2), violation(2)], 2),
        ([violation(1, certainty="undecided"), violation(2)], 2),
        ([violation(1, severity="W"), violation(2, certainty="likely")], 2),
        ([violation(1, certainty="undecided"), violation(2, severity="W")], 1),
    ],
)
def test_first_root_is_what_decides_the_verdict(others: list[Violation], wanted: int | None) -> None:
    found = first_root(rows(*others))
    assert (found and found["id"]) == wanted


def test_sentence_names_the_function_that_did_it() -> None:
    first = explain(*as_rows(violation(), "log.txt")).steps[0]
    assert sentence(first) == "joined here, in list_add()"
    first.site = "the end of the log"
    assert sentence(first) == "joined here (the end of the log)"


def test_text_shows_line_place_and_what_should_have_been() -> None:
    text = shown_as_text(violation())
    assert (
        "1. joined here, in list_add()\n   log.txt:3  0.003000  CPU 1  pid 77 (stress)\n   |  stress-77 mmlist_add"
        in text
    )
    assert "before: it is linked\n   should: the adder tests again" in text
    assert "proven: the lines contradict" in text
    assert "2 times, last at line 9" in text


def test_text_escapes_what_a_terminal_would_obey() -> None:
    text = shown_as_text(violation())
    assert r"| raw \x1b[31m\xff" in text
    step = violation(at=at(5, comm=b"\x1b]0;evil\x07"))
    step.witness[0].at = at(3, comm=b"\x1b]0;evil\x07")
    assert "\x1b" not in shown_as_text(step)


@pytest.mark.parametrize(("unit", "shown"), [("ns", "0.003000"), ("raw", "3000000"), ("none", "CPU 1")])
def test_text_shows_time_as_the_clock_has_it(unit: str, shown: str) -> None:
    text = list(command.render(explain(*as_rows(violation(), "log.txt")), unit))
    place = next(line for line in text if "log.txt:3" in line)
    assert place.strip().removeprefix("log.txt:3").strip().startswith(shown)


def test_text_says_when_a_line_was_not_kept() -> None:
    one = violation()
    one.witness[0].text = None
    assert "(the line was not kept)" in shown_as_text(one)
