"""What is never a violation (the invariants' list of it): each kind has conforming fixtures, in explicit events and by probes."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmlist import expectation

CONFORMING = Path(__file__).parent.parent / "fixtures" / "conforming"

NEVER = {
    "on mmlist with no entry left": "member-without-entries",
    "on mmlist with mm_users 0 until exit_mmap is done": "member-while-exiting",
    "a dying mm joins during its exit_mmap": "joins-while-exiting",
    "a dying mm is drained": "drained-while-exiting",
    "an exec mm joins before a task owns it": "exec-joins-before-owned",
    "unlocked list_empty": "unlocked-list-empty",
    "mmput of another task's mm": "mmput-by-others",
    "a child no longer next to its parent": "child-not-next-to-parent",
    "several swapoff passes": "several-passes",
    "swapoff holds a child whose fork is not finished": "walks-child-being-forked",
    "pte types that no swapon named": "entries-of-no-area",
    "KSM pages shared by several mms": "ksm-page",
    "shmem entries": "shmem-entry",
    "swap-cache-only entries": "cache-only-entry",
    "inuse above the known slots": "inuse-above-known",
    "drain then rejoin": "drained-and-joins-again",
    "list_del of a self-linked node": "removal-of-self-linked",
    "the struct freed long after the final put": "freed-late",
    "two swapoffs side by side, of which only the last drains": "two-swapoffs-one-drain",
    "time going backwards across CPUs": "backwards-across-cpus",
}


@pytest.mark.parametrize("seen", ["", "-probes"])
@pytest.mark.parametrize("kind", NEVER)
def test_what_is_never_a_violation_has_a_fixture_that_expects_none(kind: str, seen: str) -> None:
    stated = expectation.load(CONFORMING / f"never-{NEVER[kind]}{seen}.expected")
    assert stated.get("violation") == []


def test_no_fixture_of_what_is_never_a_violation_stands_apart() -> None:
    named = {f"never-{slug}{seen}" for slug in NEVER.values() for seen in ("", "-probes")}
    assert {path.stem for path in CONFORMING.glob("never-*.trace")} == named | {"never-a-violation"}
