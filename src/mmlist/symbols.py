"""The symbols of a log's kernel, read from its files for a replay."""

from __future__ import annotations

from pathlib import Path

from mmlist.kernel import image
from mmlist.kernel.layout import field
from mmlist.replay.errors import InputError, OptionError
from mmlist.replay.symbols import Symbols

_FILES = "a vmlinux, a vmlinuz, a System.map or a copy of /proc/kallsyms"


def load(*, vmlinux: str | Path | None = None, kallsyms: str | Path | None = None) -> Symbols:
    """The symbols of `kallsyms`, else of `vmlinux`; release and the offset of mmlist of `vmlinux`, if it says them.

    Either may be any file that `mmlist kernel` reads. Raises InputError where one cannot be read, or has no symbols.
    """
    kernel = None if vmlinux is None else image.read(str(vmlinux))
    table = None if kernel is None else kernel.symbols
    source = str(kallsyms if kallsyms is not None else vmlinux)
    if kallsyms is not None:
        table = image.read(source).symbols
    elif kernel is None:
        raise OptionError("neither a vmlinux nor kallsyms to read symbols from")
    if table is None:
        raise InputError("has no symbols", file=source, expected=_FILES)
    if not any(symbol.address for symbol in table.all):
        raise InputError("hides all addresses (kernel.kptr_restrict)", file=source, expected="a copy made by root")
    mmlist = None if kernel is None or kernel.btf is None else field(kernel.btf, "mm_struct", "mmlist")
    return Symbols(
        ((symbol.address, symbol.name) for symbol in table.all),
        source,
        release=None if kernel is None else kernel.release,
        mmlist_offset=None if mmlist is None else mmlist.offset,
    )
