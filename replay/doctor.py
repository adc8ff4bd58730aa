"""What a log can decide: for each invariant whether all it takes is in the log, some of it, or too little.

The same reasoning as a replay's, told before anything is accused: `needs` decides whether an invariant is checked at all,
`Carries` (survey.py) how certain its findings can be, and what the log says of its own losses and clock bounds them all.
"""

from __future__ import annotations

import msgspec

from mmlist.replay.advice import advice
from mmlist.replay.history import History
from mmlist.replay.log import Log
from mmlist.replay.model.carries import Carries
from mmlist.replay.options import Options

DECIDABLE, PARTLY, NOT = "decidable", "partly", "not"

_GAIN: tuple[tuple[str, str, str], ...] = (
    ("joins_explicit", "mmlist_add", "M1 M2 M3 M4 M6 M7 M8 M9 M10 M11 D3 D4"),
    ("leaves_explicit", "mmlist_del", "M2 M5 M6 M9 M10 D2 D3"),
    ("drain_explicit", "mmlist_drain", "D1 D2 D3 D4"),
    ("clears_explicit", "swap_clear", "M1 D5 D6 S2 S4 S5"),
    ("unuse_clears", "swap_clear with why=unuse", "D5 D6 S2 S4 S5"),
    ("releases_visible", "swap_free and free_swap_and_cache", "M1 D1 D5 S2"),
    ("duplicates_visible", "swap_duplicate", "M1 M3 S1"),
    ("counts_visible", "swap_duplicate, swap_free and free_swap_and_cache", "S1 S2 S3"),
    ("gets_explicit", "mmget and mmput", "C1 C4 C6"),
    ("grabs_explicit", "mmgrab and mmdrop", "C5"),
    ("births", "mm_init", "C2 C3 D9 M1 M4 M9 M11"),
    ("exit_visible", "exit_mmap", "M5 D10 B3 D2"),
    ("swapons_visible", "swapon and swapon_ret", "M1 D1 D5 D7 S4"),
    ("swapoffs_visible", "swapoff", "M1 M5 M9 D2"),
    ("swapoffs_complete", "swapoff_ret", "M5 M9"),
)
"""(field of Carries, the events that give it, the invariants that are more certain with it)."""


class Diagnosis(msgspec.Struct):
    """One invariant: `state` is decidable, partly or not; `missing` are sentences, `add` events that would help."""

    code: str
    slug: str
    state: str
    missing: list[str]
    add: list[str]


class Health(msgspec.Struct):
    """What a log can decide. `bounds` are sentences that hold for all of it, `better` what to do at the next capture."""

    name: str
    profile: str
    bounds: list[str]
    diagnoses: list[Diagnosis]
    better: list[str]

    @property
    def advice(self) -> list[tuple[str, list[str]]]:
        """Events to add, and the codes that gain by each; those that gain most first."""
        gains: dict[str, list[str]] = {}
        for diagnosis in self.diagnoses:
            for event in diagnosis.add:
                gains.setdefault(event, []).append(diagnosis.code)
        return sorted(gains.items(), key=lambda item: (-len(item[1]), item[0]))


def examine(log: Log, options: Options | None = None) -> Health:
    """Read `log` to its end and say what it can decide. Raises InputError and OptionError as a replay does."""
    history = History(log, options or Options())
    for _ in history.facts():
        pass
    carries = history.survey.carries
    diagnoses = [
        diagnose(status.code, status.slug, status.status, status.reason, carries) for status in history.checked
    ]
    return Health(log.name, history.survey.profile.name, _bounds(history), diagnoses, advice(history))


def diagnose(code: str, slug: str, status: str, reason: str, carries: Carries) -> Diagnosis:
    """What can be said of one invariant: its `status` and `reason` as in facts.Checked, and what the log `carries`."""
    if status != "checked":
        _, found, names = reason.partition("the log has none of ")
        return Diagnosis(code, slug, NOT, [reason], [f"one of {names}"] if found else [])
    lacking = [event for field, event, codes in _GAIN if code in codes.split() and not getattr(carries, field)]
    if not lacking:
        return Diagnosis(code, slug, DECIDABLE, [], [])
    return Diagnosis(
        code, slug, PARTLY, ["from what is fetched or inferred: there is no " + ", no ".join(lacking)], lacking
    )


def _bounds(history: History) -> list[str]:
    found = []
    kit = history.setup.kit
    if kit.loses and kit.loss in history.losses:
        found.append(
            "events may be missing anywhere: what rests on more than one line is undecided, the verdict unknown"
        )
    elif history.losses["one_cpu"]:
        found.append(
            "the lines of one CPU alone, of several: give all of them (trace, not per_cpu/cpu0/trace; trace-cmd report"
            " without --cpu); until then the verdict is unknown"
        )
    elif history.losses["unfreed"]:
        found.append(
            "mms are freed that the log does not show: was it recorded of some tasks alone (trace-cmd record -F or -P,"
            " set_event_pid)? record all tasks; until then the verdict is unknown"
        )
    elif history.losses["unentered"] or history.losses["unborn"]:
        found.append(
            "calls return that never began, or tasks appear that were never forked: was the log paused, filtered or cut,"
            " or printed without what it lost (perf script --show-lost-events shows it)? until then the verdict is unknown"
        )
    elif history.losses:
        found.append("events were lost: what rests on one not having come is undecided around each loss")
    if not history.judge.reports_loss:
        found.append("the dialect does not say when events are lost: nothing that rests on absence is proven")
    if kit.holes:
        found.append("probes may have missed calls: nothing that a call would explain is proven")
    if history.survey.clock == "local":
        found.append("clock local: the order across CPUs is not certain within 10 microseconds")
    elif history.survey.clock is None:
        found.append("the log does not say its clock: lines of equal time on two CPUs may have come in either order")
    if history.survey.mmlist_offset is None:
        found.append("the offset of mmlist in mm_struct is unknown: fetched links are not read (--mmlist-offset)")
    if history.state.head_address is None:
        found.append("init_mm's address is unknown: where the list begins is not read (--init-mm)")
    return found
