"""Reading the values of payload fields: numbers, addresses, and what a probe fetched from memory (EVENTS.md)."""

from __future__ import annotations

from collections.abc import Mapping

from mmlist.replay.events import MOST_PAGES, Event, Fetched, FetchedHead, FetchedInuse
from mmlist.replay.record import At

Fields = Mapping[str, bytes]
"""Of a record, by name. No dict: `reads` asks handlers with one that answers to any name."""

INIT_MM = 0
"""The model's name for init_mm, the list's head: no mm_struct lies at address 0."""

_ERROR_POINTER = 0xFFFF_FFFF_FFFF_F001
_MAX_FOLIO = 1 << 14
"""Pages of the largest folio (include/linux/mmzone.h: MAX_FOLIO_ORDER of 64 KiB page kernels)."""
_PG_HEAD = 1 << 6
"""In the flags of a large folio, of kernels that have folio_dup_swap (include/linux/page-flags.h: enum pageflags)."""

_STRUCT_PAGE = 64
"""sizeof(struct page) of 64-bit kernels (include/linux/mm_types.h: CONFIG_HAVE_ALIGNED_STRUCT_PAGE)."""

_OFFLIST = (1 << 30, 1 << 62)
"""SWAP_USAGE_OFFLIST_BIT: since 6.14 inuse_pages says so that the area is full, or closed (mm/swapfile.c); 7.3 has the second."""
_BELOW = 1 << 20
"""Pages that an inuse_pages may be below 0 beside that bit: what is no further below it is no count of pages."""

_MEMO_LIMIT = 1 << 16

_memo: dict[bytes, int] = {}


def number(value: bytes) -> int | None:
    """The integer of `value`, decimal or 0x-hex, signed; None if it is none (`(fault)`, a name)."""
    known = _memo.get(value)
    if known is not None:
        return known
    try:
        found = int(value, 16) if value[:2] in (b"0x", b"0X") else int(value)
    except ValueError:
        return None
    if len(_memo) >= _MEMO_LIMIT:
        _memo.clear()
    _memo[value] = found
    return found


def field(fields: Fields, name: str) -> int | None:
    """The number in field `name`, None if the field is absent or no number."""
    value = fields.get(name)
    return None if value is None else number(value)


def swp_entry(fields: Fields) -> int | None:
    """The swap entry in field `entry`; None if there is none, or it is no 64-bit word."""
    entry = field(fields, "entry")
    return entry if entry is not None and 0 <= entry < 1 << 64 else None


def page_entry(fields: Fields) -> int | None:
    """The entry of the page `subpage` of `folio`, whose first page's is in field `entry`: as folio_dup_swap is called since 7.0.

    mm/swapfile.c: folio_dup_swap adds folio_page_idx(folio, subpage); None where the two are no pages of one folio. A subpage of
    NULL is all of the folio: the first entry, as far as the fields tell.
    """
    entry, folio, subpage = swp_entry(fields), field(fields, "folio"), field(fields, "subpage")
    if entry is None or not folio or not subpage:
        return entry
    index, rest = divmod(subpage - folio, _STRUCT_PAGE)
    return entry + index if not rest and 0 <= index < _MAX_FOLIO else None


def area_type(fields: Fields) -> int | None:
    """The swap area's index in field `type`; None if there is none, or it is none."""
    type_ = field(fields, "type")
    return type_ if type_ is not None and 0 <= type_ < 64 else None


def folio_pages(fields: Fields) -> int | None:
    """How many pages `folio` is of, by its `flags` and `pages` (folio._nr_pages, which only a large one has); None: unknown.

    Slots of a folio are of that many, a power of two, and begin at a multiple of it (mm/swapfile.c: cluster_alloc_range).
    """
    flags, pages = field(fields, "flags"), field(fields, "pages")
    if flags is None or pages is None:
        return None
    if not flags & _PG_HEAD:
        return 1
    entry = swp_entry(fields)
    fits = 1 < pages <= MOST_PAGES and not pages & (pages - 1) and entry is not None and not entry % pages
    return pages if fits else None


