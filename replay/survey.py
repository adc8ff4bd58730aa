"""The first look at a log: what it can say at all, where init_mm lies, and which kernel's rules to hold it against.

The model must know before the first step whether joins are events of the log or have to be worked out, so the log is
read twice. Nothing here judges; what was found is recorded with the run, each value with its source.

Over 400 lines: it is one pass over the beginning, and each of its questions is answered by what the others left in it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from mmlist.replay.bind import NAMES, TRACEPOINTS, is_explicit
from mmlist.replay.bind.probes import CLONE_VM
from mmlist.replay.bind.values import Fields, entries_of_call, is_mm, number
from mmlist.replay.carries import carries
from mmlist.replay.errors import InputError, OptionError
from mmlist.replay.model import PROFILES, Carries, Profile
from mmlist.replay.model.profile import PF_BORROWED_MM, POISON_NEXT
from mmlist.replay.payload import fields
from mmlist.replay.record import Record
from mmlist.replay.relocation import Relocation, Sightings, relocated
from mmlist.replay.symbols import Symbols

_POISON_26 = 0x0010_0100
_KERNEL_IMAGE = 0xFFFF_FFFF_8000_0000
_ADDRESSES = ("mm", "parent", "child", "oldmm", "dst", "src", "old")
_ENOUGH = 1000
"""How many records of one name are looked into: what they tell is told by the first ones, or not at all."""

DECISIVE = frozenset(
    {
        "mmlist_add", "mmlist_del", "mmlist_drain", "swap_assign", "swap_clear", "swap_duplicate", "folio_dup_swap",
        "swap_dup_entry_direct", "try_to_unmap_one", "copy_page_range", "dup_mmap", "swap_free", "swap_free_nr",
        "__swap_entry_free_ret", "folio_put_swap", "free_swap_and_cache", "free_swap_and_cache_nr",
        "swap_put_entries_direct", "exit_mmap_ret", "__mmput", "__mmput_begin", "mm_init", "mm_init_ret", "mm_free",
        "__mmdrop", "mmput", "use_mm", "task_flags", "exec_mmap",
    }
)  # fmt: skip
"""Names on which depends how the log is bound and replayed (Carries, Profile)."""

_ALWAYS = frozenset({"mm_init_ret", "mmlist_add", "swap_clear", "swapon", "swapoff", "swapoff_ret", "task_flags"})
"""Names whose every record counts."""

_USERS: dict[str, tuple[int, int | None]] = {
    "mm_init_ret": (1, 1),
    "mmput": (1, None),
    "mmput_async": (1, None),
    "get_task_mm_ret": (1, None),
    "__mmput": (0, 0),
    "__mmput_begin": (0, 0),
    "exit_mmap": (0, 0),
    "__mmput_end": (0, 0),
    "__mmdrop": (0, 1),
}
"""What mm_users is at a probe in a right kernel: least and most."""

_COUNT: dict[str, tuple[int, int | None]] = {
    "mm_init_ret": (1, 1),
    "mmput": (1, None),
    "mmput_async": (1, None),
    "get_task_mm_ret": (1, None),
    "__mmput": (1, None),
    "__mmput_begin": (1, None),
    "exit_mmap": (1, None),
    "__mmdrop": (0, 0),
}
"""What mm_count is at a probe in a right kernel: least and most."""

_DOUBTS = 3
"""So many lines of one probe, and most of its lines, must not fit before a field is distrusted: a bug shows on few."""

_SMALLEST, _LARGEST = 1024, 8192
"""Between these many bytes an mm_struct has, its CPU masks with it (include/linux/mm_types.h)."""

_BEFORE_7_0 = frozenset({"swap_duplicate", "swap_free", "swap_free_nr", "__swap_entry_free_ret"})
"""Functions that 7.0 renamed: folio_dup_swap, swap_dup_entry_direct, folio_put_swap, swap_put_entries_direct."""

_OF_SEVERAL = frozenset({"swap_free_nr", "free_swap_and_cache_nr", "swap_put_entries_direct", "folio_put_swap"})
"""Frees of `nr` entries at once: what a probe does not fetch, it does not name."""

MT_DUP = "kernel with __mt_dup (6.8 to 6.19)"
"""Among the names of a survey: what the log shows of its kernel does not speak against it."""

_WALKS_UNSTABLE = frozenset({(5, 10), (5, 15), (6, 1)})
"""Long-term kernels whose unuse_mm does not ask for MMF_UNSTABLE: by its code, Debian's 6.1.176 does not, its 6.12.95 does."""

