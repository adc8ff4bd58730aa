"""The best probes that one kernel allows: of each slot the first alternative that it has, and what is missing."""

from __future__ import annotations

import msgspec

from mmlist.capture.costs import Cost, cost
from mmlist.capture.fetch import NAME, Resolved, parsed, resolved
from mmlist.capture.roles import ROLES, Alternative, Probe, Role, Slot
from mmlist.kernel import Kernel
from mmlist.kernel.btf import INT, TYPEDEF
from mmlist.kernel.functions import AMBIGUOUS, INLINED, Status


class Chosen(msgspec.Struct):
    """A probe that can be set: on `place` (`mmput`, `_text+0x9db70`, `begin_new_exec+0x367`), with what it fetches.

    `lacking`: names of what it cannot fetch on this kernel.
    """

    probe: Probe
    status: Status
    place: str
    fetches: list[Resolved]
    lacking: list[str]

    @property
    def event(self) -> str:
        """The name of the event."""
        return self.probe.event


class Missing(msgspec.Struct):
    """A slot that this kernel has nothing for, and why."""

    what: str
    why: str


class Part(msgspec.Struct):
    """A role in one kernel. `costs`: the invariants that are decided worse than with the best of each of its slots."""

    role: Role
    chosen: list[Chosen]
    missing: list[Missing]
    costs: list[Cost]


class Plan(msgspec.Struct):
    """The probes for one kernel, role by role."""

    kernel: Kernel
    parts: list[Part]

    @property
    def probes(self) -> list[Chosen]:
        """All of them."""
        return [chosen for part in self.parts for chosen in part.chosen]

    @property
    def tracepoints(self) -> list[str]:
        """The kernel's own events to be enabled with them, `system/name`."""
        return [name for part in self.parts for name in part.role.tracepoints]


def choose(kernel: Kernel) -> Plan:
    """The probes for `kernel`."""
    parts = []
    for role in ROLES:
        chosen: list[Chosen] = []
        missing: list[Missing] = []
        for slot in role.slots:
            found = _first(slot, kernel)
            chosen += found
            if not found:
                missing.append(Missing(slot.what, _why(slot, kernel)))
        parts.append(Part(role, chosen, missing, []))
    carried = {one.event: _fetched(one) for part in parts for one in part.chosen}
    for part in parts:
        best = {probe.event: _named(probe) for slot in part.role.slots for probe in slot.alternatives[0]}
        part.costs = cost(kernel.version, carried, best)
    return Plan(kernel, parts)


def _first(slot: Slot, kernel: Kernel) -> list[Chosen]:
    for alternative in slot.alternatives:
        found = [_settable(probe, kernel) for probe in alternative]
        if all(found):
            return [one for one in found if one is not None]
    return []


def _settable(probe: Probe, kernel: Kernel) -> Chosen | None:
    """The probe on this kernel; None where its function cannot be probed, or its first fetch not be made."""
    status = kernel.functions.get(probe.function)
    if status is None or not _returns(probe, kernel):
        return None
    place = _inside(status) if probe.inlined else status.place
    if place is None:
        return None
    wanted = parsed(probe.fetches)
    tried = [(one.name, resolved(one, kernel, status, inlined=probe.inlined)) for one in wanted]
    if tried and tried[0][1] is None:
        return None
    fetches = [one for _, one in tried if one is not None]
    optional = {one.name for one in wanted if one.parameter}  # not every kernel's function takes it
    return Chosen(probe, status, place, fetches, [name for name, one in tried if one is None and name not in optional])


def _inside(status: Status) -> str | None:
    """Where the only copy of an inlined function begins."""
    if status.state != INLINED or len(status.inlined) != 1 or not status.inlined[0].traceable:
        return None
    into = status.inlined[0].into
    return f"{into}+{status.inlined[0].offset:#x}" if NAME.fullmatch(into) else None


def _returns(probe: Probe, kernel: Kernel) -> bool:
    """Whether the function returns what it is probed for: folio_alloc_swap returns an error code since 6.18."""
    type_ = kernel.returned(probe.function) if probe.value else None
    if type_ is None or kernel.btf is None:
        return True
    return kernel.btf.kind(type_) in (TYPEDEF, INT) and kernel.btf.name(type_) == probe.value


def _why(slot: Slot, kernel: Kernel) -> str:
    """What has become of each function of the slot."""
    told: dict[str, str] = {}
    for alternative in slot.alternatives:
        for probe in alternative:
            status = kernel.functions.get(probe.function)
            if status is None:
                continue
            words = status.told
            if status.state == AMBIGUOUS:
                words = f"refused, {words}"
            elif status.place is not None:
                words = "what it fetches is not to be had" if _returns(probe, kernel) else f"returns no {probe.value}"
            told[probe.function] = words
    return "; ".join(f"{name}: {words}" for name, words in told.items())


def _fetched(chosen: Chosen) -> frozenset[str]:
    return frozenset(one.name for one in chosen.fetches)


def _named(probe: Probe) -> frozenset[str]:
    return frozenset(one.name for one in parsed(probe.fetches))


__all__ = ["Alternative", "Chosen", "Missing", "Part", "Plan", "choose"]
