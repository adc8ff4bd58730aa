"""How often mmlist is right: correct histories and seeded bugs of simulated kernels, and what the replay says of them.

    python bench/score.py [--small 20] [--seeds 2] [--large 0] [--jobs 2] [-o docs/score.md]

Three things are measured in each cell (profile x view): false alarms on correct histories, seeded bugs that were found,
and whether the first root violation names the bug. Nothing is random but by seed: the same options print the same page.

    quick   python bench/score.py                          three minutes on two cores
    whole   python bench/score.py --small 1000 --seeds 10 --large 5
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

import mmlist
from mmlist.replay.simulate import BUGS, PROFILES, Bug, Settings, Simulation

LARGE = 1_000_000
LINES = 3000
LOSS = 0.004
EARLY = 0.75
"""The part of a log in which its bug has to go wrong first: what it does later may show only after the log's end."""
CAPPED = frozenset({"D3", "D7"})
"""Invariants that are at most likely by their nature (docs/invariants)."""
ROOT = Path(__file__).parent.parent


class View(msgspec.Struct, frozen=True):
    """A way of looking at a kernel: which events, and what befalls the log."""

    name: str
    view: str
    profiles: tuple[str, ...] = PROFILES
    loss: float = 0.0
    ties: float = 0.0
    cpus: int = 2
    implicit: bool = False  # no mmlist_add, mmlist_del, mmlist_drain: the model joins and removes itself
    omits: bool = False  # some event names at random: no two kernels let the same be probed


_NAME = re.compile(r"\d: (?:\w+:)?(\w+): ")
"""The event name of a line, in the tracefs dialect."""

VIEWS = (
    View("explicit", "explicit"),
    View("explicit, implied list", "explicit", implicit=True),
    View("explicit, 4 CPUs, ties", "explicit", ties=0.2, cpus=4),
    View("explicit, loss", "explicit", loss=LOSS),
    View("probes and hooks", "both", ("modern",)),
    View("probes", "probes", ("modern",)),
    View("probes, 4 CPUs, ties", "probes", ("modern",), ties=0.2, cpus=4),
    View("probes, loss", "probes", ("modern",), loss=LOSS),
    View("explicit, 4 CPUs, ties, loss", "explicit", ties=0.2, cpus=4, loss=LOSS),
    View("probes, 4 CPUs, ties, loss", "probes", ("modern",), ties=0.2, cpus=4, loss=LOSS),
    View("probes and hooks, names left out", "both", ("modern",), omits=True),
    View("probes, 4 CPUs, ties, names left out", "probes", ("modern",), ties=0.2, cpus=4, omits=True),
    View("probes, loss, names left out", "probes", ("modern",), loss=LOSS, omits=True),
)
BUG_VIEWS = tuple(view for view in VIEWS if not (view.ties or view.implicit or view.omits))


class Job(msgspec.Struct, frozen=True):
    """One log to be made and replayed."""

    view: str
    settings: Settings


class Outcome(msgspec.Struct, frozen=True):
    """What came of it. `roots`: (code, certainty, line) of the decisive root violations, by line; `wrong`: all others."""

    job: Job
    fired: bool
    expected: tuple[str, ...]
    line: int | None
    verdict: str
    roots: tuple[tuple[str, str, int], ...]
    errors: tuple[tuple[str, str, int], ...]  # of severity E, roots or not