_FETCHES = frozenset({"users", "count", "next", "prev", "head", "tail", "inuse0", "nr"})


_BORROWS, _RETURNS = frozenset({"kthread_use_mm", "use_mm"}), frozenset({"kthread_unuse_mm", "unuse_mm"})


class Survey(msgspec.Struct):
    """What was found. Offsets in bytes.

    `names`: events carried, `explicit:NAME` for those of layer A, `fetched:FIELD` for what probes fetched, `kernel ...` for
    what it may be. `distrusted`:
    fields that cannot be what their name says, with the lines that show it, in words.
    """

    names: frozenset[str] = frozenset()
    carries: Carries = Carries()
    enabled: frozenset[str] = frozenset()  # what the capture had a probe on, be it that none was hit
    profile: Profile = PROFILES["modern"]
    profile_reason: str = ""
    mmlist_offset: int | None = None
    mmlist_offset_source: str = "unknown"
    init_mm: int | None = None
    init_mm_source: str = "unknown"
    entry_max: int = 0
    release: str | None = None
    clock: str | None = None
    aio_names: bool = False
    symbols: Relocation | None = None
    distrusted: dict[str, str] = {}


class _Votes:
    """What the lines of the log say for one value or another."""

    def __init__(self, places: Sightings | None = None) -> None:
        self.places = places
        self.names: dict[str, int] = {}
        self.explicit: set[str] = set()
        self.probes: set[str] = set()
        self.fetched: set[str] = set()
        self.users: dict[str, list[int]] = {}
        self.counts: dict[str, list[int]] = {}
        self.offsets: Counter[int] = Counter()
        self.heads: Counter[int] = Counter()
        self.lone: Counter[int] = Counter()
        self.afters: Counter[int] = Counter()
        self.mms: set[int] = set()
        self.poison_26 = 0
        self.nr = 0
        self.borrowed_flag = 0
        self.unuse_clears = False
        self.unsized = False
        self.borrowers: set[int | None] = set()
        self.reborrows = False
        self.threads = 0
        self.swapoffs: set[int | None] = set()  # tasks in one
        self.swapoff_before = 0
        self.entry_max = 0

    def take(self, record: Record) -> None:
        name = record.name
        seen = self.names.get(name, 0)
        self.names[name] = seen + 1
        if seen >= _ENOUGH and name not in _ALWAYS:
            return
        first = not seen
        if is_explicit(record):
            if name not in self.explicit:
                self.explicit.add(name)
                first = True
        elif name not in TRACEPOINTS:
            self.probes.add(name)
        if self.places is not None:
            self.places.take(record)
        f = fields(record)
        if name in _OF_SEVERAL and entries_of_call(f) is None:
            self.unsized = True
        if first or len(self.fetched) < len(_FETCHES):
            self.fetched.update(_FETCHES.intersection(f))
        self._addresses(name, f)
        if name in _USERS and not is_explicit(record):
            self._fits("users", _USERS, self.users, name, f)
            self._fits("count", _COUNT, self.counts, name, f)
        if "nr" in f and name in ("mmget", "mmput", "exec_mmap", "mmlist_add", "mmlist_del"):
            self.nr += 1
        if name == "task_flags" and (number(f.get("flags", b"0")) or 0) & PF_BORROWED_MM:
            self.borrowed_flag += 1
        if name == "task_newtask" and _shares_mm(f):
            self.threads += 1
        if name in _BORROWS:
            self.reborrows = self.reborrows or record.at.pid in self.borrowers
            self.borrowers.add(record.at.pid)
        elif name in _RETURNS:
            self.borrowers.discard(record.at.pid)
        if name == "swap_clear" and f.get("why") in (b"3", b"unuse"):
            self.unuse_clears = True
        if name == "swapoff":
            self.swapoffs.add(record.at.pid)
        elif name == "swapoff_ret":
            if record.at.pid not in self.swapoffs:
                self.swapoff_before = record.at.line
            self.swapoffs.discard(record.at.pid)
        if "entry" in f and (entry := number(f["entry"])) is not None and entry < 1 << 63:
            self.entry_max = max(self.entry_max, entry)

    def _fits(
        self,
        field: str,
        bounds: Mapping[str, tuple[int, int | None]],
        votes: dict[str, list[int]],
        name: str,
        f: Fields,
    ) -> None:
        """Whether `field` is what the count can be there: an offset written for another kernel fetches something else."""
        mm, value = number(f.get("mm", b"")), number(f.get(field, b""))
        if name in bounds and mm is not None and is_mm(mm) and value is not None:
            low, high = bounds[name]
            votes.setdefault(name, [0, 0])[low <= value and (high is None or value <= high)] += 1

    def _addresses(self, name: str, f: Fields) -> None:
        mm = number(f["mm"]) if "mm" in f else None
        if mm is not None and is_mm(mm) and name not in ("mmput", "mmlist_visit"):
            self.mms.add(mm)
        for key in _ADDRESSES[1:]:
            if key in f and (address := number(f[key])) is not None and is_mm(address):
                self.mms.add(address)
        if name == "mmlist_add" and "after" in f and (after := number(f["after"])) is not None:
            self.afters[after] += 1
        if "head" in f and f["head"] == f.get("tail") and (head := number(f["head"])):
            self.heads[head] += 1
        if "next" not in f or mm is None or not is_mm(mm):
            return
        next_ = number(f["next"])
        if next_ == _POISON_26:
            self.poison_26 += 1
        if next_ and f["next"] == f.get("prev") and next_ not in POISON_NEXT:
            if name == "mm_init_ret":
                self.offsets[next_ - mm] += 1
            elif name != "mm_init":
                self.lone[next_] += 1


