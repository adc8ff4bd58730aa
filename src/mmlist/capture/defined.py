"""Which of our events probes with names of the user's own are, told from their definitions.

A probe is on a function, and fetches what lies at offsets: where both are those of a probe of ours (roles.py), so is the event,
whatever its name and its fields' names are. Offsets are those that the capture's header gives; what lies at others is not known,
and is left out. So a bundle needs no `--map`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from mmlist.capture.fetch import POINTER, Fetch, parsed
from mmlist.capture.roles import ROLES, Probe
from mmlist.replay import parts
from mmlist.replay.bind import NAMES
from mmlist.replay.definitions import Definition, definitions
from mmlist.replay.expression import Field
from mmlist.replay.log import Log
from mmlist.replay.mapping import Mapping as Names
from mmlist.replay.mapping import Rule
from mmlist.replay.skim import header_of


def names_of(log: Log, given: Names | None = None) -> Names | None:
    """The user's names in `log`, by what stands beside it; what is `given` by hand goes before. None where there are none."""
    found = definitions(log.beside.get(parts.DEFINITIONS, b""))
    if not found:
        return given
    offsets = header_of(log).get("offsets")
    rules = {rule.name: rule for rule in _rules(found, offsets if isinstance(offsets, dict) else {})}
    if not rules:
        return given
    said = "\n".join(f"{rule.name} {rule.target} {sorted(rule.sources)}" for rule in rules.values())
    before = given or Names(())
    digest = hashlib.sha256((before.digest + said).encode()).hexdigest()
    return Names((rules | before.rules).values(), before.files, digest)


def _rules(found: Iterable[Definition], offsets: Mapping[str, object]) -> Iterable[Rule]:
    found = list(found)
    taken = {one.event for one in found}  # what bears our name is taken by it
    for one in found:
        if one.event in NAMES or one.offset:
            continue
        for probe in _ours(one):
            sources = {name: Field(its) for name, its in _fields(probe, one, offsets).items()}
            wanted = parsed(probe.fetches)
            if probe.event not in taken and (not wanted or wanted[0].name in sources):
                taken.add(probe.event)
                yield Rule(one.event, probe.event, False, None, False, dict(sources))
                break


def _ours(one: Definition) -> Iterable[Probe]:
    """The probes of ours on the same function, at the same end of it."""
    for role in ROLES:
        for slot in role.slots:
            for probe in (probe for alternative in slot.alternatives for probe in alternative):
                if (probe.function, probe.returns) == (one.function, one.returns) and not (
                    probe.inlined or probe.value
                ):
                    yield probe


def _fields(probe: Probe, one: Definition, offsets: Mapping[str, object]) -> dict[str, str]:
    """Our name -> the user's name of each field that is the same."""
    theirs = {fetch: name for name, fetch in reversed(one.fetches.items())}
    wanted = ((fetch.name, _written(fetch, offsets)) for fetch in parsed(probe.fetches))
    return {name: theirs[text] for name, text in wanted if text in theirs}


def _written(fetch: Fetch, offsets: Mapping[str, object]) -> str:
    """A fetch as the kernel prints it; empty where an offset is not known."""
    hops = [0 if hop == "*" else offsets.get(hop) for hop in fetch.hops]
    if not all(isinstance(hop, int) for hop in hops):
        return ""
    if fetch.base.startswith("@"):
        offset = hops.pop(0) if fetch.element is None and hops else POINTER * (fetch.element or 0)
        text = fetch.base + (f"+{offset}" if offset else "")
    else:
        text = "$retval" if fetch.base == "$ret" else f"$arg{fetch.base[1:]}"
    for hop in hops:
        text = f"+{hop}({text})"
    return text