def main() -> None:
    """Measure, print, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=20, help="correct histories a cell")
    parser.add_argument("--seeds", type=int, default=2, help="histories a bug and cell")
    parser.add_argument("--large", type=int, default=0, help=f"correct histories of {LARGE} lines")
    parser.add_argument("--lines", type=int, default=LINES, help="lines of a small history")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--bug", action="append", help="only this bug (repeatable), and no correct histories")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "score.md")
    given = parser.parse_args()
    jobs = [*correct(given.small, given.large, given.lines)] if not given.bug else []
    jobs += seeded(given.seeds, given.lines, given.bug or list(BUGS))
    with multiprocessing.Pool(given.jobs) as pool:
        outcomes = list(progress(pool.imap(measure, jobs, chunksize=4), len(jobs)))
    page = report(outcomes, given)
    print(page)
    if not given.bug:
        given.output.write_text(page, encoding="utf-8")


def correct(small: int, large: int, lines: int) -> Iterator[Job]:
    """Correct histories: `small` a cell, `large` in all."""
    for view in VIEWS:
        for profile in view.profiles:
            for seed in range(small):
                yield Job(view.name, settings_of(view, profile, seed, lines))
    for seed in range(large):
        view = VIEWS[(0, 2, 3, 5, 7)[seed % 5]]
        yield Job(view.name, settings_of(view, view.profiles[seed % len(view.profiles)], seed, LARGE))


def seeded(seeds: int, lines: int, names: Iterable[str]) -> Iterator[Job]:
    """Each bug under each profile that has it, in each view that can show it."""
    for name, view in itertools.product(names, BUG_VIEWS):
        bug = BUGS[name]
        if view.view not in bug.views:
            continue
        for profile in view.profiles:
            if profile in bug.profiles:
                for seed in range(1000, 1000 + seeds):
                    yield Job(view.name, settings_of(view, profile, seed, lines, bug))


def settings_of(view: View, profile: str, seed: int, lines: int, bug: Bug | None = None) -> Settings:
    """The simulation of one cell; every other correct history carries lock events, in the explicit views."""
    omit = frozenset({"mmlist_add", "mmlist_del", "mmlist_drain"}) if view.implicit else frozenset[str]()
    locks = bug.locks if bug is not None else view.view == "explicit" and seed % 2 == 1
    settings = Settings(
        profile=profile,
        seed=seed,
        lines=lines * (5 if bug is not None and bug.rare else 1),
        view=view.view,
        loss=view.loss,
        ties=view.ties,
        cpus=view.cpus,
        locks=locks,
        omit=omit,
        bug=bug.name if bug is not None else None,
        pace=bug.pace if bug is not None else 12,
    )
    return msgspec.structs.replace(settings, omit=omit | left_out(settings)) if view.omits else settings


def left_out(settings: Settings) -> frozenset[str]:
    """Up to eight of the event names that the log of `settings` has, by its seed."""
    names = sorted({found[1] for line in Simulation(settings).lines() if (found := _NAME.search(line))})
    chance = random.Random(settings.seed)
    return frozenset(chance.sample(names, chance.choice((1, 1, 2, 3, 5, 8))))


def measure(job: Job) -> Outcome:
    """Simulate, replay, compare."""
    simulation = Simulation(job.settings)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log")
        with path.open("w", encoding="utf-8") as log:
            log.writelines(line + "\n" for line in simulation.lines())
        found = mmlist.run(path, mmlist.Options(profile=job.settings.profile))
    truth = simulation.truth()
    decisive = sorted(found.decisive("EW"), key=lambda violation: (violation.at.line, violation.id))
    said = [(v.severity, v.follows_from, (v.code, v.certainty, v.at.line)) for v in decisive]
    expected = (truth.root, *truth.also) if truth.root is not None else ()
    return Outcome(
        job,
        truth.line is not None and truth.line < EARLY * truth.lines,
        expected,
        truth.line,
        found.run.verdict,
        tuple(what for _, follows, what in said if follows is None),
        tuple(what for severity, _, what in said if severity == "E"),
    )


def progress(outcomes: Iterable[Outcome], total: int) -> Iterator[Outcome]:
    """Pass `outcomes` on, telling how far it is."""
    for number, outcome in enumerate(outcomes, 1):
        if number % 100 == 0 or number == total:
            print(f"\r{number}/{total}", end="", file=sys.stderr, flush=True)
        yield outcome
    print(file=sys.stderr)


def report(outcomes: list[Outcome], given: argparse.Namespace) -> str:
    """The page."""
    right = [outcome for outcome in outcomes if outcome.job.settings.bug is None]
    wrong = [outcome for outcome in outcomes if outcome.job.settings.bug is not None]
    return "\n".join(
        [
            "# Score: how often mmlist is right",
            "",
            "Measured by `make score` (bench/score.py) on simulated kernels (`mmlist simulate`), which share no code with",
            f"the model: {len(right):,} correct histories, {len(wrong):,} with one seeded bug, {given.lines:,} lines each"
            + (f", {given.large} of {LARGE:,} lines." if given.large else "."),
            "Written by the program: run it again rather than editing.",
            "",
            *false_alarms(right),
            *summary(wrong, right),
            *matrix(wrong),
        ]
    )


def cells(outcomes: list[Outcome]) -> Iterator[tuple[str, str, list[Outcome]]]:
    """(view, profile, outcomes), in the order of VIEWS."""
    for view in VIEWS:
        for profile in view.profiles:
            some = [o for o in outcomes if o.job.view == view.name and o.job.settings.profile == profile]
            if some:
                yield view.name, profile, some


def false_alarms(right: list[Outcome]) -> Iterator[str]:
    """Correct histories that were accused."""
    yield from ("## Correct histories", "")
    yield "| view | profile | histories | conforming | unknown | false E violations | accused by (seeds) |"
    yield "|---|---|---:|---:|---:|---:|---|"
    for view, profile, some in cells(right):
        verdicts = Counter(outcome.verdict for outcome in some)
        accused = [outcome for outcome in some if outcome.roots]
        by = Counter(root[:2] for outcome in accused for root in outcome.roots)
        seeds = ", ".join(str(outcome.job.settings.seed) for outcome in accused[:6])
        told = "; ".join(f"{count} {code} {certainty}" for (code, certainty), count in by.most_common())
        told += f" ({seeds})" if seeds else ""
        false = sum(len(outcome.errors) for outcome in some)
        row = (view, profile, len(some), verdicts["conforming"], verdicts["unknown"], false, told)
        yield "| " + " | ".join(map(str, row)) + " |"
    yield ""


def before_the_bug(outcome: Outcome) -> list[tuple[str, str, int]]:
    """Violations at lines before the seeded step: they accuse what was right."""
    if outcome.line is None:
        return []
    return [root for root in outcome.roots if root[2] < outcome.line and not outcome.job.settings.ties]


def summary(wrong: list[Outcome], right: list[Outcome]) -> Iterator[str]:
    """Recall, precision, root-cause rate."""
    yield from ("## Seeded bugs", "")
    yield f"A history counts where the bug's step went wrong in the first {100 * EARLY:.0f} % of its lines. Recall: something is"
    yield "found. Root: the first root violation has the code that names the bug. Precision: of all histories accused, those"
    yield "with a bug, none of whose violations stands before it. Capped: proven, or named by what cannot be (D3, D7)."
    yield ""
    yield "| view | profile | bugs | histories | recall | proven | capped | root | precision |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|"
    for view, profile, some in cells(wrong):
        fired = [outcome for outcome in some if outcome.fired]
        found = [outcome for outcome in fired if outcome.roots]
        proven = [outcome for outcome in found if any(root[1] == "proven" for root in outcome.roots)]
        named = [outcome for outcome in found if outcome.roots[0][0] in outcome.expected]
        same = [o for o in right if o.job.view == view and o.job.settings.profile == profile]
        false = sum(bool(o.roots) for o in same) + sum(bool(before_the_bug(o)) for o in fired)
        false += sum(bool(o.roots) for o in some if o.line is None)
        bugs = len({outcome.job.settings.bug for outcome in fired})
        capped = [outcome for outcome in named if outcome.roots[0][0] in CAPPED and outcome not in proven]
        rates = [share(count, len(fired)) for count in (len(found), len(proven), len(proven) + len(capped))]
        rates += [share(len(named), len(found)), share(len(found), len(found) + false)]
        yield "| " + " | ".join([view, profile, str(bugs), str(len(fired)), *rates]) + " |"
    yield ""


def matrix(wrong: list[Outcome]) -> Iterator[str]:
    """Bug x view: the first root violation of each history."""
    views = [view.name for view in BUG_VIEWS]
    for profile in PROFILES:
        some = [outcome for outcome in wrong if outcome.job.settings.profile == profile]
        if not some:
            continue
        yield from (f"## Kill matrix: {profile}", "")
        yield "The codes of the first root violations, `p` proven, `l` likely; **bold** names the bug; - is not found, ? unknown,"
        yield ". did not happen."
        yield ""
        shown = [view for view in views if any(outcome.job.view == view for outcome in some)]
        yield "| bug | named by | " + " | ".join(shown) + " |"
        yield "|---|---|" + "---|" * len(shown)
        for name, bug in BUGS.items():
            rows = [outcome for outcome in some if outcome.job.settings.bug == name]
            if rows:
                told = [cell([outcome for outcome in rows if outcome.job.view == view]) for view in shown]
                yield f"| {name} | {'/'.join((bug.root, *bug.also))} | " + " | ".join(told) + " |"
        yield ""


def cell(outcomes: list[Outcome]) -> str:
    """What the histories of one bug in one view came to."""
    if not outcomes:
        return ""
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        if not outcome.fired:
            counts["."] += 1
        elif not outcome.roots:
            counts["-" if outcome.verdict == "conforming" else "?"] += 1
        else:
            code, certainty, _ = outcome.roots[0]
            told = f"{code}{certainty[0]}"
            counts[f"**{told}**" if code in outcome.expected else told] += 1
    return ", ".join(f"{text} x{count}" if count > 1 else text for text, count in counts.most_common())


def share(part: int, whole: int) -> str:
    """A share in per cent; a dash of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


if __name__ == "__main__":
    main()
