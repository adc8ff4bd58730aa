"""Each fixture replays as its expectation says; none is left without one, and none of those without a log."""

from pathlib import Path

import pytest

from mmlist import expectation
from mmlist.cli.check import check_one
from mmlist.replay.invariants import collect

ROOT = Path(__file__).parent.parent
FIXTURES = sorted(expectation.fixtures(ROOT / "fixtures"))
SLUGS = {invariant.slug: invariant.code for invariant in collect()}


def name(log: Path) -> str:
    return str(log.relative_to(ROOT / "fixtures"))


def slug_of(log: Path) -> str | None:
    return max((slug for slug in SLUGS if log.name.startswith((f"{slug}.", f"{slug}-"))), key=len, default=None)


@pytest.mark.parametrize("log", FIXTURES, ids=name)
def test_fixture_replays_as_expected(log: Path) -> None:
    told = check_one(log)
    assert not told, f"\n{told}"


@pytest.mark.parametrize("log", [log for log in FIXTURES if log.parent.name == "violating"], ids=name)
def test_violating_fixture_violates_what_it_is_named_by(log: Path) -> None:
    stated = expectation.load(expectation.expectation_of(log))
    assert SLUGS[slug_of(log)] in {violation["code"] for violation in stated["violation"]}


@pytest.mark.parametrize("log", [log for log in FIXTURES if log.parent.name == "conforming"], ids=name)
def test_conforming_fixture_expects_no_violation(log: Path) -> None:
    stated = expectation.load(expectation.expectation_of(log))
    assert not [one for one in stated.get("violation", []) if one.get("certainty") != "undecided"]


@pytest.mark.parametrize("folder", ["violating", "conforming"])
def test_every_invariant_has_fixtures(folder: str) -> None:
    """One that violates it, and a near-miss that conforms."""
    have = {slug_of(log) for log in FIXTURES if log.parent.name == folder}
    assert sorted(set(SLUGS) - have) == []


def test_no_expectation_is_left_alone() -> None:
    known = {expectation.expectation_of(log) for log in FIXTURES}
    assert sorted(set((ROOT / "fixtures").rglob("*.expected")) - known) == []
