"""The symbol table that a kernel keeps for itself, found in its image: a vmlinuz has no other.

scripts/kallsyms.c writes, aligned to a word each, in one of two orders (the second since 6.4, commit 404bad70fcf7,
"scripts/kallsyms: change the output order"):

    offsets relative_base num_syms names markers [seqs_of_names] token_table token_index
    num_syms names markers token_table token_index offsets relative_base seqs_of_names

7.3 has the second without relative_base, aligned to four bytes each: an offset counts from its own place ("kallsyms: Get rid
of kallsyms relative base"; kernel/kallsyms.c: kallsyms_sym_address).

A name is a length and that many bytes, each of which stands for one of 256 tokens; the first character of what they
spell is the symbol's type. Nothing says where the tables are. The tokens that are single digits stand one behind another
in ascending order, which no other bytes of a kernel do with a matching index behind; the rest is found from there, and
each step is checked against the next.
"""

from __future__ import annotations

import itertools
import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from mmlist.kernel.symbols import Symbol

_DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
_TOKENS = 256
_LONGEST_TOKEN = 512  # KSYM_NAME_LEN
_NAMES_MARKED = 256  # every so many names a marker
_WINDOW = 32 << 20
"""Bytes before the tokens in which the names are sought: the largest kernels have some 5 MB of them."""

_PLACED = 4
"""What tables are aligned to where an offset counts from its own place."""

_SIGN = 1 << 31
_FEWEST, _MOST = 256, 4_000_000
_PLACES, _TABLES, _WALKED = 1000, 16, 4 * _MOST
"""So many places with ten digits, token tables, and names before them are looked at: where more look right, it is no kernel."""