def run_length(fields: Fields) -> int:
    """How many entries the call is about (`nr`), 1 if it does not say, or says what no folio has."""
    nr = field(fields, "nr")
    return nr if nr is not None and 0 < nr <= _MAX_FOLIO else 1


def entries_of_call(fields: Fields) -> int | None:
    """How many entries a call on `folio` is about: `nr`, that of `subpage`, or all of it. None where the fields do not tell."""
    pages = folio_pages(fields)
    return run_length(fields) if "nr" in fields or field(fields, "subpage") else pages


def text(fields: Fields, name: str) -> str | None:
    """The text in field `name` (a path), None if absent; bytes that are not UTF-8 as surrogate escapes."""
    value = fields.get(name)
    return None if value is None else value.decode("utf-8", "surrogateescape")


def is_mm(address: int | None) -> bool:
    """Whether `address` can be an mm: not unknown, not NULL, no error pointer (include/linux/err.h: IS_ERR)."""
    return address is not None and 0 < address < _ERROR_POINTER


class Reader:
    """Reads what hangs on the addresses of one log: it knows which address init_mm is (None: the log does not say)."""

    def __init__(self, init_mm: int | None, distrusted: frozenset[str] = frozenset()) -> None:
        """`init_mm`: its address, or None; `distrusted`: fetched fields that are not what their name says."""
        self.init_mm = init_mm
        self._users = "users" not in distrusted
        self._count = "count" not in distrusted

    def users(self, fields: Fields) -> int | None:
        """mm_users as fetched, None if it was not, or is not to be trusted."""
        return field(fields, "users") if self._users else None

    def mm(self, fields: Fields, name: str = "mm") -> int | None:
        """The mm in field `name`: an address, INIT_MM for init_mm; None for NULL, an error pointer, or no such field."""
        value = fields.get(name)
        if value is None:
            return None
        if value == b"init_mm":
            return INIT_MM
        address = number(value)
        if address is None or not is_mm(address):
            return None
        return INIT_MM if address == self.init_mm else address

    def fetched(self, at: At, fields: Fields, mm: int | None, name: str, out: list[Event]) -> None:
        """Append what the probe fetched of `mm` (nothing where mm is NULL: what hangs on it is stale bytes)."""
        if mm is None or mm == INIT_MM:
            return
        users, count = self.users(fields), field(fields, "count") if self._count else None
        if count is not None and 1 << 31 <= count < 1 << 32:
            count -= 1 << 32  # fetched as u32
        next_, prev = field(fields, "next"), field(fields, "prev")
        if users is not None or count is not None or next_ is not None or prev is not None:
            out.append(Fetched(at, mm, users, count, next_, prev, name))

    def head(self, at: At, fields: Fields, name: str, out: list[Event]) -> None:
        """Append what the probe fetched of the list's head."""
        head, tail = field(fields, "head"), field(fields, "tail")
        if head is not None and tail is not None:
            out.append(FetchedHead(at, head, tail, name))

    def inuse(self, at: At, fields: Fields, name: str, out: list[Event]) -> None:
        """Append what the probe fetched of inuse_pages."""
        found = inuse(fields)
        if found is not None:
            out.append(FetchedInuse(at, found, name))


def inuse(fields: Fields) -> tuple[int, ...] | None:
    """inuse_pages by type from `inuse0`, `inuse1`, ... up to the first that is absent; None if there is none.

    Below 0 if it is so, of 32 or 64 bits; without SWAP_USAGE_OFFLIST_BIT, which is added to what is counted.
    """
    found: list[int] = []
    while (value := field(fields, f"inuse{len(found)}")) is not None:
        found.append(_signed(value))
    return tuple(found) or None


def _signed(pages: int) -> int:
    if 1 << 63 <= pages < 1 << 64:
        return pages - (1 << 64)
    if 1 << 31 <= pages < 1 << 32:
        return pages - (1 << 32)
    for bit in _OFFLIST:
        if bit - _BELOW <= pages < 2 * bit:
            return pages - bit
    return pages
