"""A capture's bundle: its log, and what the other parts take from its certainty."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mmlist
from mmlist.replay import bundle, parts

FIXTURES = Path(__file__).parent.parent / "fixtures"
RANK = {"undecided": 0, "likely": 1, "proven": 2}
LOG = (FIXTURES / "violating" / "unlisted-swap-holder.trace").read_bytes()
CALM = (FIXTURES / "conforming" / "never-drained-and-joins-again.trace").read_bytes()
HEADER = b'# mmlist-capture: {"release": "6.1.0", "events": ["mmput"]%s}\n'
WHOLE = {
    parts.KPROBE_PROFILE: b"  mmput    224   0\n  swap_duplicate   12   0\n",
    parts.STATS_BEFORE: b"# cpu0\nentries: 0\noverrun: 5\ndropped events: 0\n",
    parts.STATS_AFTER: b"# cpu0\nentries: 35\noverrun: 5\ndropped events: 0\n",
    parts.SYMBOLS: b"ffffffffa1e00000 T _text\nffffffffa3b69140 D init_mm\n",
    parts.CLOCK: b"mono\n",
}


def packed(path: Path, log: bytes, beside: dict[str, bytes]) -> Path:
    """A bundle, its log in the middle."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in [*list(beside.items())[:2], (parts.TRACE, log), *list(beside.items())[2:]]:
            member = tarfile.TarInfo(f"capture/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def certainties(path: Path) -> dict[str, int]:
    """The best certainty of each code."""
    best: dict[str, int] = {}
    for violation in mmlist.run(path).violations:
        best[violation.code] = max(best.get(violation.code, 0), RANK[violation.certainty])
    return best


def test_a_whole_bundle_is_judged_as_its_log(tmp_path: Path) -> None:
    report = mmlist.run(packed(tmp_path / "b.tar.gz", LOG, WHOLE))
    assert [(v.code, v.certainty) for v in report.violations] == [("M1", "proven")]
    assert (report.run.init_mm, report.run.clock) == (0xFFFFFFFFA3B69140, "mono")


def test_where_probes_missed_calls_nothing_that_rests_on_absence_is_proven(tmp_path: Path) -> None:
    missed = {**WHOLE, parts.KPROBE_PROFILE: b"  mmput    224   3\n"}
    assert certainties(packed(tmp_path / "b.tar.gz", LOG, missed)) == {"M1": RANK["likely"]}


@pytest.mark.parametrize(
    ("swaps", "certainty"),
    [
        (b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n", "proven"),
        (b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/vda   partition 65532 0 -2\n", "undecided"),
        (b"Filename\t\t\t\tType\t\tSi", "undecided"),
        (b"", "undecided"),
    ],
)
def test_types_are_counted_for_certain_where_no_area_was_in_use_before(
    tmp_path: Path, swaps: bytes, certainty: str
) -> None:
    log = (FIXTURES / "unknown" / "swapoff-left-entries-counted.trace").read_bytes()
    beside = {**WHOLE, parts.DEFINITIONS: b"p:mmlist/mmput mmput mm=$arg1:x64\n", parts.SWAPS_BEFORE: swaps}
    assert certainties(packed(tmp_path / "b.tar.gz", log, beside))["D5"] == RANK[certainty]


def test_no_birth_was_missed_where_the_kernel_counted_what_each_probe_missed(tmp_path: Path) -> None:
    """It does so of kprobes, and of fprobes nowhere."""
    log = (FIXTURES / "violating" / "users-raised-from-zero-stock.trace").read_bytes()
    for kind, certainty in ((b"p", "proven"), (b"f", "likely")):
        probes = {
            parts.DEFINITIONS: kind + b":mmlist/mm_init mm_init mm=$arg1:x64\n",
            parts.KPROBE_PROFILE: b"  mm_init 3 0\n" if kind == b"p" else b"  other 3 0\n",
        }
        assert certainties(packed(tmp_path / "b.tar.gz", log, WHOLE | probes))["C2"] == RANK[certainty]


def test_events_that_only_the_buffers_statistics_know_of_are_a_loss(tmp_path: Path) -> None:
    lossy = {**WHOLE, parts.STATS_AFTER: b"# cpu0\noverrun: 7\ndropped events: 0\n"}
    assert certainties(packed(tmp_path / "b.tar.gz", LOG, lossy)) == {"M1": RANK["undecided"]}
    run = mmlist.run(packed(tmp_path / "c.tar.gz", CALM, lossy)).run
    assert run.verdict == "unknown"
    assert run.reason.startswith("the buffers lost events that no line of the log speaks of")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sets(st.sampled_from(sorted(WHOLE))), st.dictionaries(st.sampled_from(parts.ALL[1:]), st.binary(max_size=60)))
def test_no_part_that_is_gone_or_garbage_makes_a_claim_more_certain(
    tmp_path: Path, gone: set[str], garbage: dict[str, bytes]
) -> None:
    beside = {name: content for name, content in WHOLE.items() if name not in gone} | garbage
    found = certainties(packed(tmp_path / "b.tar.gz", LOG, beside))
    assert set(found) <= {"M1"}
    complete = {parts.KPROBE_PROFILE, parts.STATS_BEFORE, parts.STATS_AFTER}.isdisjoint(gone | garbage.keys())
    assert found.get("M1", 0) <= RANK["proven" if complete or not beside else "likely"]


@pytest.mark.parametrize(
    ("gone", "certainty"),
    [(parts.KPROBE_PROFILE, "likely"), (parts.STATS_BEFORE, "undecided"), (parts.STATS_AFTER, "undecided")],
)
def test_a_bundle_that_does_not_say_what_is_missing_proves_no_absence(
    tmp_path: Path, gone: str, certainty: str
) -> None:
    beside = {name: content for name, content in WHOLE.items() if name != gone}
    assert certainties(packed(tmp_path / "b.tar.gz", LOG, beside)) == {"M1": RANK[certainty]}


@pytest.mark.parametrize(
    ("said", "certainty"),
    [
        ("", "undecided"),
        (', "missed": {}', "undecided"),
        (', "lost": 0', "likely"),
        (', "lost": true, "missed": {}', "undecided"),
        (', "lost": -1, "missed": {}', "undecided"),
        (', "lost": 0, "missed": {"mmput": "none"}', "likely"),
        (', "lost": 2, "missed": {}', "undecided"),
        (', "lost": 0, "missed": {"mmput": 2}', "likely"),
        (', "lost": 0, "missed": {}', "proven"),
    ],
)
def test_a_log_of_the_kit_proves_an_absence_only_where_it_says_that_nothing_is_missing(
    tmp_path: Path, said: str, certainty: str
) -> None:
    path = tmp_path / "trace.txt"
    path.write_bytes(HEADER % said.encode() + LOG)
    assert certainties(path) == {"M1": RANK[certainty]}


def test_a_log_of_the_kit_without_statistics_does_not_conform(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_bytes(HEADER % b"" + CALM)
    run = mmlist.run(path).run
    assert (run.verdict, run.reason.partition(" (")[0]) == (
        "unknown",
        "nothing says whether the buffers lost events",
    )


@pytest.mark.parametrize("name", ["count-underflow", "broken-ring", "unlisted-swap-holder", "double-join"])
def test_where_probes_missed_calls_no_line_contradicts_another_for_sure(tmp_path: Path, name: str) -> None:
    """All but what a line says by itself: a call that a probe missed may stand between the two."""
    logs = [path.read_bytes() for path in sorted((FIXTURES / "violating").glob(f"{name}*.trace"))]
    assert logs
    for log in logs:
        missed = packed(tmp_path / "b.tar.gz", log, {**WHOLE, parts.KPROBE_PROFILE: b"  mmput    224   3\n"})
        for violation in mmlist.run(missed).violations:
            assert violation.certainty != "proven" or violation.reason == "the line says it by itself"


def test_of_a_hidden_address_nothing_is_known() -> None:
    assert bundle.read({parts.SYMBOLS: b"0000000000000000 D init_mm\n"}).header == {}


def test_an_archive_of_parts_without_a_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo(parts.CLOCK)
        member.size = 5
        archive.addfile(member, io.BytesIO(b"mono\n"))
    with pytest.raises(mmlist.InputError, match="without a log"):
        mmlist.run(path)