class _Image(NamedTuple):
    """The bytes, the size of a word in them, the struct prefix of their byte order, and what tables are aligned to."""

    data: Any
    word: int
    order: str
    align: int

    def aligned(self, at: int) -> int:
        return -(-at // self.align) * self.align

    def u32s(self, at: int, count: int) -> array[int]:
        found = array("I", self.data[at : at + 4 * count])
        if (self.order == ">") != (sys.byteorder == "big"):
            found.byteswap()
        return found

    def pointer(self, at: int) -> int:
        return int(struct.unpack_from(self.order + ("Q" if self.word == 8 else "I"), self.data, at)[0])


def recovered(
    data: Any,
    *,
    bits: int = 64,
    big_endian: bool = False,
    address_of: Callable[[int], int | None] = lambda offset: offset,
) -> list[Symbol] | None:
    """The symbols in the image `data`, in order of address; None where the tables are not there, or are not understood.

    `address_of` an offset in it: where that lies once the kernel is loaded. Where the image is relocated only as it boots
    (arm64), addresses count from _text.
    """
    for align in sorted({bits // 8, _PLACED}, reverse=True):
        image = _Image(data, bits // 8, ">" if big_endian else "<", align)
        found = _recovered(image, address_of)
        if found is not None:
            return found
    return None


def _recovered(image: _Image, address_of: Callable[[int], int | None]) -> list[Symbol] | None:
    for table, tokens, behind in itertools.islice(_token_tables(image), _TABLES):
        for names_at, lengths in _names(image, table):
            addresses = None
            if image.align == image.word:
                addresses = _addresses(image, names_at, len(lengths), behind)
            if addresses is None and image.align == _PLACED:
                addresses = _placed(image, len(lengths), behind, address_of)
            if addresses is not None:
                names = _spelled(image.data, names_at, lengths, tokens)
                return [
                    Symbol(address, name[0], name[1:]) for address, name in zip(addresses, names, strict=True) if name
                ]
    return None


def _token_tables(image: _Image) -> Iterator[tuple[int, list[str], int]]:
    """(where the tokens begin, the tokens, where their index ends) of each thing that is a token table."""
    data, at = image.data, -1
    for _ in range(_PLACES):
        at = data.find(_DIGITS, at + 1)
        if at < 0:
            return
        before = bytes(data[max(at - ord("0") * _LONGEST_TOKEN, 0) : at]).split(b"\0")[:-1]
        if len(before) < ord("0"):
            continue
        earliest = at - sum(len(token) + 1 for token in before[-ord("0") :])
        latest = earliest + len(before[-ord("0")])
        for begin in range(
            image.aligned(earliest), latest + 1, image.align
        ):  # no NUL need stand before the first token
            found = _tokens(image, begin)
            if found is not None:
                yield begin, *found


def _tokens(image: _Image, begin: int) -> tuple[list[str], int] | None:
    """The tokens that begin there, and where their index ends; None where no index of them is behind."""
    end, offsets = begin, []
    for _ in range(_TOKENS):
        offsets.append(end - begin)
        end = image.data.find(b"\0", end, end + _LONGEST_TOKEN) + 1
        if not end:
            return None
    index = image.aligned(end)
    if index + 2 * _TOKENS > len(image.data):
        return None
    if list(struct.unpack_from(f"{image.order}{_TOKENS}H", image.data, index)) != offsets:
        return None
    tokens = bytes(image.data[begin:end]).split(b"\0")[:-1]
    return [token.decode("latin-1") for token in tokens], index + 2 * _TOKENS


def _names(image: _Image, table: int) -> Iterator[tuple[int, list[int]]]:
    """(where the names begin, each one's length) for each num_syms before `table` that the names and markers bear out."""
    start = image.aligned(max(table - _WINDOW, 0))
    words = image.u32s(start, (table - start) // 4)
    step, walked = image.align // 4, 0
    for at in range(len(words) - len(words) % step - step, -1, -step):
        count = words[at]
        if not _FEWEST <= count <= _MOST or (step == 2 and words[at + 1]) or count > (len(words) - at) * 4:
            continue
        names_at = start + 4 * at + image.align
        first = _lengths(image.data, names_at, min(count, _NAMES_MARKED), table)
        walked += _NAMES_MARKED if first is None else count
        if walked > _WALKED:
            return
        if first is None:
            continue
        lengths = _lengths(image.data, names_at, count, table)
        if lengths is None:
            continue
        end = names_at + _taken(lengths)
        markers = image.u32s(image.aligned(end), -(-count // _NAMES_MARKED))
        if markers and markers[0] == 0 and (len(markers) == 1 or markers[1] == _taken(first)):
            yield names_at, lengths


def _lengths(data: Any, at: int, count: int, end: int) -> list[int] | None:
    """The lengths of `count` names from `at` on; None where one is empty, or they go past `end`."""
    found = []
    for _ in range(count):
        if at >= end:
            return None
        length = data[at]
        if length & 0x80:  # since 6.1: "kallsyms: support 'big' kernel symbols" (73bbb94466fd)
            length = length & 0x7F | data[at + 1] << 7
            at += 1
        if not length:
            return None
        found.append(length)
        at += 1 + length
    return found if at <= end else None


def _taken(lengths: list[int]) -> int:
    return sum(lengths) + sum(1 if length < 0x80 else 2 for length in lengths)


def _addresses(image: _Image, names_at: int, count: int, behind: int) -> list[int] | None:
    """Addresses by the newer order, else the older; None where neither gives any in ascending order."""
    size = image.aligned(4 * count)
    offsets = image.aligned(behind)
    older = names_at - 2 * image.word
    for at, base_at in ((offsets, offsets + size), (older - size, older)):
        if at < 0 or base_at + image.word > len(image.data):
            continue
        found = _relative(image.u32s(at, count), image.pointer(base_at), image.word)
        if len(found) == count and all(a <= b for a, b in itertools.pairwise(found)):
            return found
    return None


def _placed(image: _Image, count: int, behind: int, address_of: Callable[[int], int | None]) -> list[int] | None:
    """Addresses by offsets that each count from their own place; None where they do not ascend."""
    at = image.aligned(behind)
    place = address_of(at)
    offsets = image.u32s(at, count)
    if place is None or len(offsets) != count:
        return None
    mask = (1 << 8 * image.word) - 1
    found = [(place + 4 * i + (offset ^ _SIGN) - _SIGN) & mask for i, offset in enumerate(offsets)]
    return found if all(a <= b for a, b in itertools.pairwise(found)) else None


def _relative(offsets: array[int], base: int, word: int) -> list[int]:
    """kernel/kallsyms.c: kallsyms_sym_address, with CONFIG_KALLSYMS_ABSOLUTE_PERCPU where offsets are negative."""
    mask = (1 << 8 * word) - 1
    if not offsets or base > mask:
        return []
    if offsets[-1] >> 31:  # the last symbol of a kernel is no per-CPU offset: negative, it counts down from the base
        return [offset if not offset >> 31 else (base - 1 + (1 << 32) - offset) & mask for offset in offsets]
    return [(base + offset) & mask for offset in offsets]


def _spelled(data: Any, at: int, lengths: list[int], tokens: list[str]) -> Iterator[str]:
    for length in lengths:
        at += 1 if length < 0x80 else 2
        yield "".join([tokens[byte] for byte in data[at : at + length]])
        at += length
