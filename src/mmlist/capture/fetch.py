"""What a probe fetches, said once for all kernels and syntaxes, and resolved for one kernel.

    mm=$1                                    the first argument; $ret what the function returns
    users=$1->mm_struct.mm_users:s32         what lies at it, at that field's offset
    users=$2->vm_area_struct.vm_mm->mm_struct.mm_users:s32
    head=@init_mm->mm_struct.mmlist.next     data by its symbol; @swap_info[1] is the second pointer there
    path=$1->pt_regs.di->*:ustring           the string that a pointer points to
    nr=$2/nr                                 the second argument, if it is called nr; another that is, if it is not
    inuse0=...:u                             as wide as the field is

A place is $N (counted from 1), $ret or @symbol; the type is x64 where none is said.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

import msgspec

from mmlist.kernel import Kernel
from mmlist.kernel.functions import Status

_FETCH = re.compile(r"(\w+)=(\$ret|\$\d|@\w+)(?:/(\w+))?(?:\[(\d+)\])?((?:->[\w.*]+)*)(?::(\w+))?")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What a C name is: one from a broken kernel file may be anything, and is not written into a definition."""

POINTER = 8
"""Bytes of a pointer: both machines have 64 bits."""


class Fetch(NamedTuple):
    """One fetch as it is written: `parameter` and `element` are what `/name` and `[i]` say."""

    name: str
    base: str
    parameter: str
    element: int | None
    hops: tuple[str, ...]
    type: str


class Hop(NamedTuple):
    """One step behind a pointer: `offset` bytes, which are `field` of `struct` (both empty: what it points to itself).

    `inside` as Field's.
    """

    struct: str
    field: str
    offset: int
    inside: str = ""

    @property
    def member(self) -> str:
        """The field as a number."""
        return f"{self.field}.{self.inside}" if self.inside else self.field


class Resolved(msgspec.Struct, frozen=True):
    """A fetch for one kernel. One of `argument` (from 1), `symbol` and `register` (DWARF's number) says where it begins;
    none of them: at what the function returns. `parameter` is the argument's name, `pointee` the struct it points to, where
    types tell.
    """

    name: str
    type: str
    hops: tuple[Hop, ...]
    argument: int = 0
    symbol: str = ""
    element: int | None = None
    register: int | None = None
    parameter: str = ""
    pointee: str = ""


@functools.cache
def parsed(text: str) -> tuple[Fetch, ...]:
    """The fetches in `text`, apart by blanks."""
    found = []
    for part in text.split():
        match = _FETCH.fullmatch(part)
        assert match is not None, part
        name, base, parameter, index, hops, type_ = match.groups()
        found.append(
            Fetch(
                name,
                base,
                parameter or "",
                None if index is None else int(index),
                tuple(hops.split("->")[1:]),
                type_ or "x64",
            )
        )
    return tuple(found)


def resolved(fetch: Fetch, kernel: Kernel, status: Status, *, inlined: bool = False) -> Resolved | None:
    """`fetch` at a probe on the function of `status`; None where this kernel does not have what it needs.

    `inlined`: the probe is on its one copy in another function, where arguments are in registers, if anywhere.
    """
    hops = _located(fetch, kernel)
    if hops is None:
        return None
    type_ = _sized(fetch, kernel)
    if fetch.base == "$ret":
        return Resolved(fetch.name, type_, hops, pointee=_pointee(kernel, _returned(kernel, status.name)))
    if fetch.base.startswith("@"):
        symbol = fetch.base[1:]
        return (
            Resolved(fetch.name, type_, hops, symbol=symbol, element=fetch.element)
            if kernel.has_symbol(symbol)
            else None
        )
    if inlined:
        register = status.inlined[0].registers.get(fetch.parameter)
        return None if register is None else Resolved(fetch.name, type_, hops, register=register)
    return _of_argument(fetch, kernel, status, type_, hops)


def _of_argument(fetch: Fetch, kernel: Kernel, status: Status, type_: str, hops: tuple[Hop, ...]) -> Resolved | None:
    number = int(fetch.base[1:])
    parameters = kernel.parameters(status.name)
    if not parameters:  # one that takes nothing is another of that name: 6.1's BTF may have the mm_init of init/main.c
        return Resolved(fetch.name, type_, hops, argument=number)
    names = [name for name, _ in parameters]
    if fetch.parameter and (number > len(names) or names[number - 1] != fetch.parameter):
        if fetch.parameter not in names:
            return None
        number = names.index(fetch.parameter) + 1
    if number > len(names):
        return None
    name, id_ = parameters[number - 1]
    parameter = name if NAME.fullmatch(name) else ""
    return Resolved(fetch.name, type_, hops, argument=number, parameter=parameter, pointee=_pointee(kernel, id_))


def _located(fetch: Fetch, kernel: Kernel) -> tuple[Hop, ...] | None:
    found = []
    for hop in fetch.hops:
        if hop == "*":
            found.append(Hop("", "", 0))
            continue
        place = kernel.fields.get(hop)
        if place is None:
            return None
        struct, _, field = hop.partition(".")
        found.append(Hop(struct, field, place.offset, place.inside))
    return tuple(found)


def _sized(fetch: Fetch, kernel: Kernel) -> str:
    if fetch.type != "u":
        return fetch.type
    place = kernel.fields.get(fetch.hops[-1])
    return f"u{8 * (place.size if place is not None and place.size in (1, 2, 4, 8) else 4)}"


def _returned(kernel: Kernel, function: str) -> int:
    """The type that a function returns, void where types do not tell."""
    return kernel.returned(function) or 0


def _pointee(kernel: Kernel, id_: int) -> str:
    """The struct that a type points to, empty where it does not."""
    return kernel.pointee(id_) if id_ else ""
