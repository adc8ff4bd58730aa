"""A violation explained: what contradicts what, as data. How it is shown is said elsewhere.

A pure function from a violation, its witness and the other violations of the run, each a mapping keyed by the columns
of `v_violation` and `v_witness`; so it explains a stored run as well as a fresh one (`as_rows`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from mmlist.replay.facts import Violation
from mmlist.replay.record import At

Row = Mapping[str, Any]


class Step(msgspec.Struct):
    """One line of the evidence. `text` is its untouched bytes, None where they were not kept.

    `place` is where its probe is and from where that was called, by the kernel's symbols; None where these say nothing.
    `state` is what was known before the line, `should` what the kernel should have done there; both may be empty.
    """

    number: int
    file: str
    line: int
    ts: int | None
    cpu: int | None
    pid: int | None
    comm: str
    role: str
    site: str
    state: str
    should: str
    place: str | None
    text: bytes | None


class Related(msgspec.Struct):
    """Another violation of the same run, in one line."""

    id: int
    code: str
    slug: str
    line: int
    certainty: str
    message: str


class Explanation(msgspec.Struct):
    """Why a violation is one. `causes` are the violations that follow from it; a root has no `follows_from`."""

    id: int
    code: str
    slug: str
    severity: str
    certainty: str
    reason: str
    message: str
    file: str
    line: int
    last_line: int
    count: int
    mm: str | None
    generation: int | None
    entry: str | None
    type: int | None
    signature: str
    steps: list[Step]
    follows_from: Related | None
    causes: list[Related]


def explain(violation: Row, witness: Sequence[Row], others: Iterable[Row] = ()) -> Explanation:
    """Explain `violation` by its `witness` rows, in their order; `others` are the violations of the same run."""
    known = {row["id"]: row for row in others}
    cause = known.get(violation["follows_from"])
    return Explanation(
        **{name: violation[name] for name in _TAKEN},
        steps=[_step(number, row) for number, row in enumerate(witness, 1)],
        follows_from=_related(cause) if cause is not None else None,
        causes=[_related(row) for row in known.values() if row["follows_from"] == violation["id"]],
    )


def first_root(violations: Sequence[Row]) -> Row | None:
    """The violation to look at first: the first root that decides the verdict, else the first root."""
    roots = [row for row in violations if row["follows_from"] is None]
    deciding = [row for row in roots if row["severity"] == "E" and row["certainty"] != "undecided"]
    return next(iter(deciding or roots), None)


def sentence(step: Step) -> str:
    """A step in prose: what its line shows, and in which kernel function that happened."""
    return f"{step.role}, in {step.site}()" if step.site.isidentifier() else f"{step.role} ({step.site})"


def as_rows(violation: Violation, file: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A violation of a fresh history as the rows that `explain` takes: itself and its witness."""
    row = {name: getattr(violation, name) for name in violation.__struct_fields__ if name not in ("at", "witness")}
    row |= _place(violation.at, file)
    row["mm"] = None if violation.mm is None else hex(violation.mm)
    row["entry"] = None if violation.entry is None else hex(violation.entry)
    steps = [
        _place(w.at, file) | {name: getattr(w, name) for name in _SAID} | {"raw": w.text} for w in violation.witness
    ]
    return row, steps


_SAID = ("role", "site", "state", "should", "place")
_TAKEN = (
    *("id", "code", "slug", "severity", "certainty", "reason", "message", "file", "line", "last_line", "count"),
    *("mm", "generation", "entry", "type", "signature"),
)


def _step(number: int, row: Row) -> Step:
    where = {name: row[name] for name in ("file", "line", "ts", "cpu", "pid", "comm")}
    said = {name: row[name] for name in _SAID}
    return Step(number, text=row["raw"], **where, **said)


def _related(row: Row) -> Related:
    return Related(**{name: row[name] for name in Related.__struct_fields__})


def _place(at: At, file: str) -> dict[str, Any]:
    comm = at.comm.decode("utf-8", "replace")
    return {"file": file, "line": at.line, "ts": at.ts, "cpu": at.cpu, "pid": at.pid, "comm": comm}
