"""What to do better at the next capture, by what a bundle, or a log's header, says of the last one: commands, to be typed.

Nothing here is about the kernel's list: it is what `mmlist doctor` says of how the log came to be (docs/capture.md).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from mmlist.replay import parts
from mmlist.replay.bind import NAMES
from mmlist.replay.history import History
from mmlist.replay.relocation import functions_of

_START = "sh mmlist-capture start"
_BUFFER_KB = 20480
"""Of each CPU, where nothing else is said (mmlist-capture.sh)."""
_LARGEST_KB = 1 << 22
_MANY = 5
_GOOD_CLOCKS = frozenset({"mono", "mono_raw", "boot", "tai"})
"""Clocks that count nanoseconds, the same on all CPUs, and are not adjusted by guess (Documentation/trace/ftrace.rst)."""
_MAXACTIVE = 1024
_FPROBES = (6, 5)
_FETCHED = (("users", "mm_struct.mm_users"), ("count", "mm_struct.mm_count"), ("next", "mm_struct.mmlist.next"))
_COUNT = re.compile(rb"^(entries|overrun): ([0-9]{1,19})$", re.MULTILINE)


def advice(history: History) -> list[str]:
    """Sentences, the gravest first; none for a log that our kit did not make, or that lacks nothing."""
    if not history.setup.kit.ours:
        return []
    return [
        *_release(history), *_buffers(history), *_missed(history), *_refused(history), *_roles(history), *_clock(history),
        *_enabled(history), *_places(history), *_symbols(history),
    ]  # fmt: skip


def _release(history: History) -> Iterator[str]:
    made, ran = history.setup.header.get("release"), history.setup.bundle.header.get("release")
    if isinstance(made, str) and isinstance(ran, str) and made != ran:
        yield (
            f"the probes were made for {made} and set on {ran}, whose offsets may be others: "
            f"{_probes(ran)} makes them for it"
        )


def _buffers(history: History) -> Iterator[str]:
    kit = history.setup.kit
    overwritten = any(kind in history.losses for kind in ("overwritten", "buffer_started", "lost"))
    if kit.lost or overwritten:
        what = f"the buffers lost {kit.lost:,} events" if kit.lost else "the log says that the buffers were too small"
        yield f"{what}: MMLIST_BUFFER_KB={_wanted(history)} {_START}"
    elif kit.lost is None:
        yield (
            f"nothing says whether the buffers lost events: {parts.STATS_BEFORE} and {parts.STATS_AFTER} belong to the log; "
            "`sh mmlist-capture bundle OUT.tar.gz` packs them"
        )


def _wanted(history: History) -> int:
    """A buffer that would have held all, in KB a CPU: by the CPU that lost most, with as much again."""
    had = history.setup.header.get("buffer_kb")
    size = had if isinstance(had, int) and 0 < had <= _LARGEST_KB else _BUFFER_KB
    found = [int(count) for _, count in _COUNT.findall(history.log.beside.get(parts.STATS_AFTER, b""))]
    ratios = [1 + lost // max(kept, 1) for kept, lost in zip(found[::2], found[1::2], strict=False)]
    return min(size * 2 * max(ratios, default=1), _LARGEST_KB)


def _missed(history: History) -> Iterator[str]:
    setup = history.setup
    if setup.kit.missed is None:
        yield (
            f"nothing says whether the probes missed calls: {parts.KPROBE_PROFILE} is missing, or they are fprobes, "
            "which the kernel does not count there"
        )
        return
    returning = {one.event for one in setup.bundle.probes if one.returns}
    entries = []
    for name, count in sorted(setup.kit.missed.items(), key=lambda item: -item[1])[:_MANY]:
        if name in returning or name.endswith("_ret"):
            pattern = f"s,r[0-9]*:mmlist/{name} ,r{_MAXACTIVE}:mmlist/{name} ,"
            yield (
                f"{name} missed {count:,} returns: more calls were under way than it may follow; "
                f"sed -i {shlex.quote(pattern)} mmlist-capture"
            )
        else:
            entries.append(f"{name} {count:,}")
    if entries:
        yield f"probes missed calls that came within another probe ({', '.join(entries)}): {_fewer(history)}"


def _fewer(history: History) -> str:
    release = str(history.survey.release or "")
    version = re.match(r"([0-9]{1,4})\.([0-9]{1,4})", release)
    if version is not None and (int(version[1]), int(version[2])) >= _FPROBES:
        return f"mmlist probes /boot/vmlinuz-{shlex.quote(release)} --syntax fprobe --script > mmlist-capture"
    return "set no other probes and tracers meanwhile (perf, bpftrace, function tracer)"


def _refused(history: History) -> Iterator[str]:
    header = history.setup.header.get("refused")
    lines = history.log.beside.get(parts.REFUSED, b"").decode("utf-8", "replace").splitlines()
    found = lines or [str(one) for one in header if isinstance(one, str)] if isinstance(header, list) else lines
    for line in found[:_MANY]:
        yield f"the kernel did not take `{line}`: {_probes(history.survey.release)} makes those that it does"


def _roles(history: History) -> Iterator[str]:
    missing = history.setup.header.get("missing")
    if not isinstance(missing, dict) or not missing:
        return
    told = "; ".join(f"{role}: {', '.join(map(str, what))}" for role, what in missing.items() if isinstance(what, list))
    release = shlex.quote(str(history.survey.release or "$(uname -r)"))
    yield (
        f"the probes do not show {told}; a vmlinux with DWARF (the debug package's) may have places for them: "
        f"mmlist probes /usr/lib/debug/boot/vmlinux-{release} --script > mmlist-capture"
    )


def _clock(history: History) -> Iterator[str]:
    clock = history.survey.clock
    if clock is None:
        yield f"nothing says which clock it was ({parts.CLOCK}), so its order across CPUs is not trusted"
    elif clock not in _GOOD_CLOCKS:
        yield f"clock {clock} does not put lines of two CPUs in order: MMLIST_CLOCK=mono {_START}"


def _enabled(history: History) -> Iterator[str]:
    enabled = set(history.log.beside.get(parts.EVENTS, b"").decode("latin-1").split())
    events, tracepoints = (history.setup.header.get(key) for key in ("events", "tracepoints"))
    if not enabled or not isinstance(events, list) or not isinstance(tracepoints, list):
        return
    wanted = {f"mmlist:{name}" for name in events} | set(map(str, tracepoints))
    absent = sorted(name for name in wanted - enabled if f"{name.partition(':')[0]}:*" not in enabled)
    if absent:
        yield f"not recorded, as they were not enabled: {', '.join(absent)}"


def _places(history: History) -> Iterator[str]:
    """Probes that bear a name of ours, and are on what we would not put it on; fields that are not what their name says."""
    header = history.setup.header.get("offsets")
    offsets = header if isinstance(header, dict) else {}
    kit = history.setup.header.get("events")
    for one in history.setup.bundle.probes:
        if one.event not in NAMES or (isinstance(kit, list) and one.event in kit):
            continue
        meant = functions_of(one.event)
        if one.function not in meant:
            yield f"the probe {one.event} is on {one.function}, and read as one on {meant[0]}: give it another name"
        for name, field in _FETCHED:
            offset, mm, fetched = offsets.get(field), one.fetches.get("mm"), one.fetches.get(name)
            if isinstance(offset, int) and mm is not None and fetched is not None and fetched != f"+{offset}({mm})":
                yield f"{name} of {one.event} is fetched as {fetched}, this kernel has {field} at +{offset}({mm})"


def _symbols(history: History) -> Iterator[str]:
    if history.survey.init_mm is None:
        yield (
            "init_mm's address is not known (symbols.txt is missing, or shows none): "
            f"mmlist replay {shlex.quote(history.log.name.partition(':')[0])} --vmlinux VMLINUX, or capture as root"
        )


def _probes(release: object) -> str:
    return f"`mmlist probes /boot/vmlinuz-{shlex.quote(str(release or '$(uname -r)'))} --script > mmlist-capture`"