def survey(
    records: Iterable[Record],
    header: dict[str, object] | None = None,
    text_names: frozenset[str] = frozenset(),
    *,
    profile: str = "auto",
    mmlist_offset: int | None = None,
    init_mm: int | None = None,
    symbols: Symbols | None = None,
    known: Mapping[str, int] | None = None,
    functions: Mapping[str, tuple[str, int]] | None = None,
    exact: bool = False,
) -> Survey:
    """Look through `records`, which may be the log's beginning; `text_names` are the names in the whole of its text.

    `header` is the capture kit's own line; what is given by hand goes before. With `symbols` of the log's kernel, `known` are
    addresses of such, and `functions` what the probes are on (relocation.py). `exact`: they missed no call, as was counted.

    Raises OptionError for a profile that does not exist, InputError for symbols of another kernel.
    """
    votes = _Votes(None if symbols is None else Sightings())
    for record in records:
        if record.name in NAMES:
            votes.take(record)
    found = Survey(entry_max=votes.entry_max)
    _from_header(found, header or {})
    _decide_profile(found, votes, profile)
    _decide_offset(found, votes, mmlist_offset, symbols)
    if symbols is not None and votes.places is not None:
        given = {name: value for name, value in (("init_mm", found.init_mm), ("init_mm", init_mm)) if value is not None}
        _relocate(found, votes, symbols, votes.places, {**(known or {}), **given}, functions or {})
    _decide_init_mm(found, votes, init_mm)
    found.profile = msgspec.structs.replace(
        found.profile, fork_after=_fork_after(found, votes), walks_unstable=_walks_unstable(found)
    )
    found.aio_names = found.profile.name != "modern"
    for field, counted in (("users", votes.users), ("count", votes.counts)):
        for name, (wrong, right) in counted.items():
            if wrong >= _DOUBTS and wrong > right:
                found.distrusted[field] = (
                    f"{wrong} of {wrong + right} lines of {name} fetch a {field} that mm_{field} cannot be"
                )
    found.names = frozenset(votes.names)
    found.names |= {f"explicit:{name}" for name in votes.explicit}
    found.names |= {f"fetched:{_plain(name)}" for name in votes.fetched - set(found.distrusted)}
    if found.mmlist_offset is None:
        found.names -= {"fetched:next"}
    if _forks_by_mt_dup(found, votes):
        found.names |= {MT_DUP}
    found.enabled = _enabled(header or {})
    found.names |= found.enabled
    found.carries = carries(
        {**dict.fromkeys(found.enabled, 0), **votes.names},
        frozenset(votes.explicit),
        text_names,
        pure=not votes.probes,
        threads=bool(votes.threads),
        unuse_clears=votes.unuse_clears,
        reborrows=votes.reborrows,
        unsized=votes.unsized,
        swapoff_before=votes.swapoff_before,
        found_26=found.aio_names,
        exact=exact,
    )
    return found


_DUPLICATES = frozenset({"folio_dup_swap", "swap_dup_entry_direct"})
"""What pageout and what fork calls: where one is not in the log, it makes a difference whether it could have been."""


def _enabled(header: Mapping[str, object]) -> frozenset[str]:
    events, refused = header.get("events"), header.get("refused")
    if not isinstance(events, list):
        return frozenset()
    gone = [str(one) for one in refused] if isinstance(refused, list) else []
    return frozenset(one for one in _DUPLICATES.intersection(map(str, events)) if not any(one in text for text in gone))


def _shares_mm(f: Fields) -> bool:
    try:
        return bool(int(f.get("clone_flags", b""), 16) & CLONE_VM)
    except ValueError:
        return False


def _plain(name: str) -> str:
    return "inuse" if name == "inuse0" else name


def _forks_by_mt_dup(found: Survey, votes: _Votes) -> bool:
    """Whether the kernel may copy the tree of areas at once, and mark where it stopped (6.8 to 6.19).

    Told by the release, else by the names of swap's functions, which changed with 6.9 and 7.0; else anything may be.
    """
    version = _version(found.release)
    if version is not None:
        return (6, 8) <= version < (7, 0)
    if votes.probes & {"folio_dup_swap", "folio_put_swap", "swap_dup_entry_direct", "swap_put_entries_direct"}:
        return False
    return not votes.probes or bool(votes.probes & {"swap_free_nr", "free_swap_and_cache_nr"})


def _walks_unstable(found: Survey) -> bool:
    """Whether swapoff is known to walk an mm that the OOM killer left unstable (mm/swapfile.c: unuse_mm, before 6.18)."""
    version = _version(found.release)
    return version is not None and version[:2] in _WALKS_UNSTABLE


def _version(release: str | None) -> tuple[int, ...] | None:
    """The numbers that a kernel release begins with, None if it begins with none."""
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", release or "")
    return tuple(int(part or 0) for part in match.groups()) if match else None


def _from_header(found: Survey, header: dict[str, object]) -> None:
    release, clock = header.get("release"), header.get("clock")
    found.release = release if isinstance(release, str) else None
    found.clock = clock if isinstance(clock, str) else None
    offsets = header.get("offsets")
    fields_at = offsets if isinstance(offsets, dict) else {}
    for key, other in (("mmlist_offset", fields_at.get("mm_struct.mmlist")), ("init_mm", None)):
        value = header.get(key, other)
        if isinstance(value, str):
            value = number(value.encode())
        if isinstance(value, int):
            setattr(found, key, value)
            setattr(found, key + "_source", "capture header")


def _decide_profile(found: Survey, votes: _Votes, given: str) -> None:
    if given != "auto":
        if given not in PROFILES:
            raise OptionError(f"no profile {given!r}: known are auto, {', '.join(PROFILES)}")
        found.profile, found.profile_reason = PROFILES[given], "given by hand"
        return
    name, reason = _profile_of(found, votes)
    found.profile, found.profile_reason = PROFILES[name], reason


def _profile_of(found: Survey, votes: _Votes) -> tuple[str, str]:
    if (version := _version(found.release)) is not None:
        name = "2.6.9" if version < (2, 6, 10) else "2.6.10" if version < (2, 6, 27) else "modern"
        return name, f"the capture header names release {found.release}"
    if votes.nr:
        return "2.6.9", f"{votes.nr} events carry nr, the mmlist_nr that the patch removed"
    if votes.borrowed_flag:
        return "2.6.10", "a task has PF_BORROWED_MM, which came with the patch and went with 2.6.27"
    if "use_mm" in votes.explicit:
        return "2.6.10", "use_mm is a borrower's event in 2.6 kernels, and no event carries nr"
    if votes.poison_26:
        return "2.6.10", "removed nodes hold 0x00100100, LIST_POISON1 of 2.6 kernels, and no event carries nr"
    return "modern", "nothing in the log is peculiar to a 2.6 kernel"


def _fork_after(found: Survey, votes: _Votes) -> str:
    """Where a fork joins. Kernels after 7.1 may insert all after init_mm: nothing is said of one that may be such.

    A kernel is no later than 7.1 if the capture header says so, or one join stands after an mm, or it has functions that
    7.0 renamed (mm/swapfile.c: swap_duplicate, swap_free).
    """
    if found.profile.name != "modern":
        return "parent"
    if found.release is not None and (match := re.match(r"(\d+)\.(\d+)", found.release)):
        return "parent" if (int(match[1]), int(match[2])) <= (7, 1) else "unknown"
    if not votes.probes.isdisjoint(_BEFORE_7_0) or not votes.mms.isdisjoint(votes.afters):
        return "parent"
    return "unknown"


def _relocate(
    found: Survey,
    votes: _Votes,
    symbols: Symbols,
    places: Sightings,
    known: Mapping[str, int],
    functions: Mapping[str, tuple[str, int]],
) -> None:
    """Which symbols the log's addresses are, and where init_mm lies by them."""
    if symbols.release and found.release and symbols.release != found.release:
        raise InputError(f"is of kernel {symbols.release}, the log of {found.release}", file=symbols.source)
    nodes = {*votes.heads, *votes.lone, *votes.afters} - votes.mms
    found.symbols = relocated(
        symbols, places, known=known, functions=functions, nodes=nodes, mmlist_offset=found.mmlist_offset
    )
    address = found.symbols.address("init_mm")
    if address is not None:
        found.init_mm, found.init_mm_source = address, f"init_mm of {symbols.source}"


def _decide_offset(found: Survey, votes: _Votes, given: int | None, symbols: Symbols | None) -> None:
    if given is not None:
        found.mmlist_offset, found.mmlist_offset_source = given, "given by hand"
        return
    offset = None if symbols is None else symbols.mmlist_offset
    if symbols is not None and offset is not None and found.mmlist_offset not in (None, offset):
        why = f"has mmlist at {offset} of mm_struct, the log's kernel at {found.mmlist_offset} (capture header)"
        raise InputError(why, file=symbols.source)
    if found.mmlist_offset is not None:
        return
    if symbols is not None and offset is not None:
        found.mmlist_offset, found.mmlist_offset_source = offset, f"the types of {symbols.source}"
        return
    offsets = {offset: votes.offsets[offset] for offset in votes.offsets if 0 <= offset < _LARGEST}
    inside = {offset: offsets[offset] for offset in offsets if offset < _SMALLEST}
    offsets = inside or offsets  # one into another mm (a node that was not initialised) is no offset
    if len(offsets) == 1:
        found.mmlist_offset, count = next(iter(offsets.items()))
        found.mmlist_offset_source = f"next - mm of {count} new mms (mm_init_ret)"
    elif len(offsets) > 1:
        found.mmlist_offset_source = "unknown: new mms disagree"


def _decide_init_mm(found: Survey, votes: _Votes, given: int | None) -> None:
    if given is not None:
        found.init_mm, found.init_mm_source = given, "given by hand"
        return
    if found.init_mm is not None:
        return
    offset = found.mmlist_offset
    if offset is not None:
        nodes = {mm + offset for mm in votes.mms}
        for heads, source in (
            (votes.heads, "an empty list's head == tail"),
            (votes.lone, "a lone member's next == prev"),
        ):
            address = _one(head for head in heads if head not in nodes)
            if address is not None:
                found.init_mm, found.init_mm_source = address - offset, source
                return
    address = _one(after for after in votes.afters if after not in votes.mms)
    if address is not None and is_mm(address):
        found.init_mm, found.init_mm_source = address, "the only after= that is no mm"


def _one(candidates: Iterable[int]) -> int | None:
    """The only candidate, or the only one in the kernel's image; None if neither."""
    found = set(candidates)
    if len(found) > 1:
        found = {address for address in found if address >= _KERNEL_IMAGE}
    return found.pop() if len(found) == 1 else None
